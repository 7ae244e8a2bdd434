// The mean absolute difference of two tensors in one pass over memory each way, where LibTorch's operators take three and six.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/record_function.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#include "tensor_handle.h"
#include "vectors.h"

DAGAN_VECTORS_BEGIN

namespace dagan {
namespace {

/// Numbers that are summed up in float32.
constexpr int64_t kBlock = 4096;

template <typename A, typename B>
double absoluteSum(const A* a, const B* b, int64_t count) {
  double total = 0;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    Vector sums{};
    const int64_t end = std::min(begin + kBlock, count);
    for (int64_t i = begin; i < end; i += kLanes) {
      const Vector difference = loadFirst(a + i, end - i) - loadFirst(b + i, end - i);
      sums += difference < 0 ? -difference : difference;
    }
    for (int64_t lane = 0; lane < kLanes; ++lane) total += static_cast<double>(sums[lane]);
  }
  return total;
}

/// `by` with the sign of a - b, 0 where they are the same.
template <typename A, typename B>
void signs(const A* a, const B* b, float by, A* result, int64_t count) {
  const Vector factor = Vector{} + by, opposite = -factor, zero{};
  for (int64_t i = 0; i < count; i += kLanes) {
    const Vector difference = loadFirst(a + i, count - i) - loadFirst(b + i, count - i);
    storeFirst(difference > 0 ? factor : (difference < 0 ? opposite : difference * zero), result + i, count - i);
  }
}

}  // namespace
}  // namespace dagan

DAGAN_VECTORS_END

namespace dagan {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

bool isFloating(const at::Tensor& tensor) {
  return tensor.is_cpu() && tensor.layout() == at::kStrided && (tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kBFloat16);
}

bool suits(const at::Tensor& a, const at::Tensor& b) {
  return isFloating(a) && isFloating(b) && a.sizes() == b.sizes() && a.numel() > 0 && a.is_non_overlapping_and_dense() &&
         !b.requires_grad() && vectorsAvailable();
}

at::Tensor byLibTorch(const at::Tensor& a, const at::Tensor& b) {
  const auto wide = [](const at::Tensor& tensor) { return tensor.scalar_type() == at::kDouble ? tensor : tensor.to(at::kFloat); };
  return (wide(a) - wide(b)).abs().mean();
}

/// Calls `body` with a pointer to the tensor's numbers.
template <typename Body>
auto withNumbers(const at::Tensor& tensor, Body body) {
  if (tensor.scalar_type() == at::kFloat) return body(tensor.data_ptr<float>());
  return body(static_cast<Bfloat16*>(tensor.data_ptr()));
}

struct MeanAbsoluteDifference : torch::autograd::Function<MeanAbsoluteDifference> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& a, const at::Tensor& given) {
    RECORD_FUNCTION("dagan::mean_absolute_difference", std::vector<c10::IValue>({a, given}));
    const at::Tensor b = a.strides() == given.strides() ? given : at::empty_like(a, given.options()).copy_(given);
    context->save_for_backward({a, b});
    const int64_t count = a.numel(), parts = std::min<int64_t>(at::get_num_threads(), count);
    std::vector<double> sums(static_cast<size_t>(parts));
    at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
      for (int64_t part = begin; part < end; ++part) {
        const int64_t first = count * part / parts, last = count * (part + 1) / parts;
        sums[part] = withNumbers(a, [&](auto* x) { return withNumbers(b, [&](auto* y) { return absoluteSum(x + first, y + first, last - first); }); });
      }
    });
    double total = 0;
    for (const double sum : sums) total += sum;
    return at::scalar_tensor(total / static_cast<double>(count), at::kFloat);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &a = saved[0], &b = saved[1];
    RECORD_FUNCTION("dagan::mean_absolute_difference_backward", std::vector<c10::IValue>({a, b}));
    // Constant but for the gradient that comes in, which a second derivative runs through.
    if (at::GradMode::is_enabled()) {
      const at::Tensor sign = (a.detach().to(at::kFloat) - b.to(at::kFloat)).sgn();
      return {(sign * gradients[0] / static_cast<double>(a.numel())).to(a.scalar_type()), at::Tensor()};
    }
    const int64_t count = a.numel();
    const float by = gradients[0].item<float>() / static_cast<float>(count);
    const at::Tensor result = at::empty_like(a);
    at::parallel_for(0, count, kBlock, [&](int64_t first, int64_t last) {
      withNumbers(a, [&](auto* x) {
        withNumbers(b, [&](auto* y) { signs(x + first, y + first, by, static_cast<decltype(x)>(result.data_ptr()) + first, last - first); });
      });
    });
    return {result, at::Tensor()};
  }
};

/// meanAbsoluteDifference(a, b): mean |a - b| -> [], in float32 or float64.
Napi::Value meanAbsoluteDifference(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "meanAbsoluteDifference", [&] {
    const at::Tensor &a = unwrapTensor(info[0], "a"), &b = unwrapTensor(info[1], "b");
    return wrapTensor(info.Env(), suits(a, b) ? MeanAbsoluteDifference::apply(a, b) : byLibTorch(a, b));
  });
}

}  // namespace

Napi::Object initDifference(Napi::Env env, Napi::Object exports) {
  exports.Set("meanAbsoluteDifference", Napi::Function::New(env, meanAbsoluteDifference));
  return exports;
}

}  // namespace dagan
