// Sampling of pictures whose channels lie innermost at places between their pixels: what LibTorch reads number by number from all over
// the picture is four rows of memory here.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/record_function.h>
#include <torch/csrc/autograd/custom_function.h>

#include <array>
#include <cmath>
#include <vector>

#include "tensor_handle.h"
#include "vectors.h"

DAGAN_VECTORS_BEGIN

namespace dagan {
namespace {

/// A picture [height, width, channels], and whether -1 and 1 are the centres of its outermost pixels, or their outer edges.
struct Picture {
  int64_t height, width, channels;
  bool alignCorners;
};

/// The four pixels around a place, upper row first: where each begins, what it counts, and how that changes with the place (0 for pixels
/// outside, which count as zeros). `seen` is false where all are outside.
struct Around {
  std::array<int64_t, 4> begin;
  std::array<float, 4> weight, alongX, alongY;
  bool seen;
};

/// How far one moves, in pixels, when a coordinate from -1 to 1 grows by 1.
inline float pixelsPer(int64_t length, bool alignCorners) { return static_cast<float>(alignCorners ? length - 1 : length) / 2; }

inline Around around(const Picture& picture, const float* place) {
  const float down = pixelsPer(picture.height, picture.alignCorners), across = pixelsPer(picture.width, picture.alignCorners);
  const float x = (place[0] + 1) * across - (picture.alignCorners ? 0.0f : 0.5f);
  const float y = (place[1] + 1) * down - (picture.alignCorners ? 0.0f : 0.5f);
  Around result{};
  // What is not a number is outside, too.
  result.seen = x >= -1 && x < static_cast<float>(picture.width) && y >= -1 && y < static_cast<float>(picture.height);
  if (!result.seen) return result;
  const float left = std::floor(x), top = std::floor(y);
  const std::array<float, 2> byX{left + 1 - x, x - left}, byY{top + 1 - y, y - top};
  for (int64_t i = 0; i < 4; ++i) {
    const int64_t column = static_cast<int64_t>(left) + i % 2, row = static_cast<int64_t>(top) + i / 2;
    if (column < 0 || column >= picture.width || row < 0 || row >= picture.height) continue;
    result.begin[i] = (row * picture.width + column) * picture.channels;
    result.weight[i] = byX[i % 2] * byY[i / 2];
    result.alongX[i] = (i % 2 == 0 ? -across : across) * byY[i / 2];
    result.alongY[i] = (i / 2 == 0 ? -down : down) * byX[i % 2];
  }
  return result;
}

void sample(const Picture& picture, const float* from, const float* place, float* to) {
  const Around pixels = around(picture, place);
  for (int64_t channel = 0; channel < picture.channels; channel += kLanes) {
    Vector sum{};
    if (pixels.seen) {
      for (int i = 0; i < 4; ++i) sum += pixels.weight[i] * load(from + pixels.begin[i] + channel);
    }
    store(sum, to + channel);
  }
}

/// Adds to the picture's gradient, and sets that of the place; either may be null.
void sampleGradient(const Picture& picture, const float* from, const float* place, const float* above, float* pictureGradient,
                    float* placeGradient) {
  const Around pixels = around(picture, place);
  float x = 0, y = 0;
  if (pixels.seen) {
    std::array<Vector, 4> products{};
    for (int64_t channel = 0; channel < picture.channels; channel += kLanes) {
      const Vector gradient = load(above + channel);
      for (int i = 0; i < 4; ++i) {
        const int64_t at = pixels.begin[i] + channel;
        if (pictureGradient != nullptr) store(load(pictureGradient + at) + pixels.weight[i] * gradient, pictureGradient + at);
        products[i] += gradient * load(from + at);
      }
    }
    for (int i = 0; i < 4; ++i) {
      float product = 0;
      for (int64_t lane = 0; lane < kLanes; ++lane) product += products[i][lane];
      x += pixels.alongX[i] * product;
      y += pixels.alongY[i] * product;
    }
  }
  if (placeGradient == nullptr) return;
  placeGradient[0] = x;
  placeGradient[1] = y;
}

}  // namespace
}  // namespace dagan

DAGAN_VECTORS_END

namespace dagan {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kBilinear = 0, kZeros = 0;

at::Tensor channelsLast(const at::Tensor& pictures) { return pictures.contiguous(at::MemoryFormat::ChannelsLast); }

bool isFloat(const at::Tensor& tensor) {
  return tensor.is_cpu() && tensor.layout() == at::kStrided && tensor.scalar_type() == at::kFloat && tensor.dim() == 4 && tensor.numel() > 0;
}

bool suits(const at::Tensor& input, const at::Tensor& grid) {
  return isFloat(input) && isFloat(grid) && input.size(0) == grid.size(0) && grid.size(3) == 2 && input.size(1) % kLanes == 0 &&
         input.is_contiguous(at::MemoryFormat::ChannelsLast) && vectorsAvailable();
}

Picture pictureOf(const at::Tensor& input, bool alignCorners) { return {input.size(2), input.size(3), input.size(1), alignCorners}; }

struct GridSample : torch::autograd::Function<GridSample> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& given, bool alignCorners) {
    RECORD_FUNCTION("dagan::grid_sample", std::vector<c10::IValue>({input, given}));
    const at::Tensor grid = given.contiguous();
    context->save_for_backward({input, grid});
    context->saved_data["alignCorners"] = alignCorners;
    const Picture picture = pictureOf(input, alignCorners);
    const int64_t places = grid.size(1) * grid.size(2), pictureSize = picture.height * picture.width * picture.channels;
    at::Tensor output =
        at::empty({input.size(0), picture.channels, grid.size(1), grid.size(2)}, input.options(), at::MemoryFormat::ChannelsLast);
    const float *from = input.data_ptr<float>(), *where = grid.data_ptr<float>();
    float* to = output.data_ptr<float>();
    at::parallel_for(0, input.size(0) * places, 256, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) sample(picture, from + i / places * pictureSize, where + 2 * i, to + i * picture.channels);
    });
    return output;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &input = saved[0], &grid = saved[1];
    const bool alignCorners = context->saved_data["alignCorners"].toBool();
    const bool ofInput = context->needs_input_grad(0), ofGrid = context->needs_input_grad(1);
    // A second derivative is LibTorch's own affair.
    if (at::GradMode::is_enabled()) {
      auto [byInput, byGrid] =
          at::grid_sampler_2d_backward(gradients[0], input, grid, kBilinear, kZeros, alignCorners, {ofInput, ofGrid});
      return {ofInput ? byInput : at::Tensor(), ofGrid ? byGrid : at::Tensor(), at::Tensor()};
    }
    RECORD_FUNCTION("dagan::grid_sample_backward", std::vector<c10::IValue>({gradients[0], input, grid}));
    const at::Tensor above = channelsLast(gradients[0]);
    const at::Tensor byInput = ofInput ? at::zeros_like(input) : at::Tensor(), byGrid = ofGrid ? at::empty_like(grid) : at::Tensor();
    const Picture picture = pictureOf(input, alignCorners);
    const int64_t places = grid.size(1) * grid.size(2), pictureSize = picture.height * picture.width * picture.channels;
    const float *from = input.data_ptr<float>(), *where = grid.data_ptr<float>(), *gradient = above.data_ptr<float>();
    float *toInput = ofInput ? byInput.data_ptr<float>() : nullptr, *toGrid = ofGrid ? byGrid.data_ptr<float>() : nullptr;
    // Places may share pixels, but no two pictures do.
    at::parallel_for(0, input.size(0), 1, [&](int64_t first, int64_t last) {
      for (int64_t i = first * places; i < last * places; ++i) {
        const int64_t begin = i / places * pictureSize;
        sampleGradient(picture, from + begin, where + 2 * i, gradient + i * picture.channels, ofInput ? toInput + begin : nullptr,
                       ofGrid ? toGrid + 2 * i : nullptr);
      }
    });
    return {byInput, byGrid, at::Tensor()};
  }
};

/// gridSample(input, grid, alignCorners): bilinear, zeros outside.
Napi::Value gridSample(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "gridSample", [&] {
    const at::Tensor &input = unwrapTensor(info[0], "input"), &grid = unwrapTensor(info[1], "grid");
    const bool alignCorners = info[2].ToBoolean().Value();
    return wrapTensor(info.Env(), suits(input, grid) ? GridSample::apply(input, grid, alignCorners)
                                                     : at::grid_sampler(input, grid, kBilinear, kZeros, alignCorners));
  });
}

}  // namespace

Napi::Object initGridSample(Napi::Env env, Napi::Object exports) {
  exports.Set("gridSample", Napi::Function::New(env, gridSample));
  return exports;
}

}  // namespace dagan
