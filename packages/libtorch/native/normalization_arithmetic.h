// The loops of normalization.h for vectors of `kLanes` numbers: row by row, some channels at a time, so that what belongs to these stays in
// registers.
//
// Included into a namespace with vector_operations.h, once for every number of lanes.

/// Vectors of channels that are worked on together.
constexpr int kTogether = 4;

template <int kCount>
struct Vectors {
  Vector of[kCount]{};
};

template <int kCount, typename Number>
DAGAN_INLINE Vectors<kCount> loadVectors(const Number* memory) {
  Vectors<kCount> vectors;
#pragma GCC unroll 4
  for (int v = 0; v < kCount; ++v) vectors.of[v] = load(memory + v * kLanes);
  return vectors;
}

/// The values before the ReLU are scale x + shift, in every pass by the same instruction, so that all agree on their signs.
DAGAN_INLINE Vector positive(const Vector& x, const Vector& scale, const Vector& shift, const Vector& kept) {
  const Vector y = x * scale + shift;
  return where(y > 0, kept);
}

/// Adds the numbers of vectors to doubles.
template <int kCount>
DAGAN_INLINE void addTo(double* sums, const Vectors<kCount>& vectors, float factor) {
  for (int v = 0; v < kCount; ++v) {
    for (int64_t lane = 0; lane < kLanes; ++lane) sums[v * kLanes + lane] += static_cast<double>(vectors.of[v][lane] * factor);
  }
}

/// Some channels of a row. `share` is the row's of all values with it, `both` what the square of the distance of its mean counts.
template <int kCount, typename Number>
DAGAN_INLINE void addToStatistics(const Number* row, int64_t width, int64_t step, double share, double both, double* means, double* squares) {
  Vectors<kCount> mean, spread;
  for (int64_t x = 0; x < width; ++x) {
    const Vectors<kCount> values = loadVectors<kCount>(row + x * step);
#pragma GCC unroll 4
    for (int v = 0; v < kCount; ++v) mean.of[v] += values.of[v];
  }
#pragma GCC unroll 4
  for (int v = 0; v < kCount; ++v) mean.of[v] *= 1.0f / static_cast<float>(width);
  for (int64_t x = 0; x < width; ++x) {
    const Vectors<kCount> values = loadVectors<kCount>(row + x * step);
#pragma GCC unroll 4
    for (int v = 0; v < kCount; ++v) spread.of[v] += (values.of[v] - mean.of[v]) * (values.of[v] - mean.of[v]);
  }
  // As in Chan et al., "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
  for (int v = 0; v < kCount; ++v) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const int64_t c = v * kLanes + lane;
      const double apart = static_cast<double>(mean.of[v][lane]) - means[c];
      means[c] += apart * share;
      squares[c] += static_cast<double>(spread.of[v][lane]) + apart * apart * both;
    }
  }
}

/// Some channels of a row of the output.
template <int kCount, int kPool, typename Number>
DAGAN_INLINE void transformRow(const Number* from, int64_t fromWidth, int64_t step, const float* scales, const float* shifts, Number* to) {
  const Vectors<kCount> scale = loadVectors<kCount>(scales), shift = loadVectors<kCount>(shifts);
  for (int64_t x = 0; x < fromWidth / kPool; ++x) {
    Vectors<kCount> sum;
#pragma GCC unroll 4
    for (int i = 0; i < kPool * kPool; ++i) {
      const Vectors<kCount> values = loadVectors<kCount>(from + (i / kPool * fromWidth + x * kPool + i % kPool) * step);
#pragma GCC unroll 4
      for (int v = 0; v < kCount; ++v) {
        const Vector y = values.of[v] * scale.of[v] + shift.of[v];
        sum.of[v] += positive(values.of[v], scale.of[v], shift.of[v], y);
      }
    }
#pragma GCC unroll 4
    for (int v = 0; v < kCount; ++v) store(sum.of[v] * (1.0f / (kPool * kPool)), to + x * step + v * kLanes);
  }
}

/// Some channels of a row of the input.
template <int kCount, int kPool, typename Number>
DAGAN_INLINE void addRow(const Number* from, const Number* gradients, int64_t width, int64_t step, const float* scales, const float* shifts,
                         const float* means, double* sums, double* products) {
  const Vectors<kCount> scale = loadVectors<kCount>(scales), shift = loadVectors<kCount>(shifts), mean = loadVectors<kCount>(means);
  Vectors<kCount> sum, product;
  for (int64_t x = 0; x < width; ++x) {
    const Vectors<kCount> values = loadVectors<kCount>(from + x * step), above = loadVectors<kCount>(gradients + x / kPool * step);
#pragma GCC unroll 4
    for (int v = 0; v < kCount; ++v) {
      const Vector gradient = positive(values.of[v], scale.of[v], shift.of[v], above.of[v]);
      sum.of[v] += gradient;
      product.of[v] += gradient * (values.of[v] - mean.of[v]);
    }
  }
  addTo(sums, sum, 1.0f / (kPool * kPool));
  addTo(products, product, 1.0f / (kPool * kPool));
}

/// Likewise.
template <int kCount, int kPool, typename Number>
DAGAN_INLINE void gradientRow(const Number* from, const Number* gradients, int64_t width, int64_t step, const float* scales,
                              const float* shifts, const float* means, const float* slopes, const float* offsets, Number* to) {
  const Vectors<kCount> scale = loadVectors<kCount>(scales), shift = loadVectors<kCount>(shifts), mean = loadVectors<kCount>(means);
  const Vectors<kCount> slope = loadVectors<kCount>(slopes), offset = loadVectors<kCount>(offsets);
  for (int64_t x = 0; x < width; ++x) {
    const Vectors<kCount> values = loadVectors<kCount>(from + x * step), above = loadVectors<kCount>(gradients + x / kPool * step);
#pragma GCC unroll 4
    for (int v = 0; v < kCount; ++v) {
      const Vector through = positive(values.of[v], scale.of[v], shift.of[v], above.of[v]) * (scale.of[v] * (1.0f / (kPool * kPool)));
      store(through + ((values.of[v] - mean.of[v]) * slope.of[v] + offset.of[v]), to + x * step + v * kLanes);
    }
  }
}

/// Calls a function above for all channels, first some vectors of them at a time: `call(count, channel)`.
#define DAGAN_OVER_CHANNELS(channels, call)                                                        \
  do {                                                                                             \
    int64_t channel = 0;                                                                           \
    for (; channel + kTogether * kLanes <= (channels); channel += kTogether * kLanes) call(kTogether); \
    for (; channel + 2 * kLanes <= (channels); channel += 2 * kLanes) call(2);                     \
    for (; channel < (channels); channel += kLanes) call(1);                                       \
  } while (false)

template <int kPool, typename Number>
DAGAN_INLINE void transformRows(const Sizes& sizes, const Number* input, Transform by, Number* output, int64_t first, int64_t last) {
  for (int64_t row = first; row < last; ++row) {
    const Number* from = input + row * kPool * sizes.width * sizes.channels;
    Number* to = output + row * (sizes.width / kPool) * sizes.channels;
#define DAGAN_CALL(count) \
  transformRow<count, kPool>(from + channel, sizes.width, sizes.channels, by.scale + channel, by.shift + channel, to + channel)
    DAGAN_OVER_CHANNELS(sizes.channels, DAGAN_CALL);
#undef DAGAN_CALL
  }
}

template <int kPool, typename Number>
DAGAN_INLINE void addRows(const Sizes& sizes, const Number* input, const Number* outputGradient, Transform by, const float* means,
                          int64_t first, int64_t last, double* sums, double* products) {
  for (int64_t row = first; row < last; ++row) {
    const Number* from = input + row * sizes.width * sizes.channels;
    const Number* gradients = outputGradient + row / kPool * (sizes.width / kPool) * sizes.channels;
#define DAGAN_CALL(count)                                                                                                            \
  addRow<count, kPool>(from + channel, gradients + channel, sizes.width, sizes.channels, by.scale + channel, by.shift + channel,     \
                       means + channel, sums + channel, products + channel)
    DAGAN_OVER_CHANNELS(sizes.channels, DAGAN_CALL);
#undef DAGAN_CALL
  }
}

template <int kPool, typename Number>
DAGAN_INLINE void gradientRows(const Sizes& sizes, const Number* input, const Number* outputGradient, Transform by, const float* means,
                               const float* slopes, const float* offsets, Number* gradient, int64_t first, int64_t last) {
  for (int64_t row = first; row < last; ++row) {
    const Number* from = input + row * sizes.width * sizes.channels;
    const Number* gradients = outputGradient + row / kPool * (sizes.width / kPool) * sizes.channels;
    Number* to = gradient + row * sizes.width * sizes.channels;
#define DAGAN_CALL(count)                                                                                                            \
  gradientRow<count, kPool>(from + channel, gradients + channel, sizes.width, sizes.channels, by.scale + channel, by.shift + channel, \
                            means + channel, slopes + channel, offsets + channel, to + channel)
    DAGAN_OVER_CHANNELS(sizes.channels, DAGAN_CALL);
#undef DAGAN_CALL
  }
}

template <typename Number>
void addStatistics(const Sizes& sizes, const Number* input, int64_t first, int64_t last, Statistics& statistics) {
  for (int64_t row = first; row < last; ++row) {
    const Number* from = input + row * sizes.width * sizes.channels;
    const double width = static_cast<double>(sizes.width), before = statistics.count;
    statistics.count = before + width;
    const double share = width / statistics.count;
#define DAGAN_CALL(count)                                                                                                            \
  addToStatistics<count>(from + channel, sizes.width, sizes.channels, share, before * share, statistics.means + channel,             \
                         statistics.squares + channel)
    DAGAN_OVER_CHANNELS(sizes.channels, DAGAN_CALL);
#undef DAGAN_CALL
  }
}

template <typename Number>
void transform(const Sizes& sizes, const Number* input, Transform by, Number* output, int64_t first, int64_t last) {
  if (sizes.pool == 1) transformRows<1>(sizes, input, by, output, first, last);
  else transformRows<2>(sizes, input, by, output, first, last);
}

template <typename Number>
void addGradientSums(const Sizes& sizes, const Number* input, const Number* outputGradient, Transform by, const float* means,
                     int64_t first, int64_t last, double* sums, double* products) {
  if (sizes.pool == 1) addRows<1>(sizes, input, outputGradient, by, means, first, last, sums, products);
  else addRows<2>(sizes, input, outputGradient, by, means, first, last, sums, products);
}

template <typename Number>
void inputGradient(const Sizes& sizes, const Number* input, const Number* outputGradient, Transform by, const float* means,
                   const float* slopes, const float* offsets, Number* gradient, int64_t first, int64_t last) {
  if (sizes.pool == 1) gradientRows<1>(sizes, input, outputGradient, by, means, slopes, offsets, gradient, first, last);
  else gradientRows<2>(sizes, input, outputGradient, by, means, slopes, offsets, gradient, first, last);
}

#undef DAGAN_OVER_CHANNELS
