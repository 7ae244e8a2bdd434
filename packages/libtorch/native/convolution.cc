// Convolutions for training: as aten::conv2d, but up to four times as fast where winograd.h can do them.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <ATen/record_function.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/version.h>

#ifdef __x86_64__
#include <cpuid.h>
#endif

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "tensor_handle.h"
#include "winograd.h"

namespace dagan {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Fewer tiles than this do not repay the transformation of the kernel.
constexpr int64_t kFewestTiles = 24;
constexpr int64_t kFewestHalfTiles = 96;
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

bool isOf(at::ScalarType type, const at::Tensor& tensor) {
  return tensor.is_cpu() && tensor.layout() == at::kStrided && tensor.scalar_type() == type;
}

bool isFloat(const at::Tensor& tensor) { return isOf(at::kFloat, tensor); }

/// The type in which convolutions compute. (Autocast's keys are excluded as long as it is off.)
at::ScalarType typeOfConvolutions() {
  if (c10::impl::tls_is_dispatch_key_excluded(c10::DispatchKey::AutocastCPU)) return at::kFloat;
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
  return at::autocast::get_autocast_dtype(at::kCPU);
#else
  return at::autocast::get_autocast_cpu_dtype();
#endif
}

/// Whether the processor multiplies matrices of 16 bits by itself (AMX): LibTorch's convolutions are then faster still.
bool multipliesMatrices() {
#ifdef __x86_64__
  constexpr unsigned kAmxBfloat16 = 1u << 22;
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kAmxBfloat16) != 0;
#else
  return true;
#endif
}

/// Whether pictures of 16 bits are computed here, in 32 bits. LibTorch's convolutions multiply two numbers of 16 bits in the time of one
/// of 32: only what needs a quarter of the multiplications is faster, which kernels of 5 x 5 and 6 x 6 do not.
bool suitsHalf(const winograd::Sizes& sizes) {
  static const bool faster = winograd::lanes() == 16 && !multipliesMatrices();
  return faster && sizes.tiles() >= kFewestHalfTiles && (sizes.parts() == 1 || sizes.taps() == 4);
}

bool suits(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, int64_t padding, at::ScalarType type) {
  if (type != at::kFloat && type != at::kBFloat16) return false;
  if (!isFloat(input) && !(type == at::kBFloat16 && isOf(at::kBFloat16, input))) return false;
  if (!isFloat(weight) || (bias.defined() && !isFloat(bias))) return false;
  if (input.dim() != 4 || weight.dim() != 4 || weight.size(2) != weight.size(3) || input.numel() == 0) return false;
  if (input.size(1) != weight.size(1) || (bias.defined() && bias.numel() != weight.size(0))) return false;
  if (std::min(weight.size(0), weight.size(1)) < kFewestChannels) return false;
  if (weight.size(2) < winograd::kSmallest || weight.size(2) > winograd::kLargest || padding >= weight.size(2)) return false;
  const winograd::Sizes sizes = sizesOf(input, weight, padding);
  if (sizes.outHeight() < 1 || sizes.outWidth() < 1) return false;
  return sizes.tiles() >= kFewestTiles && winograd::available() && (type == at::kFloat || suitsHalf(sizes));
}

/// Calls `body(first, last, workspace, part)` for parts of the tiles, as many as there are threads.
template <typename Body>
void inParts(const winograd::Sizes& sizes, Body body) {
  const int64_t parts = std::min<int64_t>(at::get_num_threads(), sizes.tiles());
  at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
    const std::unique_ptr<float[]> workspace(new float[static_cast<size_t>(sizes.workspace())]);
    for (int64_t part = begin; part < end; ++part) {
      body(sizes.tiles() * part / parts, sizes.tiles() * (part + 1) / parts, workspace.get(), part);
    }
  });
}

/// Calls `body` with pointers to the pictures' numbers.
template <typename Body>
void withNumbers(const at::Tensor& first, const at::Tensor& second, Body body) {
  if (first.scalar_type() == at::kFloat) body(first.data_ptr<float>(), second.data_ptr<float>());
  else body(static_cast<Bfloat16*>(first.data_ptr()), static_cast<Bfloat16*>(second.data_ptr()));
}

at::Tensor convolve(const at::Tensor& input, const winograd::Sizes& sizes, const at::Tensor& points, const float* bias) {
  at::Tensor output = at::empty({sizes.batch, sizes.out, sizes.outHeight(), sizes.outWidth()}, input.options(), at::MemoryFormat::ChannelsLast);
  withNumbers(input, output, [&](const auto* from, auto* to) {
    inParts(sizes, [&](int64_t first, int64_t last, float* workspace, int64_t) {
      winograd::convolve(sizes, from, points.data_ptr<float>(), bias, to, first, last, workspace);
    });
  });
  return output;
}

at::Tensor pointsOf(const winograd::Sizes& sizes, const float* kernel, winograd::Strides strides) {
  at::Tensor points = at::empty({sizes.points(), sizes.kernelStep()}, at::kFloat);
  winograd::transformKernel(sizes, kernel, strides, points.data_ptr<float>());
  return points;
}

at::Tensor forwardPoints(const winograd::Sizes& sizes, const at::Tensor& weight) {
  const at::Tensor kernel = weight.detach().permute({2, 3, 1, 0}).contiguous();  // [side, side, in, out]
  return pointsOf(sizes, kernel.data_ptr<float>(), {kernel.stride(2), kernel.stride(0), kernel.stride(1)});
}

at::Tensor inputGradient(const at::Tensor& gradient, const at::Tensor& weight, const winograd::Sizes& forward) {
  const winograd::Sizes sizes = backwardSizes(forward);
  // The kernel turned by 180 degrees, from `out` to `in`, which lies innermost.
  const at::Tensor kernel = channelsLast(weight.detach());  // [out, in, side, side]
  const float* last = kernel.data_ptr<float>() + (sizes.kernel - 1) * (sizes.kernel + 1) * sizes.out;
  const winograd::Strides turned{sizes.kernel * sizes.kernel * sizes.out, -sizes.kernel * sizes.out, -sizes.out};
  return convolve(gradient, sizes, pointsOf(sizes, last, turned), nullptr);
}

at::Tensor weightGradient(const at::Tensor& input, const at::Tensor& gradient, const at::Tensor& weight, const winograd::Sizes& sizes) {
  const int64_t parts = std::min<int64_t>(at::get_num_threads(), sizes.tiles());
  const int64_t numbers = sizes.points() * sizes.kernelStep();
  const at::Tensor sums = at::zeros({parts, numbers}, weight.options().requires_grad(false));
  withNumbers(input, gradient, [&](const auto* from, const auto* above) {
    inParts(sizes, [&](int64_t first, int64_t last, float* workspace, int64_t part) {
      winograd::addWeightGradient(sizes, from, above, first, last, sums.data_ptr<float>() + part * numbers, workspace);
    });
  });
  for (int64_t part = 1; part < parts; ++part) sums[0].add_(sums[part]);
  const at::Tensor kernel = at::empty({sizes.kernel, sizes.kernel, sizes.in, sizes.out}, at::kFloat);
  winograd::weightGradient(sizes, sums.data_ptr<float>(), kernel.data_ptr<float>());
  return at::empty_like(weight).copy_(kernel.permute({3, 2, 0, 1}));
}

at::Tensor biasGradient(const at::Tensor& gradient, const winograd::Sizes& sizes) {
  const int64_t pixels = sizes.batch * sizes.outHeight() * sizes.outWidth(), parts = std::min<int64_t>(at::get_num_threads(), pixels);
  const at::Tensor sums = at::zeros({parts, sizes.out}, at::kDouble);
  withNumbers(gradient, gradient, [&](const auto* above, const auto*) {
    at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
      for (int64_t part = begin; part < end; ++part) {
        winograd::addBiasGradient(sizes, above, pixels * part / parts, pixels * (part + 1) / parts, sums.data_ptr<double>() + part * sizes.out);
      }
    });
  });
  return sums.sum(0).to(at::kFloat);
}

struct TrainingConvolution : torch::autograd::Function<TrainingConvolution> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& given, const at::Tensor& weight, const at::Tensor& bias,
                            int64_t padding) {
    RECORD_FUNCTION("dagan::conv", std::vector<c10::IValue>({given, weight}));
    const at::Tensor input = channelsLast(given);
    context->save_for_backward({given, weight});
    context->saved_data["padding"] = padding;
    const winograd::Sizes sizes = sizesOf(input, weight, padding);
    return convolve(input, sizes, forwardPoints(sizes, weight), bias.contiguous().data_ptr<float>());
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &input = saved[0], &weight = saved[1];
    const int64_t padding = context->saved_data["padding"].toInt();
    const std::array<bool, 3> wanted{context->needs_input_grad(0), context->needs_input_grad(1), context->needs_input_grad(2)};
    // A second derivative is that of LibTorch's own operator.
    if (at::GradMode::is_enabled()) {
      const at::Tensor kernel = weight.to(input.scalar_type());
      const auto wide = [](const at::Tensor& found) { return found.defined() ? found.to(at::kFloat) : found; };
      auto [ofInput, ofWeight, ofBias] = at::convolution_backward(gradients[0], input, kernel, at::IntArrayRef{weight.size(0)}, {1, 1},
                                                                  {padding, padding}, {1, 1}, false, {0, 0}, 1, wanted);
      return {ofInput, wide(ofWeight), wide(ofBias), at::Tensor()};
    }
    RECORD_FUNCTION("dagan::conv_backward", std::vector<c10::IValue>({gradients[0], input, weight}));
    const at::Tensor gradient = channelsLast(gradients[0]);
    const winograd::Sizes sizes = sizesOf(input, weight, padding);
    return {wanted[0] ? inputGradient(gradient, weight, sizes) : at::Tensor(),
            wanted[1] ? weightGradient(channelsLast(input), gradient, weight, sizes) : at::Tensor(),
            wanted[2] ? biasGradient(gradient, sizes) : at::Tensor(), at::Tensor()};
  }
};

/// trainingConv2d(input, weight, bias | null, padding): a convolution of stride 1 with a border of `padding` zeros.
Napi::Value trainingConv2d(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "trainingConv2d", [&]() -> Napi::Value {
    const at::Tensor& input = unwrapTensor(info[0], "input");
    const at::Tensor& weight = unwrapTensor(info[1], "weight");
    const at::Tensor bias = info[2].IsNull() ? at::Tensor() : unwrapTensor(info[2], "bias");
    const int64_t padding = info[3].ToNumber().Int64Value();
    const at::ScalarType type = typeOfConvolutions();
    if (!suits(input, weight, bias, padding, type)) return wrapTensor(info.Env(), at::conv2d(input, weight, bias, /*stride=*/1, padding));
    const at::Tensor offset = bias.defined() ? bias : at::zeros({weight.size(0)}, weight.options());
    return wrapTensor(info.Env(), TrainingConvolution::apply(input.to(type), weight, offset, padding));
  });
}

}  // namespace

Napi::Object initConvolution(Napi::Env env, Napi::Object exports) {
  exports.Set("trainingConv2d", Napi::Function::New(env, trainingConv2d));
  return exports;
}

}  // namespace dagan
