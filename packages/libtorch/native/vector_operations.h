// Vectors of `kLanes` numbers, in the compilers' vector types, and how they are read from and written to memory of 32 and of 16 bits.
// Included into a namespace that says what `kLanes` is, once for every number of lanes; with DAGAN_MASKS where there are masks of AVX-512.

typedef float Vector __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));
typedef int32_t Whole __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));
typedef uint32_t Bits __attribute__((vector_size(kLanes * 4)));
typedef uint16_t HalfBits __attribute__((vector_size(kLanes * 2), aligned(2), may_alias));

DAGAN_INLINE Vector load(const float* memory) { return *reinterpret_cast<const Vector*>(memory); }
DAGAN_INLINE void store(const Vector& vector, float* memory) { *reinterpret_cast<Vector*>(memory) = vector; }

DAGAN_INLINE Vector load(const Bfloat16* memory) {
  const Bits bits = __builtin_convertvector(*reinterpret_cast<const HalfBits*>(memory), Bits) << 16;
  return reinterpret_cast<const Vector&>(bits);
}

/// Rounded to the nearest, to even where there are two; what is not a number stays so.
DAGAN_INLINE HalfBits halved(const Vector& vector) {
  const Bits bits = reinterpret_cast<const Bits&>(vector);
  const Bits rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const Whole number = vector == vector;
  const Bits result = (rounded & reinterpret_cast<const Bits&>(number)) | (0x7fc0u & ~reinterpret_cast<const Bits&>(number));
  return __builtin_convertvector(result, HalfBits);
}

DAGAN_INLINE void store(const Vector& vector, Bfloat16* memory) { *reinterpret_cast<HalfBits*>(memory) = halved(vector); }

/// The vector where the condition holds, 0 elsewhere.
DAGAN_INLINE Vector where(const Whole& condition, const Vector& vector) {
  const Whole kept = reinterpret_cast<const Whole&>(vector) & condition;
  return reinterpret_cast<const Vector&>(kept);
}

#ifdef DAGAN_MASKS

/// The first numbers of a vector, the others are 0; where there are as many as it has lanes or more, all.
DAGAN_INLINE Vector loadFirst(const float* memory, int64_t count) {
  if (count >= kLanes) return load(memory);
  const __m512 vector = _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), memory);
  return reinterpret_cast<const Vector&>(vector);
}

DAGAN_INLINE Vector loadFirst(const Bfloat16* memory, int64_t count) {
  if (count >= kLanes) return load(memory);
  const __m256i half = _mm256_maskz_loadu_epi16(static_cast<__mmask16>((1u << count) - 1), memory);
  return load(reinterpret_cast<const Bfloat16*>(&half));
}

DAGAN_INLINE void storeFirst(const Vector& vector, float* memory, int64_t count) {
  if (count >= kLanes) return store(vector, memory);
  _mm512_mask_storeu_ps(memory, static_cast<__mmask16>((1u << count) - 1), reinterpret_cast<const __m512&>(vector));
}

DAGAN_INLINE void storeFirst(const Vector& vector, Bfloat16* memory, int64_t count) {
  if (count >= kLanes) return store(vector, memory);
  const HalfBits half = halved(vector);
  _mm256_mask_storeu_epi16(memory, static_cast<__mmask16>((1u << count) - 1), reinterpret_cast<const __m256i&>(half));
}

#else

/// The first numbers of a vector, the others are 0; where there are as many as it has lanes or more, all.
template <typename Number>
DAGAN_INLINE Vector loadFirst(const Number* memory, int64_t count) {
  if (count >= kLanes) return load(memory);
  Number padded[kLanes] = {};
  std::memcpy(padded, memory, static_cast<size_t>(count) * sizeof(Number));
  return load(padded);
}

template <typename Number>
DAGAN_INLINE void storeFirst(const Vector& vector, Number* memory, int64_t count) {
  if (count >= kLanes) return store(vector, memory);
  Number padded[kLanes];
  store(vector, padded);
  std::memcpy(memory, padded, static_cast<size_t>(count) * sizeof(Number));
}

#endif
