// Batch norm, ReLU and the mean of 2 x 2 pixels in one pass over memory each way, where LibTorch's operators take three. For pictures whose
// channels lie innermost, in float32 or bfloat16. Knows nothing of LibTorch.
#pragma once

#include <cstdint>

#include "vectors.h"

namespace dagan::normalization {

/// Pictures [rows, width, channels], the rows of all pictures one after the other; a multiple of `kLanes` channels.
struct Sizes {
  int64_t rows, width, channels;
  /// Side of the squares of output pixels whose mean is taken: 1 or 2, by which rows and width can be divided.
  int64_t pool;
};

/// What the values of each channel have in common, [channels] each: how many, their mean, and the sum of squares around it.
struct Statistics {
  double count;
  double* means;
  double* squares;
};

/// What is done to the values of each channel, [channels] each: max(0, scale x + shift).
struct Transform {
  const float* scale;
  const float* shift;
};

/// Takes the rows from `first` to before `last` into the statistics.
template <typename Number>
void addStatistics(const Sizes& sizes, const Number* input, int64_t first, int64_t last, Statistics& statistics);

/// Computes the output's rows from `first` to before `last`.
template <typename Number>
void transform(const Sizes& sizes, const Number* input, Transform by, Number* output, int64_t first, int64_t last);

/// Adds, over the input's rows from `first` to before `last`, the gradients before the ReLU to `sums` and the same times x - mean to
/// `products`, [channels] each.
template <typename Number>
void addGradientSums(const Sizes& sizes, const Number* input, const Number* outputGradient, Transform by, const float* means,
                     int64_t first, int64_t last, double* sums, double* products);

/// The input's gradient in these rows: scale times the gradient before the ReLU, + slope (x - mean) + offset; [channels] each.
template <typename Number>
void inputGradient(const Sizes& sizes, const Number* input, const Number* outputGradient, Transform by, const float* means,
                   const float* slopes, const float* offsets, Number* gradient, int64_t first, int64_t last);

}  // namespace dagan::normalization
