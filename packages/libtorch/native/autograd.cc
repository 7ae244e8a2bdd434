// Reverse-mode differentiation: what of autograd is no operator.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include "tensor_handle.h"

namespace dagan {
namespace {

Napi::Value tensorsToJs(Napi::Env env, const std::vector<at::Tensor>& tensors) {
  auto array = Napi::Array::New(env, tensors.size());
  for (uint32_t i = 0; i < tensors.size(); ++i) array.Set(i, wrapTensor(env, tensors[i]));
  return array;
}

std::vector<at::Tensor> optionalGradients(const Napi::Value& value) {
  if (value.IsUndefined() || value.IsNull()) return {};
  return unwrapTensors(value, "gradients", true);
}

/// backward(tensors, gradients | null, retainGraph, createGraph): adds into the leaves' gradients.
Napi::Value backward(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "backward", [&]() -> Napi::Value {
    const auto tensors = unwrapTensors(info[0], "tensors", false);
    torch::autograd::backward(tensors, optionalGradients(info[1]), info[2].ToBoolean().Value(), info[3].ToBoolean().Value());
    return info.Env().Undefined();
  });
}

/// grad(outputs, inputs, gradients | null, retainGraph, createGraph, allowUnused) -> one gradient (or null) per input
Napi::Value grad(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "grad", [&]() -> Napi::Value {
    const auto outputs = unwrapTensors(info[0], "outputs", false);
    const auto inputs = unwrapTensors(info[1], "inputs", false);
    return tensorsToJs(info.Env(), torch::autograd::grad(outputs, inputs, optionalGradients(info[2]),
                                                         info[3].ToBoolean().Value(), info[4].ToBoolean().Value(),
                                                         info[5].ToBoolean().Value()));
  });
}

Napi::Value gradOf(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "gradient", [&] { return wrapTensor(info.Env(), unwrapTensor(info[0], "tensor").grad()); });
}

Napi::Value setGrad(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "gradient", [&]() -> Napi::Value {
    const bool none = info[1].IsNull() || info[1].IsUndefined();
    const at::Tensor gradient = none ? at::Tensor() : unwrapTensor(info[1], "gradient");
    const at::Tensor& tensor = unwrapTensor(info[0], "tensor");
    if (gradient.is_same(tensor)) throw std::runtime_error("a tensor cannot be its own gradient");
    if (gradient.defined() && (gradient.sizes() != tensor.sizes() || gradient.scalar_type() != tensor.scalar_type() ||
                               gradient.device() != tensor.device())) {
      throw std::runtime_error("a gradient of " + describeTensor(gradient) + " cannot belong to " + describeTensor(tensor));
    }
    tensor.mutable_grad() = gradient;
    return info.Env().Undefined();
  });
}

Napi::Value requiresGrad(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "requiresGrad", [&]() -> Napi::Value {
    return Napi::Boolean::New(info.Env(), unwrapTensor(info[0], "tensor").requires_grad());
  });
}

Napi::Value setRequiresGrad(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "requiresGrad", [&]() -> Napi::Value {
    const at::Tensor& tensor = unwrapTensor(info[0], "tensor");
    const bool wanted = info[1].ToBoolean().Value();
    if (!wanted && !tensor.is_leaf()) throw std::runtime_error("only a leaf can stop requiring a gradient; use detach()");
    tensor.requires_grad_(wanted);
    return info.Env().Undefined();
  });
}

Napi::Value isLeaf(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "isLeaf", [&]() -> Napi::Value {
    return Napi::Boolean::New(info.Env(), unwrapTensor(info[0], "tensor").is_leaf());
  });
}

/// setGradMode(enabled) -> the mode before
Napi::Value setGradMode(const Napi::CallbackInfo& info) {
  const bool before = at::GradMode::is_enabled();
  at::GradMode::set_enabled(info[0].ToBoolean().Value());
  return Napi::Boolean::New(info.Env(), before);
}

}  // namespace

Napi::Object initAutograd(Napi::Env env, Napi::Object exports) {
  exports.Set("backward", Napi::Function::New(env, backward));
  exports.Set("grad", Napi::Function::New(env, grad));
  exports.Set("gradOf", Napi::Function::New(env, gradOf));
  exports.Set("setGrad", Napi::Function::New(env, setGrad));
  exports.Set("requiresGrad", Napi::Function::New(env, requiresGrad));
  exports.Set("setRequiresGrad", Napi::Function::New(env, setRequiresGrad));
  exports.Set("isLeaf", Napi::Function::New(env, isLeaf));
  exports.Set("setGradMode", Napi::Function::New(env, setGradMode));
  return exports;
}

}  // namespace dagan
