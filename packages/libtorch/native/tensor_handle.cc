// Tensor handles, TypedArray in and out, and what JavaScript may ask of a tensor without running an operator.
#include "tensor_handle.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <sstream>
#include <unordered_set>

#include "scalar_types.h"

namespace dagan {
namespace {

std::mutex registryMutex;
std::unordered_set<const TensorHandle*>& registry() {
  // Never destroyed: finalisers may run while the process ends.
  static auto* handles = new std::unordered_set<const TensorHandle*>();
  return *handles;
}
size_t liveHandles = 0;  // guarded by registryMutex

bool release(TensorHandle* handle) {
  at::Tensor last;  // the storage is freed after the lock
  const std::lock_guard<std::mutex> lock(registryMutex);
  if (!handle->tensor.defined()) return false;
  last = std::move(handle->tensor);
  handle->tensor = at::Tensor();
  --liveHandles;
  return true;
}

void finalize(Napi::Env, TensorHandle* handle) {
  release(handle);
  {
    const std::lock_guard<std::mutex> lock(registryMutex);
    registry().erase(handle);
  }
  delete handle;
}

std::vector<int64_t> shapeFrom(const Napi::Value& value) {
  if (!value.IsArray()) throw Napi::TypeError::New(value.Env(), "a shape must be an array of sizes");
  const auto array = value.As<Napi::Array>();
  std::vector<int64_t> shape;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Value size = array.Get(i);
    const double number = size.IsNumber() ? size.As<Napi::Number>().DoubleValue() : -1;
    if (!(number >= 0 && number <= 9007199254740991.0) || number != static_cast<double>(static_cast<int64_t>(number))) {
      throw Napi::TypeError::New(value.Env(), "a shape must hold whole numbers from 0 up");
    }
    shape.push_back(static_cast<int64_t>(number));
  }
  return shape;
}

/// The memory of an ArrayBuffer or of a view on one. Valid only until JavaScript runs again: that can take it away.
std::pair<uint8_t*, size_t> bytesOf(const Napi::Value& value) {
  if (value.IsTypedArray()) {
    napi_typedarray_type type;
    size_t length = 0;
    void* data = nullptr;
    // Asked for directly, because a view on shared memory has no ArrayBuffer that node-addon-api would accept.
    NAPI_THROW_IF_FAILED(value.Env(), napi_get_typedarray_info(value.Env(), value, &type, &length, &data, nullptr, nullptr),
                         {});
    return {static_cast<uint8_t*>(data), value.As<Napi::TypedArray>().ByteLength()};
  }
  if (value.IsArrayBuffer()) {
    auto buffer = value.As<Napi::ArrayBuffer>();
    return {static_cast<uint8_t*>(buffer.Data()), buffer.ByteLength()};
  }
  throw Napi::TypeError::New(value.Env(), "data must be a TypedArray or an ArrayBuffer");
}

/// fromData(data, shape, dtype): a new CPU tensor that holds a copy of the bytes.
Napi::Value fromData(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "fromData", [&] {
    const auto shape = shapeFrom(info[1]);
    const auto name = info[2].ToString().Utf8Value();
    const auto dtype = dtypeFromName(name);
    if (!dtype) throw Napi::TypeError::New(info.Env(), "unknown dtype '" + name.substr(0, 40) + "'");
    size_t expected = c10::elementSize(*dtype);
    for (const auto length : shape) {
      if (length > 0 && expected > SIZE_MAX / static_cast<size_t>(length)) {
        throw Napi::RangeError::New(info.Env(), "the shape is too large");
      }
      expected *= static_cast<size_t>(length);
    }
    const auto [bytes, size] = bytesOf(info[0]);
    if (expected != size) {
      throw Napi::RangeError::New(info.Env(), "the shape needs " + std::to_string(expected) + " bytes, the data has " +
                                                  std::to_string(size));
    }
    at::Tensor tensor = at::empty(shape, at::TensorOptions().dtype(*dtype));
    if (*dtype == c10::ScalarType::Bool) {
      // Kernels take for granted that a bool is 0 or 1.
      std::transform(bytes, bytes + size, tensor.data_ptr<bool>(), [](uint8_t byte) { return byte != 0; });
    } else if (size > 0) {
      std::memcpy(tensor.data_ptr(), bytes, size);
    }
    return wrapTensor(info.Env(), std::move(tensor));
  });
}

/// toData(handle): the elements in row-major order, in a new ArrayBuffer.
Napi::Value toData(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "toData", [&]() -> Napi::Value {
    const at::Tensor tensor = unwrapTensor(info[0], "tensor").detach().to(at::kCPU).contiguous();
    auto buffer = Napi::ArrayBuffer::New(info.Env(), tensor.nbytes());
    if (tensor.nbytes() > 0) std::memcpy(buffer.Data(), tensor.data_ptr(), tensor.nbytes());
    return buffer;
  });
}

/// copyTo(handle, data): the elements in row-major order, into memory that JavaScript already has.
Napi::Value copyTo(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "copyTo", [&]() -> Napi::Value {
    const at::Tensor tensor = unwrapTensor(info[0], "tensor").detach().to(at::kCPU).contiguous();
    const auto [bytes, size] = bytesOf(info[1]);
    if (size != tensor.nbytes()) {
      throw Napi::RangeError::New(info.Env(), "the tensor has " + std::to_string(tensor.nbytes()) +
                                                  " bytes, the target " + std::to_string(size));
    }
    if (size > 0) std::memcpy(bytes, tensor.data_ptr(), size);
    return info.Env().Undefined();
  });
}

Napi::Value shapeOf(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "shape", [&]() -> Napi::Value {
    const auto sizes = unwrapTensor(info[0], "tensor").sizes();
    auto shape = Napi::Array::New(info.Env(), sizes.size());
    for (uint32_t i = 0; i < sizes.size(); ++i) shape.Set(i, Napi::Number::New(info.Env(), static_cast<double>(sizes[i])));
    return shape;
  });
}

Napi::Value dtypeOf(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "dtype", [&]() -> Napi::Value {
    const at::Tensor& tensor = unwrapTensor(info[0], "tensor");
    if (tensor.is_complex()) {
      throw std::runtime_error(describeTensor(tensor) + " has no dtype in JavaScript; take its parts with aten::view_as_real");
    }
    return Napi::String::New(info.Env(), dtypeName(tensor.scalar_type()));
  });
}

Napi::Value deviceOf(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "device", [&]() -> Napi::Value {
    return Napi::String::New(info.Env(), unwrapTensor(info[0], "tensor").device().str());
  });
}

Napi::Value isContiguous(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "isContiguous", [&]() -> Napi::Value {
    const auto format = info[1].ToString().Utf8Value() == "channels_last" ? at::MemoryFormat::ChannelsLast
                                                                         : at::MemoryFormat::Contiguous;
    return Napi::Boolean::New(info.Env(), unwrapTensor(info[0], "tensor").is_contiguous(format));
  });
}

Napi::Value freeTensor(const Napi::CallbackInfo& info) {
  TensorHandle* handle = findHandle(info[0]);
  return Napi::Boolean::New(info.Env(), handle != nullptr && release(handle));
}

Napi::Value liveTensors(const Napi::CallbackInfo& info) {
  const std::lock_guard<std::mutex> lock(registryMutex);
  return Napi::Number::New(info.Env(), static_cast<double>(liveHandles));
}

}  // namespace

Napi::Value wrapTensor(Napi::Env env, at::Tensor tensor) {
  if (!tensor.defined()) return env.Null();
  auto* handle = new TensorHandle{std::move(tensor)};
  {
    const std::lock_guard<std::mutex> lock(registryMutex);
    registry().insert(handle);
    ++liveHandles;
  }
  return Napi::External<TensorHandle>::New(env, handle, finalize);
}

TensorHandle* findHandle(const Napi::Value& value) {
  if (!value.IsExternal()) return nullptr;
  auto* handle = value.As<Napi::External<TensorHandle>>().Data();
  const std::lock_guard<std::mutex> lock(registryMutex);
  return registry().count(handle) ? handle : nullptr;
}

const at::Tensor& unwrapTensor(const Napi::Value& value, const char* what) {
  TensorHandle* handle = findHandle(value);
  if (handle == nullptr) throw Napi::TypeError::New(value.Env(), std::string(what) + " must be a Tensor");
  if (!handle->tensor.defined()) {
    throw Napi::TypeError::New(value.Env(), std::string(what) + " is a tensor that has been disposed");
  }
  return handle->tensor;
}

std::vector<at::Tensor> unwrapTensors(const Napi::Value& value, const char* what, bool allowNull) {
  if (!value.IsArray()) throw Napi::TypeError::New(value.Env(), std::string(what) + " must be an array of Tensors");
  const auto array = value.As<Napi::Array>();
  const uint32_t length = array.Length();
  if (length > kLongestList) throw Napi::TypeError::New(value.Env(), std::string(what) + " must be fewer Tensors");
  std::vector<at::Tensor> tensors;
  for (uint32_t i = 0; i < length; ++i) {
    const Napi::Value entry = array.Get(i);
    if (allowNull && (entry.IsNull() || entry.IsUndefined())) {
      tensors.emplace_back();
    } else {
      tensors.push_back(unwrapTensor(entry, what));
    }
  }
  return tensors;
}

std::string describeTensor(const at::Tensor& tensor) {
  std::ostringstream text;
  text << dtypeName(tensor.scalar_type()) << tensor.sizes();
  if (!tensor.device().is_cpu()) text << " on " << tensor.device().str();
  return text.str();
}

std::string readableMessage(const std::exception& error) {
  const auto* torchError = dynamic_cast<const c10::Error*>(&error);
  std::string message = torchError != nullptr ? torchError->what_without_backtrace() : error.what();
  // Some messages carry the C++ location and stack themselves, or list all backends there are.
  for (const char* mark : {"\nException raised from", "Exception raised from", "\nThe above operation failed",
                           " (function operator()", " This could be because", ", but no fallback function is registered"}) {
    const auto cut = message.find(mark);
    if (cut != std::string::npos) message.resize(cut);
  }
  if (message.rfind("[enforce fail at ", 0) == 0) message.erase(0, message.find(". ") + 2);
  const std::string report = "please report a bug to PyTorch.";
  const auto assertion = message.find(" INTERNAL ASSERT FAILED at ");
  const auto end = assertion == std::string::npos ? assertion : message.find(report, assertion);
  if (end != std::string::npos) {
    message.replace(assertion, end + report.size() - assertion, " does not hold, which LibTorch takes for granted.");
  }
  constexpr size_t kLongest = 1000;
  if (message.size() > kLongest) message = message.substr(0, kLongest) + "...";
  return message;
}

Napi::Object initTensorHandles(Napi::Env env, Napi::Object exports) {
  exports.Set("fromData", Napi::Function::New(env, fromData));
  exports.Set("toData", Napi::Function::New(env, toData));
  exports.Set("copyTo", Napi::Function::New(env, copyTo));
  exports.Set("shape", Napi::Function::New(env, shapeOf));
  exports.Set("dtype", Napi::Function::New(env, dtypeOf));
  exports.Set("device", Napi::Function::New(env, deviceOf));
  exports.Set("isContiguous", Napi::Function::New(env, isContiguous));
  exports.Set("free", Napi::Function::New(env, freeTensor));
  exports.Set("liveTensors", Napi::Function::New(env, liveTensors));
  return exports;
}

}  // namespace dagan
