// Convolutions for training: as aten::conv2d, but two to four times as fast where winograd.h can do them.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/record_function.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <array>
#include <vector>

#include "tensor_handle.h"
#include "winograd.h"

namespace dagan {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Fewer tiles than this do not repay the transformation of the kernel.
constexpr int64_t kFewestTiles = 24;
/// Fewer channels, of the input or the output, would mostly be padding.
constexpr int64_t kFewestChannels = 16;

at::Tensor channelsLast(const at::Tensor& pictures) { return pictures.contiguous(at::MemoryFormat::ChannelsLast); }

winograd::Sizes sizesOf(const at::Tensor& input, const at::Tensor& weight, int64_t padding) {
  return {input.size(0), input.size(2), input.size(3), weight.size(1), weight.size(0), weight.size(2), padding};
}

/// Of the convolution that leads gradients of its output back to the input.
winograd::Sizes backwardSizes(const winograd::Sizes& sizes) {
  return {sizes.batch, sizes.outHeight(), sizes.outWidth(), sizes.out, sizes.in, sizes.kernel, sizes.kernel - 1 - sizes.padding};
}

winograd::Strides stridesOf(const at::Tensor& weight) {
  return {weight.stride(0), weight.stride(1), weight.stride(2), weight.stride(3)};
}

bool isFloat(const at::Tensor& tensor) {
  return tensor.is_cpu() && tensor.layout() == at::kStrided && tensor.scalar_type() == at::kFloat;
}

/// Whether autocast wants convolutions in 16 bits. (Its keys are excluded as long as it is off.)
bool autocasts() { return !c10::impl::tls_is_dispatch_key_excluded(c10::DispatchKey::AutocastCPU); }

bool suits(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, int64_t padding) {
  if (autocasts() || !isFloat(input) || !isFloat(weight) || (bias.defined() && !isFloat(bias))) return false;
  if (input.dim() != 4 || weight.dim() != 4 || weight.size(2) != weight.size(3) || input.numel() == 0) return false;
  if (input.size(1) != weight.size(1) || (bias.defined() && bias.numel() != weight.size(0))) return false;
  if (std::min(weight.size(0), weight.size(1)) < kFewestChannels) return false;
  if (weight.size(2) < winograd::kSmallest || weight.size(2) > winograd::kLargest || padding >= weight.size(2)) return false;
  const winograd::Sizes sizes = sizesOf(input, weight, padding);
  if (sizes.outHeight() < 1 || sizes.outWidth() < 1) return false;
  return sizes.tiles() >= kFewestTiles && winograd::available();
}

/// Calls `body(first, last, workspace, part)` for parts of the tiles, as many as there are threads.
template <typename Body>
void inParts(const winograd::Sizes& sizes, Body body) {
  const int64_t parts = std::min<int64_t>(at::get_num_threads(), sizes.tiles());
  at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> workspace(static_cast<size_t>(sizes.workspace()));
    for (int64_t part = begin; part < end; ++part) {
      body(sizes.tiles() * part / parts, sizes.tiles() * (part + 1) / parts, workspace.data(), part);
    }
  });
}

at::Tensor convolve(const at::Tensor& input, const winograd::Sizes& sizes, const at::Tensor& points, const float* bias) {
  at::Tensor output = at::empty({sizes.batch, sizes.out, sizes.outHeight(), sizes.outWidth()}, input.options(), at::MemoryFormat::ChannelsLast);
  inParts(sizes, [&](int64_t first, int64_t last, float* workspace, int64_t) {
    winograd::convolve(sizes, input.data_ptr<float>(), points.data_ptr<float>(), bias, output.data_ptr<float>(), first, last, workspace);
  });
  return output;
}

at::Tensor pointsOf(const winograd::Sizes& sizes, const float* kernel, winograd::Strides strides, const at::TensorOptions& options) {
  at::Tensor points = at::empty({sizes.points(), sizes.depth(), sizes.columns()}, options.requires_grad(false));
  winograd::transformKernel(sizes, kernel, strides, points.data_ptr<float>());
  return points;
}

at::Tensor inputGradient(const at::Tensor& gradient, const at::Tensor& weight, const winograd::Sizes& forward) {
  const winograd::Sizes sizes = backwardSizes(forward);
  // The kernel turned by 180 degrees, from `out` to `in`.
  const winograd::Strides strides = stridesOf(weight), turned{strides.in, strides.out, -strides.row, -strides.column};
  const float* last = weight.data_ptr<float>() + (sizes.kernel - 1) * (strides.row + strides.column);
  return convolve(gradient, sizes, pointsOf(sizes, last, turned, weight.options()), nullptr);
}

at::Tensor weightGradient(const at::Tensor& input, const at::Tensor& gradient, const at::Tensor& weight, const winograd::Sizes& sizes) {
  const int64_t parts = std::min<int64_t>(at::get_num_threads(), sizes.tiles());
  const int64_t numbers = sizes.points() * sizes.depth() * sizes.columns();
  const at::Tensor sums = at::zeros({parts, numbers}, weight.options().requires_grad(false));
  inParts(sizes, [&](int64_t first, int64_t last, float* workspace, int64_t part) {
    float* points = sums.data_ptr<float>() + part * numbers;
    winograd::addWeightGradient(sizes, input.data_ptr<float>(), gradient.data_ptr<float>(), first, last, points, workspace);
  });
  for (int64_t part = 1; part < parts; ++part) sums[0].add_(sums[part]);
  at::Tensor result = at::empty_like(weight);
  winograd::weightGradient(sizes, sums.data_ptr<float>(), result.data_ptr<float>(), stridesOf(result));
  return result;
}

struct TrainingConvolution : torch::autograd::Function<TrainingConvolution> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& given, const at::Tensor& weight, const at::Tensor& bias,
                            int64_t padding) {
    RECORD_FUNCTION("dagan::conv", std::vector<c10::IValue>({given, weight}));
    const at::Tensor input = channelsLast(given);
    context->save_for_backward({given, weight});
    context->saved_data["padding"] = padding;
    const winograd::Sizes sizes = sizesOf(input, weight, padding);
    const at::Tensor points = pointsOf(sizes, weight.data_ptr<float>(), stridesOf(weight), weight.options());
    return convolve(input, sizes, points, bias.contiguous().data_ptr<float>());
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &input = saved[0], &weight = saved[1];
    const int64_t padding = context->saved_data["padding"].toInt();
    const std::array<bool, 3> wanted{context->needs_input_grad(0), context->needs_input_grad(1), context->needs_input_grad(2)};
    // A second derivative is that of LibTorch's own operator.
    if (at::GradMode::is_enabled()) {
      auto [ofInput, ofWeight, ofBias] = at::convolution_backward(gradients[0], input, weight, at::IntArrayRef{weight.size(0)}, {1, 1},
                                                                  {padding, padding}, {1, 1}, false, {0, 0}, 1, wanted);
      return {ofInput, ofWeight, ofBias, at::Tensor()};
    }
    RECORD_FUNCTION("dagan::conv_backward", std::vector<c10::IValue>({gradients[0], input, weight}));
    const at::Tensor gradient = channelsLast(gradients[0]);
    const winograd::Sizes sizes = sizesOf(input, weight, padding);
    return {wanted[0] ? inputGradient(gradient, weight, sizes) : at::Tensor(),
            wanted[1] ? weightGradient(channelsLast(input), gradient, weight, sizes) : at::Tensor(),
            wanted[2] ? gradient.sum(at::IntArrayRef{0, 2, 3}) : at::Tensor(), at::Tensor()};
  }
};

/// trainingConv2d(input, weight, bias | null, padding): a convolution of stride 1 with a border of `padding` zeros.
Napi::Value trainingConv2d(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "trainingConv2d", [&]() -> Napi::Value {
    const at::Tensor& input = unwrapTensor(info[0], "input");
    const at::Tensor& weight = unwrapTensor(info[1], "weight");
    const at::Tensor bias = info[2].IsNull() ? at::Tensor() : unwrapTensor(info[2], "bias");
    const int64_t padding = info[3].ToNumber().Int64Value();
    if (!suits(input, weight, bias, padding)) return wrapTensor(info.Env(), at::conv2d(input, weight, bias, /*stride=*/1, padding));
    const at::Tensor offset = bias.defined() ? bias : at::zeros({weight.size(0)}, weight.options());
    return wrapTensor(info.Env(), TrainingConvolution::apply(input, weight, offset, padding));
  });
}

}  // namespace

Napi::Object initConvolution(Napi::Env env, Napi::Object exports) {
  exports.Set("trainingConv2d", Napi::Function::New(env, trainingConv2d));
  return exports;
}

}  // namespace dagan
