// Convolutions with a quarter of the multiplications (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR
// 2016), for pictures of float32 or bfloat16 whose channels lie innermost. The arithmetic is float32. Knows nothing of LibTorch.
#pragma once

#include "vectors.h"

namespace dagan::winograd {

/// Whether this processor has the instructions that the functions below are compiled for.
bool available();

/// Numbers in its vectors: 16 with AVX-512, else 8.
int64_t lanes();

/// Side of the tiles of output pixels that are computed at once.
constexpr int64_t kTile = 4;
/// Kernels from 3 x 3 to this side.
constexpr int64_t kSmallest = 3, kLargest = 8;

constexpr int64_t roundedUp(int64_t number, int64_t multiple) { return (number + multiple - 1) / multiple * multiple; }

/**
 * A convolution of stride 1: input [batch, height, width, in], output [batch, outHeight, outWidth, out]. Kernels of 3 x 3 and 4 x 4 are
 * computed as they are, larger ones as 2 x 2 such kernels whose results are added, of which the last end with zeros.
 */
struct Sizes {
  int64_t batch, height, width, in, out, kernel, padding;
  int64_t lanes = winograd::lanes();

  int64_t outHeight() const { return height + 2 * padding - kernel + 1; }
  int64_t outWidth() const { return width + 2 * padding - kernel + 1; }
  int64_t tilesDown() const { return (outHeight() + kTile - 1) / kTile; }
  int64_t tilesAcross() const { return (outWidth() + kTile - 1) / kTile; }
  int64_t tiles() const { return batch * tilesDown() * tilesAcross(); }
  /// Side of the small kernels, and how many of them are along a side of the whole.
  int64_t taps() const { return kernel == 4 || kernel > 6 ? 4 : 3; }
  int64_t parts() const { return kernel > 4 ? 2 : 1; }
  /// Values by which a tile is multiplied with a small kernel, channel by channel.
  int64_t points() const { return (kTile + taps() - 1) * (kTile + taps() - 1); }
  /// Input channels of all small kernels, one after the other, and output channels, as they are computed.
  int64_t depth() const { return parts() * parts() * in; }
  int64_t columns() const { return roundedUp(out, lanes); }
  /// Tiles that are computed at once, so that what lies between the steps stays in the cache.
  int64_t block() const;
  /// Numbers from the kernel, the windows of a block and its products at one point to those at the next. The gap lets their places in the
  /// cache differ.
  int64_t kernelStep() const { return depth() * columns() + lanes; }
  int64_t windowsStep() const { return block() * depth() + lanes; }
  int64_t productsStep() const { return block() * columns() + lanes; }
  /// Numbers of working memory that `convolve` and `addWeightGradient` need.
  int64_t workspace() const { return points() * (windowsStep() + productsStep()); }
};

/// Distances between the elements of a kernel, whose output channels lie innermost.
struct Strides {
  int64_t in, row, column;
};

/// The kernel at its points: `points` holds [points, depth, columns], in panels of two vectors of columns, each point `kernelStep` behind
/// the one before.
void transformKernel(const Sizes& sizes, const float* kernel, Strides strides, float* points);

/// Computes the tiles from `first` to before `last`; `bias` [out] may be null.
template <typename Number>
void convolve(const Sizes& sizes, const Number* input, const float* points, const float* bias, Number* output, int64_t first, int64_t last,
              float* workspace);

/// Adds what these tiles have to say of the kernel's gradient, at its points: `points` holds [points, depth, columns], with `kernelStep`.
template <typename Number>
void addWeightGradient(const Sizes& sizes, const Number* input, const Number* outputGradient, int64_t first, int64_t last, float* points,
                       float* workspace);

/// Adds the output's gradient, from pixel `first` to before `last` of all pictures, to `sums` [out].
template <typename Number>
void addBiasGradient(const Sizes& sizes, const Number* outputGradient, int64_t first, int64_t last, double* sums);

/// The kernel's gradient [side, side, in, out] from what `addWeightGradient` has added up.
void weightGradient(const Sizes& sizes, const float* points, float* gradient);

}  // namespace dagan::winograd
