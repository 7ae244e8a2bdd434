// Vectors of eight numbers (vector_operations.h), and for which processors they are compiled.
//
// On x86-64 code between DAGAN_VECTORS_BEGIN and DAGAN_VECTORS_END is for AVX2 and FMA, which not every processor has: who calls it asks
// `vectorsAvailable` before. Behind DAGAN_WIDE_VECTORS_BEGIN, which there is on x86-64 alone, it is for AVX-512: `wideVectorsAvailable`.
// Begin after the last header, for other files share the functions of headers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#ifdef __x86_64__
#include <immintrin.h>
#endif

#if defined(__x86_64__) && defined(__clang__)
#define DAGAN_VECTORS_BEGIN _Pragma("clang attribute push(__attribute__((target(\"avx2,fma\"))), apply_to = function)")
#define DAGAN_WIDE_VECTORS_BEGIN \
  _Pragma("clang attribute push(__attribute__((target(\"avx2,fma,avx512f,avx512bw,avx512dq,avx512vl\"))), apply_to = function)")
#define DAGAN_VECTORS_END _Pragma("clang attribute pop")
#elif defined(__x86_64__)
#define DAGAN_VECTORS_BEGIN _Pragma("GCC push_options") _Pragma("GCC target(\"avx2,fma\")")
#define DAGAN_WIDE_VECTORS_BEGIN \
  _Pragma("GCC push_options") _Pragma("GCC target(\"avx2,fma,avx512f,avx512bw,avx512dq,avx512vl\")")
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

/// The same of DAGAN_WIDE_VECTORS_BEGIN.
inline bool wideVectorsAvailable() {
#ifdef __x86_64__
  return vectorsAvailable() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
  return false;
#endif
}

/// The upper half of a float32, as LibTorch's BFloat16 holds it.
using Bfloat16 = uint16_t;

constexpr int64_t kLanes = 8;

}  // namespace dagan

DAGAN_VECTORS_BEGIN

namespace dagan {

#include "vector_operations.h"

}  // namespace dagan

DAGAN_VECTORS_END
