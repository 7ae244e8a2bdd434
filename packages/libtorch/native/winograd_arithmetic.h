// The functions of winograd.h for vectors of `kLanes` numbers: Y = A^T [ (G g G^T) * (B^T d B) ] A for every tile, "*" being a matrix
// product over channels at each of the points; the derivatives by d and g are of the same form.
//
// Included into a namespace with vector_operations.h, once for every number of lanes.

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

/// A square whose corner is at `place`, as many channels as a vector has; zeros beyond the picture and its channels.
template <int kSide, typename Number>
DAGAN_INLINE void loadSquare(const Number* pictures, const Pictures& size, const Place& place, int64_t channel, Vector* square) {
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

/// Input windows at the points: `points` holds [points, block, depth]. What vectors hold beyond the last channel is overwritten by the
/// next part or tile, or lies in the gap behind a point.
template <int kTaps, typename Number>
DAGAN_INLINE void transformInput(const Sizes& sizes, const Number* input, int64_t first, int64_t count, float* points) {
  constexpr int kWindow = kTile + kTaps - 1;
  const Pictures size{sizes.height, sizes.width, sizes.in};
  const int64_t depth = sizes.depth(), step = sizes.windowsStep();
  for (int64_t i = 0; i < count; ++i) {
    const Place place = placeOf(sizes, first + i);
    for (int64_t part = 0; part < sizes.parts() * sizes.parts(); ++part) {
      const Place corner{place.picture, place.top - sizes.padding + part / sizes.parts() * kTaps,
                         place.left - sizes.padding + part % sizes.parts() * kTaps};
      float* to = points + i * depth + part * sizes.in;
      for (int64_t channel = 0; channel < sizes.in; channel += kLanes) {
        Vector window[kWindow * kWindow], values[kWindow * kWindow];
        loadSquare<kWindow>(input, size, corner, channel, window);
        transformed<Method<kTaps>::window, false>(window, values);
        for (int64_t point = 0; point < kWindow * kWindow; ++point) store(values[point], to + channel + point * step);
      }
    }
  }
}

/// [kRows, columns] += rows [kRows, depth] times columns [depth, columns], of which there are `kVectors` vectors. Steps tell where the
/// next row, or the next of its numbers, is.
template <int kRows, int kVectors>
DAGAN_INLINE void multiply(const float* rows, int64_t rowStep, int64_t depthStep, const float* columns, int64_t columnStep, int64_t depth,
                           float* result, int64_t resultStep, bool add) {
  Vector sums[kRows][kVectors];
#pragma GCC unroll 12
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) sums[row][v] = add ? load(result + row * resultStep + v * kLanes) : Vector{};
  }
  for (int64_t k = 0; k < depth; ++k) {
    Vector right[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) right[v] = load(columns + k * columnStep + v * kLanes);
#pragma GCC unroll 12
    for (int row = 0; row < kRows; ++row) {
      const float factor = rows[row * rowStep + k * depthStep];
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sums[row][v] += factor * right[v];
    }
  }
#pragma GCC unroll 12
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) store(sums[row][v], result + row * resultStep + v * kLanes);
  }
}

/// The same for any number of rows.
template <int kVectors>
DAGAN_INLINE void multiplyRows(int64_t count, const float* rows, int64_t rowStep, int64_t depthStep, const float* columns,
                               int64_t columnStep, int64_t depth, float* result, int64_t resultStep, bool add) {
  constexpr int kMost = kVectors == 1 || kLanes == 16 ? 12 : 6;  // as many as there are registers for
  int64_t row = 0;
  for (; row + kMost <= count; row += kMost) {
    multiply<kMost, kVectors>(rows + row * rowStep, rowStep, depthStep, columns, columnStep, depth, result + row * resultStep, resultStep, add);
  }
  for (; row + 4 <= count; row += 4) {
    multiply<4, kVectors>(rows + row * rowStep, rowStep, depthStep, columns, columnStep, depth, result + row * resultStep, resultStep, add);
  }
  for (; row < count; ++row) {
    multiply<1, kVectors>(rows + row * rowStep, rowStep, depthStep, columns, columnStep, depth, result + row * resultStep, resultStep, add);
  }
}

template <int kTaps>
void transformKernel(const Sizes& sizes, const float* kernel, Strides strides, float* points) {
  constexpr int kWindow = kTile + kTaps - 1;
  const int64_t depth = sizes.depth(), columns = sizes.columns(), parts = sizes.parts();
  for (int64_t o = 0; o < columns; o += kLanes) {
    const int64_t panel = o / (2 * kLanes) * (2 * kLanes), width = std::min<int64_t>(2 * kLanes, columns - panel);
    for (int64_t part = 0; part < parts * parts; ++part) {
      for (int64_t i = 0; i < sizes.in; ++i) {
        Vector taps[kTaps * kTaps]{}, values[kWindow * kWindow];
        for (int64_t tap = 0; tap < kTaps * kTaps; ++tap) {
          const int64_t row = part / parts * kTaps + tap / kTaps, column = part % parts * kTaps + tap % kTaps;
          if (row >= sizes.kernel || column >= sizes.kernel) continue;
          taps[tap] = loadFirst(kernel + i * strides.in + row * strides.row + column * strides.column + o, sizes.out - o);
        }
        transformed<Method<kTaps>::kernel, false>(taps, values);
        float* to = points + panel * depth + (part * sizes.in + i) * width + (o - panel);
        for (int64_t point = 0; point < kWindow * kWindow; ++point) store(values[point], to + point * sizes.kernelStep());
      }
    }
  }
}

template <int kTaps, typename Number>
void convolve(const Sizes& sizes, const Number* input, const float* points, const float* bias, Number* output, int64_t first, int64_t last,
              float* workspace) {
  constexpr int kWindow = kTile + kTaps - 1, kPoints = kWindow * kWindow;
  const int64_t block = sizes.block(), depth = sizes.depth(), columns = sizes.columns(), out = sizes.out;
  const int64_t height = sizes.outHeight(), width = sizes.outWidth(), step = sizes.windowsStep(), productsStep = sizes.productsStep();
  float* windows = workspace;                   // [points, block, depth]
  float* products = workspace + kPoints * step;  // [points, block, columns]
  for (int64_t begin = first; begin < last; begin += block) {
    const int64_t count = std::min(block, last - begin);
    transformInput<kTaps>(sizes, input, begin, count, windows);
    for (int64_t point = 0; point < kPoints; ++point) {
      const float *rows = windows + point * step, *kernel = points + point * sizes.kernelStep();
      float* result = products + point * productsStep;
      int64_t o = 0;
      for (; o + 2 * kLanes <= columns; o += 2 * kLanes) {
        multiplyRows<2>(count, rows, depth, 1, kernel + o * depth, 2 * kLanes, depth, result + o, columns, false);
      }
      if (o < columns) multiplyRows<1>(count, rows, depth, 1, kernel + o * depth, kLanes, depth, result + o, columns, false);
    }
    for (int64_t i = 0; i < count; ++i) {
      const Place place = placeOf(sizes, begin + i);
      for (int64_t channel = 0; channel < out; channel += kLanes) {
        Vector values[kPoints], tile[kTile * kTile];
        for (int64_t point = 0; point < kPoints; ++point) values[point] = load(products + point * productsStep + i * columns + channel);
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

template <int kTaps, typename Number>
void addWeightGradient(const Sizes& sizes, const Number* input, const Number* outputGradient, int64_t first, int64_t last, float* points,
                       float* workspace) {
  constexpr int kWindow = kTile + kTaps - 1, kPoints = kWindow * kWindow;
  const int64_t block = sizes.block(), depth = sizes.depth(), columns = sizes.columns(), step = sizes.windowsStep(), productsStep = sizes.productsStep();
  const Pictures size{sizes.outHeight(), sizes.outWidth(), sizes.out};
  float* windows = workspace;                    // [points, block, depth]
  float* gradients = workspace + kPoints * step;  // [points, block, columns]
  for (int64_t begin = first; begin < last; begin += block) {
    const int64_t count = std::min(block, last - begin);
    transformInput<kTaps>(sizes, input, begin, count, windows);
    for (int64_t i = 0; i < count; ++i) {
      const Place place = placeOf(sizes, begin + i);
      for (int64_t channel = 0; channel < sizes.out; channel += kLanes) {
        Vector tile[kTile * kTile], values[kPoints];
        loadSquare<kTile>(outputGradient, size, place, channel, tile);
        transformed<Method<kTaps>::tile, false>(tile, values);
        for (int64_t point = 0; point < kPoints; ++point) store(values[point], gradients + point * productsStep + i * columns + channel);
      }
    }
    for (int64_t point = 0; point < kPoints; ++point) {
      const float *rows = windows + point * step, *right = gradients + point * productsStep;
      float* result = points + point * sizes.kernelStep();
      int64_t o = 0;
      for (; o + 2 * kLanes <= columns; o += 2 * kLanes) {
        multiplyRows<2>(depth, rows, 1, depth, right + o, columns, count, result + o, columns, true);
      }
      if (o < columns) multiplyRows<1>(depth, rows, 1, depth, right + o, columns, count, result + o, columns, true);
    }
  }
}

template <int kTaps>
void weightGradient(const Sizes& sizes, const float* points, float* gradient) {
  constexpr int kWindow = kTile + kTaps - 1;
  const int64_t columns = sizes.columns(), parts = sizes.parts();
  for (int64_t i = 0; i < sizes.in; ++i) {
    for (int64_t part = 0; part < parts * parts; ++part) {
      for (int64_t o = 0; o < sizes.out; o += kLanes) {
        Vector values[kWindow * kWindow], taps[kTaps * kTaps];
        for (int64_t point = 0; point < kWindow * kWindow; ++point) {
          values[point] = load(points + point * sizes.kernelStep() + (part * sizes.in + i) * columns + o);
        }
        transformed<Method<kTaps>::kernel, true>(values, taps);
        for (int64_t tap = 0; tap < kTaps * kTaps; ++tap) {
          const int64_t row = part / parts * kTaps + tap / kTaps, column = part % parts * kTaps + tap % kTaps;
          if (row >= sizes.kernel || column >= sizes.kernel) continue;
          storeFirst(taps[tap], gradient + ((row * sizes.kernel + column) * sizes.in + i) * sizes.out + o, sizes.out - o);
        }
      }
    }
  }
}

template <typename Number>
void addBiasGradient(const Sizes& sizes, const Number* outputGradient, int64_t first, int64_t last, double* sums) {
  constexpr int64_t kPixels = 256, kAtOnce = 4;  // pixels that are summed up in float32; sums that do not wait for one another
  const int64_t out = sizes.out;
  for (int64_t begin = first; begin < last; begin += kPixels) {
    const int64_t end = std::min(begin + kPixels, last);
    for (int64_t channel = 0; channel < out; channel += kLanes) {
      const int64_t count = std::min(out - channel, kLanes);
      Vector partial[kAtOnce]{};
      int64_t pixel = begin;
      for (; pixel + kAtOnce <= end; pixel += kAtOnce) {
#pragma GCC unroll 4
        for (int64_t i = 0; i < kAtOnce; ++i) partial[i] += loadFirst(outputGradient + (pixel + i) * out + channel, count);
      }
      for (; pixel < end; ++pixel) partial[0] += loadFirst(outputGradient + pixel * out + channel, count);
      const Vector sum = (partial[0] + partial[1]) + (partial[2] + partial[3]);
      for (int64_t lane = 0; lane < count; ++lane) sums[channel + lane] += static_cast<double>(sum[lane]);
    }
  }
}
