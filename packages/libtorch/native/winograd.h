// 3x3 convolutions with a quarter of the multiplications (Lavin and Gray, "Fast Algorithms for Convolutional Neural
// Networks", CVPR 2016), for float32 pictures whose channels lie innermost. Knows nothing of LibTorch.
#pragma once

#include <cstdint>

namespace dagan::winograd {

/// Whether this processor has the instructions that the functions below are compiled for.
bool available();

/// Tiles of 4x4 output pixels, which see 6x6 input pixels.
constexpr int64_t kTile = 4;
constexpr int64_t kWindow = 6;
/// Values by which a tile is multiplied with a kernel, channel by channel.
constexpr int64_t kPoints = kWindow * kWindow;
/// Both numbers of channels must be multiples of it.
constexpr int64_t kChannels = 16;

/// A convolution of stride 1 with a border of one zero: input [batch, height, width, in], output [batch, height, width, out].
struct Sizes {
  int64_t batch, height, width, in, out;

  int64_t tilesDown() const { return (height + kTile - 1) / kTile; }
  int64_t tilesAcross() const { return (width + kTile - 1) / kTile; }
  int64_t tiles() const { return batch * tilesDown() * tilesAcross(); }
  /// Tiles that are computed at once, so that what lies between the steps stays in the cache.
  int64_t block() const;
  /// Numbers of working memory that `convolve` and `addWeightGradient` need.
  int64_t workspace() const { return kPoints * block() * (in + out); }
};

/// Distances between the elements of a kernel [out, in, 3, 3].
struct Strides {
  int64_t out, in, row, column;
};

/// The kernel at its 36 points: `points` holds [36, out / 16, in, 16].
void transformKernel(const float* kernel, Strides strides, int64_t in, int64_t out, float* points);

/// The same for the kernel that leads gradients back, turned by 180 degrees and from `out` to `in`: [36, in / 16, out, 16].
void transformBackwardKernel(const float* kernel, Strides strides, int64_t in, int64_t out, float* points);

/// Computes the tiles from `first` to before `last`; `bias` [out] may be null.
void convolve(const Sizes& sizes, const float* input, const float* points, const float* bias, float* output,
              int64_t first, int64_t last, float* workspace);

/// Adds what these tiles have to say of the kernel's gradient, at its 36 points: `points` holds [36, in, out].
void addWeightGradient(const Sizes& sizes, const float* input, const float* outputGradient, int64_t first, int64_t last,
                       float* points, float* workspace);

/// The kernel's gradient [out, in, 3, 3] from [36, in, out].
void weightGradient(const float* points, int64_t in, int64_t out, float* gradient, Strides strides);

}  // namespace dagan::winograd
