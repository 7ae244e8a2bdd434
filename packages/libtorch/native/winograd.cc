// The arithmetic of winograd.h: Y = A^T [ (G g G^T) * (B^T d B) ] A for every tile, "*" being a matrix product over channels
// at each of the points; the derivatives by d and g are of the same form.
//
// Vectors of eight numbers are written with the compilers' vector types. On x86-64 this file is for AVX2 and FMA, which not
// every processor has: see `available`.
#include "winograd.h"

#include <algorithm>
#include <cstring>

#define DAGAN_INLINE inline __attribute__((always_inline))

// After the headers, whose functions other files share.
#ifdef __x86_64__
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#endif

namespace dagan::winograd {

int64_t Sizes::block() const {
  constexpr int64_t kCached = 3 << 19, kNumber = sizeof(float);  // bytes
  const int64_t fitting = kCached / (points() * (depth() + columns()) * kNumber);
  // A kernel that does not fit itself is read from memory for every block: then more tiles at once.
  const bool large = points() * depth() * columns() * kNumber > 2 * kCached;
  return std::clamp<int64_t>(fitting / 6 * 6, large ? 48 : 12, 96);
}

namespace {

typedef float Vector __attribute__((vector_size(32), aligned(4), may_alias));

DAGAN_INLINE Vector& at(float* memory) { return *reinterpret_cast<Vector*>(memory); }
DAGAN_INLINE const Vector& at(const float* memory) { return *reinterpret_cast<const Vector*>(memory); }

/// The first numbers of a vector, the others are 0; where there are eight or more, all.
DAGAN_INLINE Vector loadFirst(const float* memory, int64_t count) {
  if (count >= kLanes) return at(memory);
  Vector vector{};
  std::memcpy(&vector, memory, static_cast<size_t>(count) * sizeof(float));
  return vector;
}

DAGAN_INLINE void storeFirst(const Vector& vector, float* memory, int64_t count) {
  if (count >= kLanes) at(memory) = vector;
  else std::memcpy(memory, &vector, static_cast<size_t>(count) * sizeof(float));
}

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

/// M v, or M^T v. Only entries that are not 0 are multiplied.
template <const auto& kMatrix, bool kTransposed>
DAGAN_INLINE void multiplied(const Vector* from, int64_t step, Vector* to, int64_t toStep) {
  constexpr int kRows = sizeof(kMatrix) / sizeof(kMatrix[0]), kColumns = sizeof(kMatrix[0]) / sizeof(float);
#pragma GCC unroll 8
  for (int i = 0; i < (kTransposed ? kColumns : kRows); ++i) {
    Vector sum{};
    bool begun = false;
#pragma GCC unroll 8
    for (int k = 0; k < (kTransposed ? kRows : kColumns); ++k) {
      const float factor = kTransposed ? kMatrix[k][i] : kMatrix[i][k];
      if (factor == 0) continue;
      sum = begun ? sum + factor * from[k * step] : factor * from[k * step];
      begun = true;
    }
    to[i * toStep] = sum;
  }
}

/// M v M^T, or M^T v M.
template <const auto& kMatrix, bool kTransposed>
DAGAN_INLINE void transformed(const Vector* from, Vector* to) {
  constexpr int kRows = sizeof(kMatrix) / sizeof(kMatrix[0]), kColumns = sizeof(kMatrix[0]) / sizeof(float);
  constexpr int kFrom = kTransposed ? kRows : kColumns, kTo = kTransposed ? kColumns : kRows;
  Vector half[kTo * kFrom];
  for (int column = 0; column < kFrom; ++column) multiplied<kMatrix, kTransposed>(from + column, kFrom, half + column, kFrom);
  for (int row = 0; row < kTo; ++row) multiplied<kMatrix, kTransposed>(half + row * kFrom, 1, to + row * kTo, 1);
}

/// Where a tile lies in the output.
struct Place {
  int64_t picture, top, left;
};

DAGAN_INLINE Place placeOf(const Sizes& sizes, int64_t tile) {
  const int64_t across = sizes.tilesAcross(), ofPicture = across * sizes.tilesDown();
  const int64_t inPicture = tile % ofPicture;
  return {tile / ofPicture, inPicture / across * kTile, inPicture % across * kTile};
}

/// Pictures [.., height, width, channels].
struct Pictures {
  int64_t height, width, channels;
};

/// A square whose corner is at `place`, eight channels; zeros beyond the picture and its channels.
template <int kSide>
DAGAN_INLINE void load(const float* pictures, const Pictures& size, const Place& place, int64_t channel, Vector* square) {
  for (int64_t row = 0; row < kSide; ++row) {
    const int64_t y = place.top + row;
    for (int64_t column = 0; column < kSide; ++column) {
      const int64_t x = place.left + column;
      const bool inside = y >= 0 && y < size.height && x >= 0 && x < size.width;
      const int64_t pixel = (place.picture * size.height + y) * size.width + x;
      square[row * kSide + column] =
          inside ? loadFirst(pictures + pixel * size.channels + channel, size.channels - channel) : Vector{};
    }
  }
}

/// Input windows at the points: `points` holds [points, block, depth].
template <int kTaps>
DAGAN_INLINE void transformInput(const Sizes& sizes, const float* input, int64_t first, int64_t count, int64_t block,
                                 float* points) {
  constexpr int kWindow = kTile + kTaps - 1;
  const Pictures size{sizes.height, sizes.width, sizes.in};
  const int64_t depth = sizes.depth();
  for (int64_t i = 0; i < count; ++i) {
    const Place place = placeOf(sizes, first + i);
    float* to = points + i * depth;
    for (int64_t part = 0; part < sizes.parts() * sizes.parts(); ++part) {
      const Place corner{place.picture, place.top - sizes.padding + part / sizes.parts() * kTaps,
                         place.left - sizes.padding + part % sizes.parts() * kTaps};
      for (int64_t channel = 0; channel < sizes.in; channel += kLanes, to += kLanes) {
        Vector window[kWindow * kWindow], values[kWindow * kWindow];
        load<kWindow>(input, size, corner, channel, window);
        transformed<Method<kTaps>::window, false>(window, values);
        for (int64_t point = 0; point < kWindow * kWindow; ++point) at(to + point * block * depth) = values[point];
      }
    }
  }
}

/// [kRows, 16] += rows [kRows, depth] times columns [depth, 16]. Steps tell where the next row, or the next of its numbers, is.
template <int kRows>
DAGAN_INLINE void multiply(const float* rows, int64_t rowStep, int64_t depthStep, const float* columns,
                           int64_t columnStep, int64_t depth, float* result, int64_t resultStep, bool add) {
  Vector sums[kRows][2];
#pragma GCC unroll 6
  for (int row = 0; row < kRows; ++row) {
    sums[row][0] = add ? at(result + row * resultStep) : Vector{};
    sums[row][1] = add ? at(result + row * resultStep + kLanes) : Vector{};
  }
  for (int64_t k = 0; k < depth; ++k) {
    const Vector left = at(columns + k * columnStep), right = at(columns + k * columnStep + kLanes);
#pragma GCC unroll 6
    for (int row = 0; row < kRows; ++row) {
      const float factor = rows[row * rowStep + k * depthStep];
      sums[row][0] += factor * left;
      sums[row][1] += factor * right;
    }
  }
#pragma GCC unroll 6
  for (int row = 0; row < kRows; ++row) {
    at(result + row * resultStep) = sums[row][0];
    at(result + row * resultStep + kLanes) = sums[row][1];
  }
}

/// The same for any number of rows.
DAGAN_INLINE void multiplyRows(int64_t count, const float* rows, int64_t rowStep, int64_t depthStep, const float* columns,
                               int64_t columnStep, int64_t depth, float* result, int64_t resultStep, bool add) {
  int64_t row = 0;
  for (; row + 6 <= count; row += 6) {
    multiply<6>(rows + row * rowStep, rowStep, depthStep, columns, columnStep, depth, result + row * resultStep, resultStep, add);
  }
  for (; row + 2 <= count; row += 2) {
    multiply<2>(rows + row * rowStep, rowStep, depthStep, columns, columnStep, depth, result + row * resultStep, resultStep, add);
  }
  if (row < count) {
    multiply<1>(rows + row * rowStep, rowStep, depthStep, columns, columnStep, depth, result + row * resultStep, resultStep, add);
  }
}

template <int kTaps>
void transformKernel(const Sizes& sizes, const float* kernel, Strides strides, float* points) {
  constexpr int kWindow = kTile + kTaps - 1;
  const int64_t depth = sizes.depth(), columns = sizes.columns(), parts = sizes.parts();
  const int64_t inside = roundedUp(sizes.in, kLanes);
  std::fill(points, points + kWindow * kWindow * depth * columns, 0.0f);
  for (int64_t o = 0; o < sizes.out; o += kLanes) {
    const int64_t lanes = std::min(kLanes, sizes.out - o);
    for (int64_t part = 0; part < parts * parts; ++part) {
      for (int64_t i = 0; i < sizes.in; ++i) {
        Vector taps[kTaps * kTaps]{}, values[kWindow * kWindow];
        for (int64_t tap = 0; tap < kTaps * kTaps; ++tap) {
          const int64_t row = part / parts * kTaps + tap / kTaps, column = part % parts * kTaps + tap % kTaps;
          if (row >= sizes.kernel || column >= sizes.kernel) continue;
          const float* from = kernel + o * strides.out + i * strides.in + row * strides.row + column * strides.column;
          for (int64_t lane = 0; lane < lanes; ++lane) taps[tap][lane] = from[lane * strides.out];
        }
        transformed<Method<kTaps>::kernel, false>(taps, values);
        float* to = points + (o / kPanel * depth + part * inside + i) * kPanel + o % kPanel;
        for (int64_t point = 0; point < kWindow * kWindow; ++point) at(to + point * depth * columns) = values[point];
      }
    }
  }
}

template <int kTaps>
void convolve(const Sizes& sizes, const float* input, const float* points, const float* bias, float* output,
              int64_t first, int64_t last, float* workspace) {
  constexpr int kWindow = kTile + kTaps - 1, kPoints = kWindow * kWindow;
  const int64_t block = sizes.block(), depth = sizes.depth(), columns = sizes.columns(), out = sizes.out;
  const int64_t height = sizes.outHeight(), width = sizes.outWidth();
  float* windows = workspace;                             // [points, block, depth]
  float* products = workspace + kPoints * block * depth;  // [points, block, columns]
  for (int64_t begin = first; begin < last; begin += block) {
    const int64_t count = std::min(block, last - begin);
    transformInput<kTaps>(sizes, input, begin, count, block, windows);
    for (int64_t point = 0; point < kPoints; ++point) {
      for (int64_t o = 0; o < columns; o += kPanel) {
        multiplyRows(count, windows + point * block * depth, depth, 1, points + (point * columns + o) * depth, kPanel, depth,
                     products + point * block * columns + o, columns, false);
      }
    }
    for (int64_t i = 0; i < count; ++i) {
      const Place place = placeOf(sizes, begin + i);
      for (int64_t channel = 0; channel < out; channel += kLanes) {
        Vector values[kPoints], tile[kTile * kTile];
        for (int64_t point = 0; point < kPoints; ++point) values[point] = at(products + (point * block + i) * columns + channel);
        transformed<Method<kTaps>::tile, true>(values, tile);
        const Vector offset = bias != nullptr ? loadFirst(bias + channel, out - channel) : Vector{};
        for (int64_t y = 0; y < std::min(kTile, height - place.top); ++y) {
          for (int64_t x = 0; x < std::min(kTile, width - place.left); ++x) {
            const int64_t pixel = (place.picture * height + place.top + y) * width + place.left + x;
            storeFirst(tile[y * kTile + x] + offset, output + pixel * out + channel, out - channel);
          }
        }
      }
    }
  }
}

template <int kTaps>
void addWeightGradient(const Sizes& sizes, const float* input, const float* outputGradient, int64_t first, int64_t last,
                       float* points, float* workspace) {
  constexpr int kWindow = kTile + kTaps - 1, kPoints = kWindow * kWindow;
  const int64_t block = sizes.block(), depth = sizes.depth(), columns = sizes.columns();
  const Pictures size{sizes.outHeight(), sizes.outWidth(), sizes.out};
  float* windows = workspace;                              // [points, block, depth]
  float* gradients = workspace + kPoints * block * depth;  // [points, block, columns]
  std::fill(gradients, gradients + kPoints * block * columns, 0.0f);
  for (int64_t begin = first; begin < last; begin += block) {
    const int64_t count = std::min(block, last - begin);
    transformInput<kTaps>(sizes, input, begin, count, block, windows);
    for (int64_t i = 0; i < count; ++i) {
      const Place place = placeOf(sizes, begin + i);
      for (int64_t channel = 0; channel < sizes.out; channel += kLanes) {
        Vector tile[kTile * kTile], values[kPoints];
        load<kTile>(outputGradient, size, place, channel, tile);
        transformed<Method<kTaps>::tile, false>(tile, values);
        for (int64_t point = 0; point < kPoints; ++point) at(gradients + (point * block + i) * columns + channel) = values[point];
      }
    }
    for (int64_t point = 0; point < kPoints; ++point) {
      for (int64_t o = 0; o < columns; o += kPanel) {
        multiplyRows(depth, windows + point * block * depth, 1, depth, gradients + point * block * columns + o, columns, count,
                     points + point * depth * columns + o, columns, true);
      }
    }
  }
}

template <int kTaps>
void weightGradient(const Sizes& sizes, const float* points, float* gradient, Strides strides) {
  constexpr int kWindow = kTile + kTaps - 1;
  const int64_t depth = sizes.depth(), columns = sizes.columns(), parts = sizes.parts();
  const int64_t inside = roundedUp(sizes.in, kLanes);
  for (int64_t i = 0; i < sizes.in; ++i) {
    for (int64_t part = 0; part < parts * parts; ++part) {
      for (int64_t o = 0; o < sizes.out; o += kLanes) {
        const int64_t lanes = std::min(kLanes, sizes.out - o);
        Vector values[kWindow * kWindow], taps[kTaps * kTaps];
        for (int64_t point = 0; point < kWindow * kWindow; ++point) {
          values[point] = at(points + (point * depth + part * inside + i) * columns + o);
        }
        transformed<Method<kTaps>::kernel, true>(values, taps);
        for (int64_t tap = 0; tap < kTaps * kTaps; ++tap) {
          const int64_t row = part / parts * kTaps + tap / kTaps, column = part % parts * kTaps + tap % kTaps;
          if (row >= sizes.kernel || column >= sizes.kernel) continue;
          float* to = gradient + o * strides.out + i * strides.in + row * strides.row + column * strides.column;
          for (int64_t lane = 0; lane < lanes; ++lane) to[lane * strides.out] = taps[tap][lane];
        }
      }
    }
  }
}

}  // namespace

void transformKernel(const Sizes& sizes, const float* kernel, Strides strides, float* points) {
  (sizes.taps() == 3 ? transformKernel<3> : transformKernel<4>)(sizes, kernel, strides, points);
}

void convolve(const Sizes& sizes, const float* input, const float* points, const float* bias, float* output,
              int64_t first, int64_t last, float* workspace) {
  (sizes.taps() == 3 ? convolve<3> : convolve<4>)(sizes, input, points, bias, output, first, last, workspace);
}

void addWeightGradient(const Sizes& sizes, const float* input, const float* outputGradient, int64_t first, int64_t last,
                       float* points, float* workspace) {
  const auto add = sizes.taps() == 3 ? addWeightGradient<3> : addWeightGradient<4>;
  add(sizes, input, outputGradient, first, last, points, workspace);
}

void weightGradient(const Sizes& sizes, const float* points, float* gradient, Strides strides) {
  (sizes.taps() == 3 ? weightGradient<3> : weightGradient<4>)(sizes, points, gradient, strides);
}

}  // namespace dagan::winograd

#ifdef __x86_64__
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

namespace dagan::winograd {

bool available() {
#ifdef __x86_64__
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return true;
#endif
}

}  // namespace dagan::winograd
