// Vectors of eight numbers, in the compilers' vector types, and how they are read from and written to memory of 32 and of 16 bits.
//
// On x86-64 code between DAGAN_VECTORS_BEGIN and DAGAN_VECTORS_END is for AVX2 and FMA, which not every processor has: who calls it asks
// `vectorsAvailable` before. Begin after the last header, for other files share the functions of headers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__) && defined(__clang__)
#define DAGAN_VECTORS_BEGIN _Pragma("clang attribute push(__attribute__((target(\"avx2,fma\"))), apply_to = function)")
#define DAGAN_VECTORS_END _Pragma("clang attribute pop")
#elif defined(__x86_64__)
#define DAGAN_VECTORS_BEGIN _Pragma("GCC push_options") _Pragma("GCC target(\"avx2,fma\")")
#define DAGAN_VECTORS_END _Pragma("GCC pop_options")
#else
#define DAGAN_VECTORS_BEGIN
#define DAGAN_VECTORS_END
#endif

#define DAGAN_INLINE inline __attribute__((always_inline))

namespace dagan {

/// Whether this processor has the instructions of code between DAGAN_VECTORS_BEGIN and DAGAN_VECTORS_END.
inline bool vectorsAvailable() {
#ifdef __x86_64__
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return true;
#endif
}

/// The upper half of a float32, as LibTorch's BFloat16 holds it.
using Bfloat16 = uint16_t;

constexpr int64_t kLanes = 8;
typedef float Vector __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t Whole __attribute__((vector_size(32), aligned(4), may_alias));

}  // namespace dagan

DAGAN_VECTORS_BEGIN

namespace dagan {

typedef uint32_t Bits __attribute__((vector_size(32)));
typedef uint16_t HalfBits __attribute__((vector_size(16), aligned(2), may_alias));

DAGAN_INLINE Vector load(const float* memory) { return *reinterpret_cast<const Vector*>(memory); }
DAGAN_INLINE void store(const Vector& vector, float* memory) { *reinterpret_cast<Vector*>(memory) = vector; }

DAGAN_INLINE Vector load(const Bfloat16* memory) {
  const Bits bits = __builtin_convertvector(*reinterpret_cast<const HalfBits*>(memory), Bits) << 16;
  return reinterpret_cast<const Vector&>(bits);
}

/// Rounds to the nearest, to even where there are two; what is not a number stays so.
DAGAN_INLINE void store(const Vector& vector, Bfloat16* memory) {
  const Bits bits = reinterpret_cast<const Bits&>(vector);
  const Bits rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const Whole number = vector == vector;
  const Bits result = (rounded & reinterpret_cast<const Bits&>(number)) | (0x7fc0u & ~reinterpret_cast<const Bits&>(number));
  *reinterpret_cast<HalfBits*>(memory) = __builtin_convertvector(result, HalfBits);
}

/// The vector where the condition holds, 0 elsewhere.
DAGAN_INLINE Vector where(const Whole& condition, const Vector& vector) {
  const Whole kept = reinterpret_cast<const Whole&>(vector) & condition;
  return reinterpret_cast<const Vector&>(kept);
}

}  // namespace dagan

DAGAN_VECTORS_END
