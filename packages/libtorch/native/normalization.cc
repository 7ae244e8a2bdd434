// The functions of normalization.h for processors with vectors of eight and of sixteen numbers (normalization_arithmetic.h).
#include "normalization.h"

namespace dagan::normalization {

#define DAGAN_ARITHMETIC "normalization_arithmetic.h"
#include "both_widths.h"

#ifdef DAGAN_WIDE_VECTORS_BEGIN
namespace {

/// Whether vectors of sixteen numbers hold all channels.
bool fitsWide(const Sizes& sizes) {
  static const bool available = wideVectorsAvailable();
  return available && sizes.channels % wide::kLanes == 0;
}

}  // namespace

#define DAGAN_WIDE_OR_NARROW(...) (fitsWide(sizes) ? wide::__VA_ARGS__ : narrow::__VA_ARGS__)
#else
#define DAGAN_WIDE_OR_NARROW(...) narrow::__VA_ARGS__
#endif

template <typename Number>
void addStatistics(const Sizes& sizes, const Number* input, int64_t first, int64_t last, Statistics& statistics) {
  DAGAN_WIDE_OR_NARROW(addStatistics(sizes, input, first, last, statistics));
}

template <typename Number>
void transform(const Sizes& sizes, const Number* input, Transform by, Number* output, int64_t first, int64_t last) {
  DAGAN_WIDE_OR_NARROW(transform(sizes, input, by, output, first, last));
}

template <typename Number>
void addGradientSums(const Sizes& sizes, const Number* input, const Number* outputGradient, Transform by, const float* means,
                     int64_t first, int64_t last, double* sums, double* products) {
  DAGAN_WIDE_OR_NARROW(addGradientSums(sizes, input, outputGradient, by, means, first, last, sums, products));
}

template <typename Number>
void inputGradient(const Sizes& sizes, const Number* input, const Number* outputGradient, Transform by, const float* means,
                   const float* slopes, const float* offsets, Number* gradient, int64_t first, int64_t last) {
  DAGAN_WIDE_OR_NARROW(inputGradient(sizes, input, outputGradient, by, means, slopes, offsets, gradient, first, last));
}

#define DAGAN_FOR(Number)                                                                                                      \
  template void addStatistics(const Sizes&, const Number*, int64_t, int64_t, Statistics&);                                     \
  template void transform(const Sizes&, const Number*, Transform, Number*, int64_t, int64_t);                                  \
  template void addGradientSums(const Sizes&, const Number*, const Number*, Transform, const float*, int64_t, int64_t,         \
                                double*, double*);                                                                             \
  template void inputGradient(const Sizes&, const Number*, const Number*, Transform, const float*, const float*, const float*, \
                              Number*, int64_t, int64_t);
DAGAN_FOR(float)
DAGAN_FOR(Bfloat16)
#undef DAGAN_FOR

}  // namespace dagan::normalization
