// 3x3 convolutions for training: as aten::conv2d, but two to four times as fast where winograd.h can do them.
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

at::Tensor channelsLast(const at::Tensor& pictures) { return pictures.contiguous(at::MemoryFormat::ChannelsLast); }

winograd::Sizes sizesOf(const at::Tensor& input, int64_t outChannels) {
  return {input.size(0), input.size(2), input.size(3), input.size(1), outChannels};
}

winograd::Strides stridesOf(const at::Tensor& weight) {
  return {weight.stride(0), weight.stride(1), weight.stride(2), weight.stride(3)};
}

bool isFloat(const at::Tensor& tensor) {
  return tensor.is_cpu() && tensor.layout() == at::kStrided && tensor.scalar_type() == at::kFloat;
}

/// Whether autocast wants convolutions in 16 bits. (Its keys are excluded as long as it is off.)
bool autocasts() { return !c10::impl::tls_is_dispatch_key_excluded(c10::DispatchKey::AutocastCPU); }

bool suits(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias) {
  if (autocasts() || !isFloat(input) || !isFloat(weight) || (bias.defined() && !isFloat(bias))) return false;
  if (input.dim() != 4 || weight.dim() != 4 || weight.size(2) != 3 || weight.size(3) != 3) return false;
  if (input.size(1) != weight.size(1) || (bias.defined() && bias.numel() != weight.size(0))) return false;
  if (weight.size(0) % winograd::kChannels != 0 || weight.size(1) % winograd::kChannels != 0) return false;
  return input.numel() > 0 && sizesOf(input, weight.size(0)).tiles() >= kFewestTiles && winograd::available();
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
  at::Tensor output = at::empty({sizes.batch, sizes.out, sizes.height, sizes.width}, input.options(), at::MemoryFormat::ChannelsLast);
  inParts(sizes, [&](int64_t first, int64_t last, float* workspace, int64_t) {
    winograd::convolve(sizes, input.data_ptr<float>(), points.data_ptr<float>(), bias, output.data_ptr<float>(), first, last, workspace);
  });
  return output;
}

at::Tensor emptyPoints(const winograd::Sizes& sizes, const at::TensorOptions& options) {
  return at::empty({winograd::kPoints, sizes.in, sizes.out}, options.requires_grad(false));
}

at::Tensor inputGradient(const at::Tensor& gradient, const at::Tensor& weight) {
  const winograd::Sizes sizes = sizesOf(gradient, weight.size(1));
  const at::Tensor points = emptyPoints(sizes, weight.options());
  winograd::transformBackwardKernel(weight.data_ptr<float>(), stridesOf(weight), weight.size(1), weight.size(0), points.data_ptr<float>());
  return convolve(gradient, sizes, points, nullptr);
}

at::Tensor weightGradient(const at::Tensor& input, const at::Tensor& gradient, const at::Tensor& weight) {
  const winograd::Sizes sizes = sizesOf(input, weight.size(0));
  const int64_t parts = std::min<int64_t>(at::get_num_threads(), sizes.tiles());
  const at::Tensor sums = at::zeros({parts, winograd::kPoints, sizes.in, sizes.out}, weight.options().requires_grad(false));
  inParts(sizes, [&](int64_t first, int64_t last, float* workspace, int64_t part) {
    float* points = sums.data_ptr<float>() + part * winograd::kPoints * sizes.in * sizes.out;
    winograd::addWeightGradient(sizes, input.data_ptr<float>(), gradient.data_ptr<float>(), first, last, points, workspace);
  });
  for (int64_t part = 1; part < parts; ++part) sums[0].add_(sums[part]);
  at::Tensor result = at::empty_like(weight);
  winograd::weightGradient(sums.data_ptr<float>(), sizes.in, sizes.out, result.data_ptr<float>(), stridesOf(result));
  return result;
}

struct TrainingConvolution : torch::autograd::Function<TrainingConvolution> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& given, const at::Tensor& weight, const at::Tensor& bias) {
    RECORD_FUNCTION("dagan::conv3x3", std::vector<c10::IValue>({given, weight}));
    const at::Tensor input = channelsLast(given);
    context->save_for_backward({given, weight});
    const winograd::Sizes sizes = sizesOf(input, weight.size(0));
    const at::Tensor points = emptyPoints(sizes, weight.options());
    winograd::transformKernel(weight.data_ptr<float>(), stridesOf(weight), sizes.in, sizes.out, points.data_ptr<float>());
    return convolve(input, sizes, points, bias.contiguous().data_ptr<float>());
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &input = saved[0], &weight = saved[1];
    const std::array<bool, 3> wanted{context->needs_input_grad(0), context->needs_input_grad(1), context->needs_input_grad(2)};
    // A second derivative is that of LibTorch's own operator.
    if (at::GradMode::is_enabled()) {
      auto [ofInput, ofWeight, ofBias] = at::convolution_backward(gradients[0], input, weight, at::IntArrayRef{weight.size(0)}, {1, 1},
                                                                  {1, 1}, {1, 1}, false, {0, 0}, 1, wanted);
      return {ofInput, ofWeight, ofBias};
    }
    RECORD_FUNCTION("dagan::conv3x3_backward", std::vector<c10::IValue>({gradients[0], input, weight}));
    const at::Tensor gradient = channelsLast(gradients[0]);
    return {wanted[0] ? inputGradient(gradient, weight) : at::Tensor(),
            wanted[1] ? weightGradient(channelsLast(input), gradient, weight) : at::Tensor(),
            wanted[2] ? gradient.sum(at::IntArrayRef{0, 2, 3}) : at::Tensor()};
  }
};

/// trainingConvolution(input, weight, bias | null): a convolution of stride 1 with a border of one zero.
Napi::Value trainingConvolution(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "conv3x3", [&]() -> Napi::Value {
    const at::Tensor& input = unwrapTensor(info[0], "input");
    const at::Tensor& weight = unwrapTensor(info[1], "weight");
    const at::Tensor bias = info[2].IsNull() ? at::Tensor() : unwrapTensor(info[2], "bias");
    if (!suits(input, weight, bias)) return wrapTensor(info.Env(), at::conv2d(input, weight, bias, /*stride=*/1, /*padding=*/1));
    const at::Tensor offset = bias.defined() ? bias : at::zeros({weight.size(0)}, weight.options());
    return wrapTensor(info.Env(), TrainingConvolution::apply(input, weight, offset));
  });
}

}  // namespace

Napi::Object initConvolution(Napi::Env env, Napi::Object exports) {
  exports.Set("trainingConvolution", Napi::Function::New(env, trainingConvolution));
  return exports;
}

}  // namespace dagan
