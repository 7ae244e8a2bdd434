// The arithmetic of winograd.h: Y = A^T [ (G g G^T) * (B^T d B) ] A for every tile, "*" being a matrix product over channels
// at each of the 36 points; the derivatives by d and g are of the same form.
//
// Vectors of eight numbers are written with the compilers' vector types. On x86-64 this file is for AVX2 and FMA, which not
// every processor has: see `available`.
#include "winograd.h"

#include <algorithm>

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
  constexpr int64_t kBytes = 3 << 19;
  const int64_t fitting = kBytes / (kPoints * (in + out) * static_cast<int64_t>(sizeof(float)));
  return std::clamp<int64_t>(fitting / 6 * 6, 12, 96);
}

namespace {

typedef float Vector __attribute__((vector_size(32), aligned(4), may_alias));
constexpr int64_t kLanes = 8;

DAGAN_INLINE Vector& at(float* memory) { return *reinterpret_cast<Vector*>(memory); }
DAGAN_INLINE const Vector& at(const float* memory) { return *reinterpret_cast<const Vector*>(memory); }

/// B^T d, of six numbers.
DAGAN_INLINE void windowPoints(const Vector* d, int64_t step, Vector* result, int64_t resultStep) {
  const Vector d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
  const Vector even = d4 - 4 * d2, odd = d3 - 4 * d1, far = d4 - d2, near = 2 * (d3 - d1);
  result[0] = 4 * d0 - 5 * d2 + d4;
  result[resultStep] = even + odd;
  result[2 * resultStep] = even - odd;
  result[3 * resultStep] = far + near;
  result[4 * resultStep] = far - near;
  result[5 * resultStep] = 4 * d1 - 5 * d3 + d5;
}

/// A^T m, of six numbers four.
DAGAN_INLINE void tileOfPoints(const Vector* m, int64_t step, Vector* result, int64_t resultStep) {
  const Vector sum = m[step] + m[2 * step], difference = m[step] - m[2 * step];
  const Vector farSum = m[3 * step] + m[4 * step], farDifference = m[3 * step] - m[4 * step];
  result[0] = m[0] + sum + farSum;
  result[resultStep] = difference + 2 * farDifference;
  result[2 * resultStep] = sum + 4 * farSum;
  result[3 * resultStep] = difference + 8 * farDifference + m[5 * step];
}

/// A y, of four numbers six.
DAGAN_INLINE void pointsOfTile(const Vector* y, int64_t step, Vector* result, int64_t resultStep) {
  const Vector y0 = y[0], y1 = y[step], y2 = y[2 * step], y3 = y[3 * step];
  const Vector even = y0 + y2, odd = y1 + y3, farEven = y0 + 4 * y2, farOdd = 2 * y1 + 8 * y3;
  result[0] = y0;
  result[resultStep] = even + odd;
  result[2 * resultStep] = even - odd;
  result[3 * resultStep] = farEven + farOdd;
  result[4 * resultStep] = farEven - farOdd;
  result[5 * resultStep] = y3;
}

/// G g, of three numbers six.
DAGAN_INLINE void pointsOfKernel(const Vector* g, int64_t step, Vector* result, int64_t resultStep) {
  const Vector g0 = g[0], g1 = g[step], g2 = g[2 * step];
  const Vector even = (g0 + g2) * (-1.0f / 6), odd = g1 * (1.0f / 6);
  const Vector farEven = g0 * (1.0f / 24) + g2 * (1.0f / 6), farOdd = g1 * (1.0f / 12);
  result[0] = g0 * 0.25f;
  result[resultStep] = even - odd;
  result[2 * resultStep] = even + odd;
  result[3 * resultStep] = farEven + farOdd;
  result[4 * resultStep] = farEven - farOdd;
  result[5 * resultStep] = g2;
}

/// G^T u, of six numbers three.
DAGAN_INLINE void kernelOfPoints(const Vector* u, int64_t step, Vector* result, int64_t resultStep) {
  const Vector sum = u[step] + u[2 * step], difference = u[2 * step] - u[step];
  const Vector farSum = u[3 * step] + u[4 * step], farDifference = u[3 * step] - u[4 * step];
  result[0] = u[0] * 0.25f - sum * (1.0f / 6) + farSum * (1.0f / 24);
  result[resultStep] = difference * (1.0f / 6) + farDifference * (1.0f / 12);
  result[2 * resultStep] = (farSum - sum) * (1.0f / 6) + u[5 * step];
}

/// Where a tile lies.
struct Place {
  int64_t picture, top, left;
};

DAGAN_INLINE Place placeOf(const Sizes& sizes, int64_t tile) {
  const int64_t across = sizes.tilesAcross(), ofPicture = across * sizes.tilesDown();
  const int64_t inPicture = tile % ofPicture;
  return {tile / ofPicture, inPicture / across * kTile, inPicture % across * kTile};
}

/// Rows from `place` of a picture [height, width, channels], eight channels; zeros around it.
template <int64_t kSide>
DAGAN_INLINE void load(const float* pictures, const Sizes& sizes, int64_t channels, const Place& place, int64_t offset,
                       int64_t channel, Vector* window) {
  for (int64_t row = 0; row < kSide; ++row) {
    const int64_t y = place.top + row + offset;
    for (int64_t column = 0; column < kSide; ++column) {
      const int64_t x = place.left + column + offset;
      const bool inside = y >= 0 && y < sizes.height && x >= 0 && x < sizes.width;
      const int64_t pixel = (place.picture * sizes.height + y) * sizes.width + x;
      window[row * kSide + column] = inside ? at(pictures + pixel * channels + channel) : Vector{};
    }
  }
}

/// Input windows at the points: `points` holds [36, block, channels].
DAGAN_INLINE void transformInput(const Sizes& sizes, const float* input, int64_t first, int64_t count, int64_t block,
                                 float* points) {
  for (int64_t i = 0; i < count; ++i) {
    const Place place = placeOf(sizes, first + i);
    for (int64_t channel = 0; channel < sizes.in; channel += kLanes) {
      Vector window[kPoints], half[kPoints];
      load<kWindow>(input, sizes, sizes.in, place, -1, channel, window);
      for (int64_t column = 0; column < kWindow; ++column) windowPoints(window + column, kWindow, half + column, kWindow);
      for (int64_t row = 0; row < kWindow; ++row) windowPoints(half + row * kWindow, 1, window + row * kWindow, 1);
      for (int64_t point = 0; point < kPoints; ++point) {
        at(points + (point * block + i) * sizes.in + channel) = window[point];
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

DAGAN_INLINE void transformBlock(const Vector* kernel, float* points, int64_t pointStep) {
  // Rows first: [3, 3] -> [6, 3] -> [6, 6].
  Vector half[kWindow * 3], whole[kPoints];
  for (int64_t column = 0; column < 3; ++column) pointsOfKernel(kernel + column, 3, half + column, 3);
  for (int64_t row = 0; row < kWindow; ++row) pointsOfKernel(half + row * 3, 1, whole + row * kWindow, 1);
  for (int64_t point = 0; point < kPoints; ++point) at(points + point * pointStep) = whole[point];
}

}  // namespace

void transformKernel(const float* kernel, Strides strides, int64_t in, int64_t out, float* points) {
  for (int64_t o = 0; o < out; o += kLanes) {
    for (int64_t i = 0; i < in; ++i) {
      Vector taps[9];
      for (int64_t tap = 0; tap < 9; ++tap) {
        const float* from = kernel + i * strides.in + tap / 3 * strides.row + tap % 3 * strides.column;
        for (int64_t lane = 0; lane < kLanes; ++lane) taps[tap][lane] = from[(o + lane) * strides.out];
      }
      transformBlock(taps, points + (o / kChannels * in + i) * kChannels + o % kChannels, in * out);
    }
  }
}

void transformBackwardKernel(const float* kernel, Strides strides, int64_t in, int64_t out, float* points) {
  const Strides turned{strides.in, strides.out, -strides.row, -strides.column};
  transformKernel(kernel + 2 * strides.row + 2 * strides.column, turned, out, in, points);
}

void convolve(const Sizes& sizes, const float* input, const float* points, const float* bias, float* output,
              int64_t first, int64_t last, float* workspace) {
  const int64_t block = sizes.block(), in = sizes.in, out = sizes.out;
  float* windows = workspace;                        // [36, block, in]
  float* products = workspace + kPoints * block * in;  // [36, block, out]
  for (int64_t begin = first; begin < last; begin += block) {
    const int64_t count = std::min(block, last - begin);
    transformInput(sizes, input, begin, count, block, windows);
    for (int64_t point = 0; point < kPoints; ++point) {
      for (int64_t o = 0; o < out; o += kChannels) {
        multiplyRows(count, windows + point * block * in, in, 1, points + point * in * out + o * in, kChannels, in,
                     products + point * block * out + o, out, false);
      }
    }
    for (int64_t i = 0; i < count; ++i) {
      const Place place = placeOf(sizes, begin + i);
      for (int64_t channel = 0; channel < out; channel += kLanes) {
        Vector values[kPoints], half[kTile * kWindow];
        for (int64_t point = 0; point < kPoints; ++point) values[point] = at(products + (point * block + i) * out + channel);
        for (int64_t column = 0; column < kWindow; ++column) tileOfPoints(values + column, kWindow, half + column, kWindow);
        for (int64_t row = 0; row < kTile; ++row) tileOfPoints(half + row * kWindow, 1, values + row * kTile, 1);
        const Vector offset = bias != nullptr ? at(bias + channel) : Vector{};
        for (int64_t y = 0; y < std::min(kTile, sizes.height - place.top); ++y) {
          for (int64_t x = 0; x < std::min(kTile, sizes.width - place.left); ++x) {
            const int64_t pixel = (place.picture * sizes.height + place.top + y) * sizes.width + place.left + x;
            at(output + pixel * out + channel) = values[y * kTile + x] + offset;
          }
        }
      }
    }
  }
}

void addWeightGradient(const Sizes& sizes, const float* input, const float* outputGradient, int64_t first, int64_t last,
                       float* points, float* workspace) {
  const int64_t block = sizes.block(), in = sizes.in, out = sizes.out;
  float* windows = workspace;                         // [36, block, in]
  float* gradients = workspace + kPoints * block * in;  // [36, block, out]
  for (int64_t begin = first; begin < last; begin += block) {
    const int64_t count = std::min(block, last - begin);
    transformInput(sizes, input, begin, count, block, windows);
    for (int64_t i = 0; i < count; ++i) {
      const Place place = placeOf(sizes, begin + i);
      for (int64_t channel = 0; channel < out; channel += kLanes) {
        Vector tile[kTile * kTile], half[kWindow * kTile], values[kPoints];
        load<kTile>(outputGradient, sizes, out, place, 0, channel, tile);
        for (int64_t column = 0; column < kTile; ++column) pointsOfTile(tile + column, kTile, half + column, kTile);
        for (int64_t row = 0; row < kWindow; ++row) pointsOfTile(half + row * kTile, 1, values + row * kWindow, 1);
        for (int64_t point = 0; point < kPoints; ++point) at(gradients + (point * block + i) * out + channel) = values[point];
      }
    }
    for (int64_t point = 0; point < kPoints; ++point) {
      for (int64_t o = 0; o < out; o += kChannels) {
        multiplyRows(in, windows + point * block * in, 1, in, gradients + point * block * out + o, out, count,
                     points + point * in * out + o, out, true);
      }
    }
  }
}

void weightGradient(const float* points, int64_t in, int64_t out, float* gradient, Strides strides) {
  for (int64_t i = 0; i < in; ++i) {
    for (int64_t o = 0; o < out; o += kLanes) {
      Vector values[kPoints], half[3 * kWindow], taps[9];
      for (int64_t point = 0; point < kPoints; ++point) values[point] = at(points + (point * in + i) * out + o);
      for (int64_t column = 0; column < kWindow; ++column) kernelOfPoints(values + column, kWindow, half + column, kWindow);
      for (int64_t row = 0; row < 3; ++row) kernelOfPoints(half + row * kWindow, 1, taps + row * 3, 1);
      for (int64_t tap = 0; tap < 9; ++tap) {
        float* to = gradient + i * strides.in + tap / 3 * strides.row + tap % 3 * strides.column;
        for (int64_t lane = 0; lane < kLanes; ++lane) to[(o + lane) * strides.out] = taps[tap][lane];
      }
    }
  }
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
