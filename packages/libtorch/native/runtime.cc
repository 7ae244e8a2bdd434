// The state of LibTorch that no operator reaches: autocast, random numbers, threads, devices, versions.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/autocast_mode.h>
#include <torch/cuda.h>
#include <torch/version.h>

#include "scalar_types.h"
#include "tensor_handle.h"

#define DAGAN_TORCH_AT_LEAST(major, minor) \
  (TORCH_VERSION_MAJOR > (major) || (TORCH_VERSION_MAJOR == (major) && TORCH_VERSION_MINOR >= (minor)))

namespace dagan {
namespace {

bool autocastEnabled(bool cuda) {
#if DAGAN_TORCH_AT_LEAST(2, 4)
  return at::autocast::is_autocast_enabled(cuda ? at::kCUDA : at::kCPU);
#else
  return cuda ? at::autocast::is_enabled() : at::autocast::is_cpu_enabled();
#endif
}

at::ScalarType autocastDtype(bool cuda) {
#if DAGAN_TORCH_AT_LEAST(2, 4)
  return at::autocast::get_autocast_dtype(cuda ? at::kCUDA : at::kCPU);
#else
  return cuda ? at::autocast::get_autocast_gpu_dtype() : at::autocast::get_autocast_cpu_dtype();
#endif
}

void setAutocastState(bool cuda, bool enabled, at::ScalarType dtype) {
#if DAGAN_TORCH_AT_LEAST(2, 4)
  const auto device = cuda ? at::kCUDA : at::kCPU;
  at::autocast::set_autocast_enabled(device, enabled);
  at::autocast::set_autocast_dtype(device, dtype);
#else
  if (cuda) {
    at::autocast::set_enabled(enabled);
    at::autocast::set_autocast_gpu_dtype(dtype);
  } else {
    at::autocast::set_cpu_enabled(enabled);
    at::autocast::set_autocast_cpu_dtype(dtype);
  }
#endif
}

/// setAutocast('cpu' | 'cuda', enabled, dtype) -> {enabled, dtype} from before. Also drops the cache of cast weights,
/// which belongs to one autocast region.
Napi::Value setAutocast(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "setAutocast", [&]() -> Napi::Value {
    const std::string device = info[0].ToString().Utf8Value();
    const bool cuda = device == "cuda";
    if (!cuda && device != "cpu") throw std::runtime_error("the device must be 'cpu' or 'cuda'");
    const auto dtype = dtypeFromName(info[2].ToString().Utf8Value());
    if (dtype != c10::ScalarType::BFloat16 && dtype != c10::ScalarType::Half) {
      throw std::runtime_error("the dtype must be 'bfloat16' or 'float16'");
    }
    auto before = Napi::Object::New(info.Env());
    before.Set("enabled", autocastEnabled(cuda));
    before.Set("dtype", dtypeName(autocastDtype(cuda)));
    setAutocastState(cuda, info[1].ToBoolean().Value(), *dtype);
    at::autocast::clear_cache();
    return before;
  });
}

Napi::Value manualSeed(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "manualSeed", [&]() -> Napi::Value {
    at::manual_seed(static_cast<uint64_t>(info[0].ToNumber().Int64Value()));
    return info.Env().Undefined();
  });
}

at::Generator generatorOf(const Napi::Value& device) {
  return at::globalContext().defaultGenerator(c10::Device(device.ToString().Utf8Value()));
}

/// randomState(device): the state of the default generator, as a uint8 tensor.
Napi::Value randomState(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "randomState", [&] {
    at::Generator generator = generatorOf(info[0]);
    const std::lock_guard<std::mutex> lock(generator.mutex());
    return wrapTensor(info.Env(), generator.get_state());
  });
}

Napi::Value setRandomState(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "setRandomState", [&]() -> Napi::Value {
    at::Generator generator = generatorOf(info[0]);
    const at::Tensor& state = unwrapTensor(info[1], "state");
    const std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_state(state);
    return info.Env().Undefined();
  });
}

Napi::Value getThreads(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), at::get_num_threads()); }

Napi::Value setThreads(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "setThreads", [&]() -> Napi::Value {
    const double threads = info[0].ToNumber().DoubleValue();
    if (!(threads >= 1 && threads <= 1024)) throw std::runtime_error("the number of threads must be from 1 to 1024");
    at::set_num_threads(static_cast<int>(threads));
    return info.Env().Undefined();
  });
}

/// setFlushDenormal(enabled): tiny numbers count as zero on the CPU -> whether the processor can do it.
Napi::Value setFlushDenormal(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), at::globalContext().setFlushDenormal(info[0].ToBoolean().Value()));
}

Napi::Value buildInfo(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "buildInfo", [&]() -> Napi::Value {
    auto result = Napi::Object::New(info.Env());
    result.Set("version", TORCH_VERSION);
    result.Set("cudaDevices", static_cast<double>(torch::cuda::is_available() ? torch::cuda::device_count() : 0));
    result.Set("onednn", at::globalContext().hasMKLDNN());
    result.Set("configuration", at::show_config());
    result.Set("parallel", at::get_parallel_info());
    return result;
  });
}

}  // namespace

Napi::Object initRuntime(Napi::Env env, Napi::Object exports) {
  exports.Set("setAutocast", Napi::Function::New(env, setAutocast));
  exports.Set("manualSeed", Napi::Function::New(env, manualSeed));
  exports.Set("randomState", Napi::Function::New(env, randomState));
  exports.Set("setRandomState", Napi::Function::New(env, setRandomState));
  exports.Set("getThreads", Napi::Function::New(env, getThreads));
  exports.Set("setThreads", Napi::Function::New(env, setThreads));
  exports.Set("setFlushDenormal", Napi::Function::New(env, setFlushDenormal));
  exports.Set("buildInfo", Napi::Function::New(env, buildInfo));
  return exports;
}

}  // namespace dagan
