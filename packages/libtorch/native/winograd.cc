// The matrices of winograd.h, and its functions for processors with vectors of eight and of sixteen numbers (winograd_arithmetic.h).
#include "winograd.h"

namespace dagan::winograd {

int64_t lanes() { return wideVectorsAvailable() ? 16 : 8; }

bool available() { return vectorsAvailable(); }

int64_t Sizes::block() const {
  constexpr int64_t kCached = 3 << 18, kNumber = sizeof(float);  // bytes
  const int64_t fitting = kCached / (points() * (depth() + columns()) * kNumber);
  // A kernel that does not fit itself is read from memory for every block: then more tiles at once.
  const bool large = points() * depth() * columns() * kNumber > 2 * kCached;
  return std::clamp<int64_t>(fitting / 12 * 12, large ? 48 : 12, 96);
}

namespace {

/// B^T, G and A, for tiles of four pixels: what windows, kernels and (in the derivative) tiles are at the points.
template <int kTaps>
struct Method;

/// Points 0, 1, -1, 2, -2 and infinity.
template <>
struct Method<3> {
  static constexpr float window[6][6] = {{4, 0, -5, 0, 1, 0},  {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0},
                                         {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}};
  static constexpr float kernel[6][3] = {{1.0f / 4, 0, 0},
                                         {-1.0f / 6, -1.0f / 6, -1.0f / 6},
                                         {-1.0f / 6, 1.0f / 6, -1.0f / 6},
                                         {1.0f / 24, 1.0f / 12, 1.0f / 6},
                                         {1.0f / 24, -1.0f / 12, 1.0f / 6},
                                         {0, 0, 1}};
  static constexpr float tile[6][4] = {{1, 0, 0, 0}, {1, 1, 1, 1}, {1, -1, 1, -1}, {1, 2, 4, 8}, {1, -2, 4, -8}, {0, 0, 0, 1}};
};

/// Points 0, 1, -1, 2, -2, 1/2 and infinity.
template <>
struct Method<4> {
  static constexpr float window[7][7] = {{-4, 8, 5, -10, -1, 2, 0}, {0, 4, -4, -9, 1, 2, 0}, {0, -4, 12, -7, -3, 2, 0},
                                         {0, 2, -3, -4, 3, 2, 0},   {0, -2, 5, 0, -5, 2, 0}, {0, 4, 0, -5, 0, 1, 0},
                                         {0, -4, 8, 5, -10, -1, 2}};
  static constexpr float kernel[7][4] = {{-1.0f / 4, 0, 0, 0},
                                         {-1.0f / 6, -1.0f / 6, -1.0f / 6, -1.0f / 6},
                                         {1.0f / 18, -1.0f / 18, 1.0f / 18, -1.0f / 18},
                                         {1.0f / 72, 1.0f / 36, 1.0f / 18, 1.0f / 9},
                                         {-1.0f / 120, 1.0f / 60, -1.0f / 30, 1.0f / 15},
                                         {32.0f / 45, 16.0f / 45, 8.0f / 45, 4.0f / 45},
                                         {0, 0, 0, 1.0f / 2}};
  static constexpr float tile[7][4] = {{1, 0, 0, 0},  {1, 1, 1, 1},           {1, -1, 1, -1}, {1, 2, 4, 8},
                                       {1, -2, 4, -8}, {1, 0.5f, 0.25f, 0.125f}, {0, 0, 0, 1}};
};

}  // namespace

#define DAGAN_ARITHMETIC "winograd_arithmetic.h"
#include "both_widths.h"

#ifdef DAGAN_WIDE_VECTORS_BEGIN
#define DAGAN_WIDE_OR_NARROW(sizes, ...) ((sizes).lanes == 16 ? wide::__VA_ARGS__ : narrow::__VA_ARGS__)
#else
#define DAGAN_WIDE_OR_NARROW(sizes, ...) narrow::__VA_ARGS__
#endif

/// Calls a function for the kernel's taps and the processor's vectors.
#define DAGAN_CALL(function, sizes, ...)                                    \
  ((sizes).taps() == 3 ? DAGAN_WIDE_OR_NARROW(sizes, function<3>(sizes, __VA_ARGS__)) \
                       : DAGAN_WIDE_OR_NARROW(sizes, function<4>(sizes, __VA_ARGS__)))

void transformKernel(const Sizes& sizes, const float* kernel, Strides strides, float* points) {
  DAGAN_CALL(transformKernel, sizes, kernel, strides, points);
}

template <typename Number>
void convolve(const Sizes& sizes, const Number* input, const float* points, const float* bias, Number* output, int64_t first, int64_t last,
              float* workspace) {
  DAGAN_CALL(convolve, sizes, input, points, bias, output, first, last, workspace);
}

template <typename Number>
void addWeightGradient(const Sizes& sizes, const Number* input, const Number* outputGradient, int64_t first, int64_t last, float* points,
                       float* workspace) {
  DAGAN_CALL(addWeightGradient, sizes, input, outputGradient, first, last, points, workspace);
}

void weightGradient(const Sizes& sizes, const float* points, float* gradient) {
  DAGAN_CALL(weightGradient, sizes, points, gradient);
}

template <typename Number>
void addBiasGradient(const Sizes& sizes, const Number* outputGradient, int64_t first, int64_t last, double* sums) {
  DAGAN_WIDE_OR_NARROW(sizes, addBiasGradient(sizes, outputGradient, first, last, sums));
}

template void convolve(const Sizes&, const float*, const float*, const float*, float*, int64_t, int64_t, float*);
template void convolve(const Sizes&, const Bfloat16*, const float*, const float*, Bfloat16*, int64_t, int64_t, float*);
template void addBiasGradient(const Sizes&, const float*, int64_t, int64_t, double*);
template void addBiasGradient(const Sizes&, const Bfloat16*, int64_t, int64_t, double*);
template void addWeightGradient(const Sizes&, const float*, const float*, int64_t, int64_t, float*, float*);
template void addWeightGradient(const Sizes&, const Bfloat16*, const Bfloat16*, int64_t, int64_t, float*, float*);

}  // namespace dagan::winograd
