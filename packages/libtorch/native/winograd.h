// Convolutions with a quarter of the multiplications (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR
// 2016), for float32 pictures whose channels lie innermost. Knows nothing of LibTorch.
#pragma once

#include <cstdint>

namespace dagan::winograd {

/// Whether this processor has the instructions that the functions below are compiled for.
bool available();

/// Side of the tiles of output pixels that are computed at once.
constexpr int64_t kTile = 4;
/// Channels in a vector, and those of the output that are computed at once.
constexpr int64_t kLanes = 8;
constexpr int64_t kPanel = 16;
/// Kernels from 3 x 3 to this side.
constexpr int64_t kSmallest = 3, kLargest = 8;

constexpr int64_t roundedUp(int64_t number, int64_t multiple) { return (number + multiple - 1) / multiple * multiple; }

/**
 * A convolution of stride 1: input [batch, height, width, in], output [batch, outHeight, outWidth, out]. Kernels of 3 x 3 and 4 x 4 are
 * computed as they are, larger ones as 2 x 2 such kernels whose results are added, of which the last end with zeros.
 */
struct Sizes {
  int64_t batch, height, width, in, out, kernel, padding;

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
  int64_t depth() const { return parts() * parts() * roundedUp(in, kLanes); }
  int64_t columns() const { return roundedUp(out, kPanel); }
  /// Tiles that are computed at once, so that what lies between the steps stays in the cache.
  int64_t block() const;
  /// Numbers of working memory that `convolve` and `addWeightGradient` need.
  int64_t workspace() const { return points() * block() * (depth() + columns()); }
};

/// Distances between the elements of a kernel [out, in, side, side].
struct Strides {
  int64_t out, in, row, column;
};

/// The kernel at its points: `points` holds [points, columns / 16, depth, 16].
void transformKernel(const Sizes& sizes, const float* kernel, Strides strides, float* points);

/// Computes the tiles from `first` to before `last`; `bias` [out] may be null.
void convolve(const Sizes& sizes, const float* input, const float* points, const float* bias, float* output,
              int64_t first, int64_t last, float* workspace);

/// Adds what these tiles have to say of the kernel's gradient, at its points: `points` holds [points, depth, columns].
void addWeightGradient(const Sizes& sizes, const float* input, const float* outputGradient, int64_t first, int64_t last,
                       float* points, float* workspace);

/// The kernel's gradient [out, in, side, side] from [points, depth, columns].
void weightGradient(const Sizes& sizes, const float* points, float* gradient, Strides strides);

}  // namespace dagan::winograd
