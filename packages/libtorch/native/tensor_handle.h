// Tensor handles: the only way in which a tensor crosses between JavaScript and LibTorch.
//
// JavaScript holds a Node-API external that points to a TensorHandle. Every live handle stands in one process-wide
// registry, so that a foreign external, a handle that was freed or any other value is recognised instead of followed.
#pragma once

#include <napi.h>

#include <ATen/core/Tensor.h>

#include <string>

namespace dagan {

/// More entries than any list of arguments has; a sparse JavaScript array may claim four thousand million.
constexpr uint32_t kLongestList = 1 << 20;

struct TensorHandle {
  at::Tensor tensor;  // undefined once the handle has been freed
};

/// A new handle that owns one reference to `tensor`; null for an undefined tensor.
Napi::Value wrapTensor(Napi::Env env, at::Tensor tensor);

/// The handle behind a JavaScript value, or nullptr if the value is no tensor handle. It may have been freed.
TensorHandle* findHandle(const Napi::Value& value);

/// The tensor behind a JavaScript value. Throws Napi::TypeError, naming `what`, if there is none.
const at::Tensor& unwrapTensor(const Napi::Value& value, const char* what);

/// All tensors of a JavaScript array; null entries become undefined tensors where `allowNull`.
std::vector<at::Tensor> unwrapTensors(const Napi::Value& value, const char* what, bool allowNull);

/// "float32[1, 3, 256, 256]", with the device where it is not the CPU.
std::string describeTensor(const at::Tensor& tensor);

/// Runs `body` and turns every C++ exception into a JavaScript Error that starts with `what` and has no C++ stack.
template <typename Body>
auto guarded(Napi::Env env, const std::string& what, Body&& body) -> decltype(body());

/// What a LibTorch message says to a user: without backtrace and source location, and not longer than a screen.
std::string readableMessage(const std::exception& error);

Napi::Object initTensorHandles(Napi::Env env, Napi::Object exports);
Napi::Object initOperators(Napi::Env env, Napi::Object exports);
Napi::Object initAutograd(Napi::Env env, Napi::Object exports);
Napi::Object initRuntime(Napi::Env env, Napi::Object exports);
Napi::Object initConvolution(Napi::Env env, Napi::Object exports);
Napi::Object initBatchNorm(Napi::Env env, Napi::Object exports);
Napi::Object initDifference(Napi::Env env, Napi::Object exports);
Napi::Object initGridSample(Napi::Env env, Napi::Object exports);
Napi::Object initProfile(Napi::Env env, Napi::Object exports);
Napi::Object initDistributed(Napi::Env env, Napi::Object exports);

template <typename Body>
auto guarded(Napi::Env env, const std::string& what, Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::exception& error) {
    throw Napi::Error::New(env, what + ": " + readableMessage(error));
  } catch (...) {
    throw Napi::Error::New(env, what + ": unknown C++ exception");
  }
}

}  // namespace dagan
