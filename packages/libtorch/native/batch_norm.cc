// Batch norm, ReLU and the mean of 2 x 2 pixels as one operator of training: by normalization.h where it can do them, else by LibTorch.
#include "batch_norm.h"

#include <ATen/Parallel.h>
#include <ATen/record_function.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#include "normalization.h"
#include "tensor_handle.h"

namespace dagan {
namespace {

using RanksPtr = c10::intrusive_ptr<Ranks>;
using normalization::Sizes;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor channelsLast(const at::Tensor& pictures) { return pictures.contiguous(at::MemoryFormat::ChannelsLast); }

bool isFloat(const at::Tensor& tensor) { return !tensor.defined() || (tensor.is_cpu() && tensor.scalar_type() == at::kFloat); }

bool suits(const at::Tensor& input, const BatchNormState& state, int64_t pool) {
  if (!input.is_cpu() || input.layout() != at::kStrided || input.dim() != 4 || input.numel() == 0) return false;
  if (input.scalar_type() != at::kFloat && input.scalar_type() != at::kBFloat16) return false;
  const int64_t channels = input.size(1);
  for (const at::Tensor* tensor : {&state.weight, &state.bias, &state.runningMean, &state.runningVar}) {
    if (!isFloat(*tensor) || (tensor->defined() && tensor->numel() != channels)) return false;
  }
  const bool pools = pool == 1 || (pool == 2 && input.size(2) % 2 == 0 && input.size(3) % 2 == 0);
  return pools && channels % kLanes == 0 && vectorsAvailable();
}

Sizes sizesOf(const at::Tensor& input, int64_t pool) { return {input.size(0) * input.size(2), input.size(3), input.size(1), pool}; }

/// Calls `body` with a pointer's type that stands for the tensor's numbers.
template <typename Body>
void withNumbersOf(const at::Tensor& tensor, Body body) {
  if (tensor.scalar_type() == at::kFloat) body(static_cast<float*>(nullptr));
  else body(static_cast<Bfloat16*>(nullptr));
}

template <typename Number>
Number* numbers(const at::Tensor& tensor, Number*) {
  return static_cast<Number*>(tensor.data_ptr());
}

/// Calls `body(first, last, part)` for parts of the rows, as many as there are threads; none divides a pool.
template <typename Body>
void inParts(int64_t rows, int64_t parts, Body body) {
  at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) body(rows * part / parts, rows * (part + 1) / parts, part);
  });
}

int64_t partsOf(int64_t rows) { return std::min<int64_t>(at::get_num_threads(), rows); }

/// Mean and (biased) variance of each channel over all ranks [C], in double precision, and how many values of a channel there are.
struct Found {
  at::Tensor mean, variance;
  double count;
};

/// Means, sums of squares around them and the count in every row, as one row: [rows, 2 C + 1] -> [1, 2 C + 1]. (Chan et al., "Updating
/// formulae and a pairwise algorithm for computing sample variances", 1979.)
at::Tensor merged(const at::Tensor& table) {
  const int64_t channels = table.size(1) / 2;
  const at::Tensor means = table.narrow(1, 0, channels), squares = table.narrow(1, channels, channels);
  const at::Tensor counts = table.narrow(1, 2 * channels, 1), count = counts.sum(0, /*keepdim=*/true);
  const at::Tensor mean = (means * counts).sum(0, /*keepdim=*/true) / count;
  return at::cat({mean, (squares + (means - mean).square() * counts).sum(0, /*keepdim=*/true), count}, 1);
}

Found statisticsOf(const at::Tensor& input, const RanksPtr& ranks) {
  const Sizes sizes = sizesOf(input, 1);
  const int64_t parts = partsOf(sizes.rows), channels = sizes.channels;
  at::Tensor table = at::zeros({parts, 2 * channels + 1}, at::kDouble);
  withNumbersOf(input, [&](auto* type) {
    inParts(sizes.rows, parts, [&](int64_t first, int64_t last, int64_t part) {
      double* row = table.data_ptr<double>() + part * (2 * channels + 1);
      normalization::Statistics own{0, row, row + channels};
      normalization::addStatistics(sizes, numbers(input, type), first, last, own);
      row[2 * channels] = own.count;
    });
  });
  table = merged(table);
  if (ranks) {
    // A sum of tables that hold one rank's row each gathers all rows.
    const at::Tensor own = table;
    table = at::zeros({ranks->worldSize, 2 * channels + 1}, at::kDouble);
    table[ranks->rank].copy_(own[0]);
    ranks->sum(table, "batch norm's statistics");
    table = merged(table);
  }
  const double count = table[0][2 * channels].item<double>();
  return {table[0].narrow(0, 0, channels), table[0].narrow(0, channels, channels) / count, count};
}

/// What turns a channel's values into those before the ReLU: scale x + shift, float32 [C] each.
struct Scaling {
  at::Tensor scale, shift;

  normalization::Transform transform() const { return {scale.data_ptr<float>(), shift.data_ptr<float>()}; }
};

Scaling scalingOf(const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& mean, const at::Tensor& inverse) {
  const at::Tensor scale = weight.defined() ? weight * inverse : inverse;
  const at::Tensor shift = bias.defined() ? bias - mean * scale : -mean * scale;
  return {scale.to(at::kFloat).contiguous(), shift.to(at::kFloat).contiguous()};
}

at::Tensor byLibTorch(const at::Tensor& input, const BatchNormState& state, int64_t pool, const RanksPtr& ranks) {
  const auto& [weight, bias, mean, variance, momentum, eps] = state;
  const at::Tensor normalized = ranks ? ranks->batchNorm(input, weight, bias, mean, variance, momentum, eps)
                                      : at::batch_norm(input, weight, bias, mean, variance, /*training=*/true, momentum, eps, true);
  const at::Tensor positive = at::relu(normalized);
  return pool == 1 ? positive : at::avg_pool2d(positive, {pool, pool});
}

struct BatchNormRelu : torch::autograd::Function<BatchNormRelu> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& given, const at::Tensor& weight, const at::Tensor& bias,
                            const BatchNormState& state, int64_t pool, const RanksPtr& ranks) {
    RECORD_FUNCTION("dagan::batch_norm_relu", std::vector<c10::IValue>({given}));
    const at::Tensor input = channelsLast(given);
    const Found found = statisticsOf(input, ranks);
    if (state.runningMean.defined()) {
      state.runningMean.mul_(1 - state.momentum).add_(found.mean, state.momentum);
      state.runningVar.mul_(1 - state.momentum).add_(found.variance, state.momentum * found.count / (found.count - 1));
    }
    const at::Tensor inverse = (found.variance + state.eps).rsqrt();
    context->save_for_backward({given, weight, bias, found.mean, inverse});
    context->saved_data["eps"] = state.eps;
    context->saved_data["pool"] = pool;
    context->saved_data["count"] = found.count;
    context->saved_data["ranks"] = ranks ? c10::IValue::make_capsule(ranks) : c10::IValue();
    const Sizes sizes = sizesOf(input, pool);
    const at::Tensor output = at::empty({input.size(0), input.size(1), input.size(2) / pool, input.size(3) / pool}, input.options(),
                                        at::MemoryFormat::ChannelsLast);
    const Scaling scaling = scalingOf(weight, bias, found.mean, inverse);
    withNumbersOf(input, [&](auto* type) {
      inParts(sizes.rows / pool, partsOf(sizes.rows / pool), [&](int64_t first, int64_t last, int64_t) {
        normalization::transform(sizes, numbers(input, type), scaling.transform(), numbers(output, type), first, last);
      });
    });
    return output;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &weight = saved[1], &bias = saved[2], &mean = saved[3], &inverse = saved[4];
    const int64_t pool = context->saved_data["pool"].toInt();
    const RanksPtr ranks = ranksOf(context->saved_data["ranks"]);
    const at::Tensor none;
    if (at::GradMode::is_enabled()) {
      const auto [input, factor, offset] = secondDerivative(context, saved, gradients[0], pool, ranks);
      return {input, factor, offset, none, none, none};
    }
    RECORD_FUNCTION("dagan::batch_norm_relu_backward", std::vector<c10::IValue>({gradients[0], saved[0]}));
    const at::Tensor input = channelsLast(saved[0]), gradient = channelsLast(gradients[0]);
    const Sizes sizes = sizesOf(input, pool);
    const int64_t parts = partsOf(sizes.rows), channels = sizes.channels;
    const Scaling scaling = scalingOf(weight, bias, mean, inverse);
    const at::Tensor means = mean.to(at::kFloat);
    const at::Tensor partial = at::zeros({parts, 2, channels}, at::kDouble);
    withNumbersOf(input, [&](auto* type) {
      inParts(sizes.rows, parts, [&](int64_t first, int64_t last, int64_t part) {
        double* sums = partial.data_ptr<double>() + part * 2 * channels;
        normalization::addGradientSums(sizes, numbers(input, type), numbers(gradient, type), scaling.transform(), means.data_ptr<float>(),
                                       first, last, sums, sums + channels);
      });
    });
    at::Tensor sums = partial.sum(0);  // [2, C]
    const at::Tensor biasGradient = sums[0].to(at::kFloat), weightGradient = (sums[1] * inverse).to(at::kFloat);
    if (ranks) {
      try {
        ranks->sum(sums, "batch norm's gradients");
      } catch (const std::exception& error) {
        throw std::runtime_error("rank " + std::to_string(ranks->rank) + ": " + readableMessage(error));
      }
    }
    // With g the gradient before the ReLU and s = weight / sqrt(variance + eps), of n values:
    // dx = s (g - (sum g + (x - mean) sum g (x - mean) / (variance + eps)) / n)
    const double count = context->saved_data["count"].toDouble();
    const at::Tensor scale = weight.defined() ? weight * inverse : inverse;
    const at::Tensor offsets = (scale * sums[0] / -count).to(at::kFloat);
    const at::Tensor slopes = (scale * inverse.square() * sums[1] / -count).to(at::kFloat);
    const at::Tensor result = at::empty_like(input);
    withNumbersOf(input, [&](auto* type) {
      inParts(sizes.rows, parts, [&](int64_t first, int64_t last, int64_t) {
        normalization::inputGradient(sizes, numbers(input, type), numbers(gradient, type), scaling.transform(), means.data_ptr<float>(),
                                     slopes.data_ptr<float>(), offsets.data_ptr<float>(), numbers(result, type), first, last);
      });
    });
    return {result, weight.defined() ? weightGradient : none, bias.defined() ? biasGradient : none, none, none, none};
  }

 private:
  static RanksPtr ranksOf(const c10::IValue& capsule) {
    return capsule.isNone() ? RanksPtr() : c10::static_intrusive_pointer_cast<Ranks>(capsule.toCapsule());
  }

  /// The gradients as a computation that can itself be differentiated, which is LibTorch's own.
  static std::tuple<at::Tensor, at::Tensor, at::Tensor> secondDerivative(AutogradContext* context, const variable_list& saved,
                                                                         const at::Tensor& gradient, int64_t pool, const RanksPtr& ranks) {
    if (ranks) {
      throw std::runtime_error("rank " + std::to_string(ranks->rank) +
                               ": synchronised batch norm has no second derivative; run backward without createGraph");
    }
    const BatchNormState state{saved[1], saved[2], {}, {}, 0, context->saved_data["eps"].toDouble()};
    const at::Tensor output = byLibTorch(saved[0], state, pool, ranks);
    variable_list inputs, found;
    for (int64_t i = 0; i < 3; ++i) {
      if (saved[i].defined() && saved[i].requires_grad()) inputs.push_back(saved[i]);
    }
    found = torch::autograd::grad({output}, inputs, {gradient}, /*retain_graph=*/true, /*create_graph=*/true);
    variable_list all(3);
    for (int64_t i = 0, next = 0; i < 3; ++i) {
      if (saved[i].defined() && saved[i].requires_grad()) all[i] = found[next++];
    }
    return {all[0], all[1], all[2]};
  }
};

/// batchNormRelu(input, weight | null, bias | null, runningMean | null, runningVar | null, momentum, eps, pool)
Napi::Value batchNormReluAlone(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "batchNormRelu", [&] {
    const int64_t pool = info[7].ToNumber().Int64Value();
    return wrapTensor(info.Env(), batchNormRelu(unwrapTensor(info[0], "input"), batchNormState(info), pool, {}));
  });
}

}  // namespace

BatchNormState batchNormState(const Napi::CallbackInfo& call) {
  const auto optional = [&](int at, const char* what) { return call[at].IsNull() ? at::Tensor() : unwrapTensor(call[at], what); };
  return {optional(1, "weight"),      optional(2, "bias"),
          optional(3, "runningMean"), optional(4, "runningVar"),
          call[5].ToNumber().DoubleValue(), call[6].ToNumber().DoubleValue()};
}

at::Tensor batchNormRelu(const at::Tensor& input, const BatchNormState& state, int64_t pool, const RanksPtr& ranks) {
  if (!suits(input, state, pool)) return byLibTorch(input, state, pool, ranks);
  return BatchNormRelu::apply(input, state.weight, state.bias, state, pool, ranks);
}

Napi::Object initBatchNorm(Napi::Env env, Napi::Object exports) {
  exports.Set("batchNormRelu", Napi::Function::New(env, batchNormReluAlone));
  return exports;
}

}  // namespace dagan
