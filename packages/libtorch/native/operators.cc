// The operator door: any ATen operator by name, run boxed through LibTorch's dispatcher.
//
// JavaScript values are turned into the types that the operator's schema declares; what the caller leaves out takes the
// schema's default. Autograd, autocast and every backend work through it, because the dispatcher is what they hook into.
//
// LibTorch's kernels do not check everything, and a crash of the process is no answer. So the door checks by three rules
// what they leave to their callers: names and lists must fit the schema to the letter, only plain tensors pass (see
// isPlain), and operators that trust their callers are not offered (see notOffered).
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>
#include <c10/util/Logging.h>

#include <cmath>
#include <deque>
#include <mutex>
#include <sstream>
#include <unordered_map>

#include "scalar_types.h"
#include "tensor_handle.h"

namespace dagan {
namespace {

using c10::IValue;
using c10::TypeKind;

// Looked up once per name; a deque keeps the addresses and the indices that JavaScript holds.
std::mutex operatorsMutex;
std::deque<c10::OperatorHandle> operators;
std::unordered_map<std::string, uint32_t> operatorIndex;

/// Thrown while arguments are converted; the caller adds the operator's and the argument's name.
struct ArgumentError {
  std::string expected;
};

std::string describeValue(const Napi::Value& value) {
  switch (value.Type()) {
    case napi_undefined: return "undefined";
    case napi_null: return "null";
    case napi_boolean: return value.As<Napi::Boolean>().Value() ? "true" : "false";
    case napi_number:
    case napi_bigint: return "number " + value.ToString().Utf8Value();
    case napi_string: return "string '" + value.As<Napi::String>().Utf8Value().substr(0, 40) + "'";
    case napi_symbol: return "a symbol";
    case napi_function: return "a function";
    case napi_external: {
      const TensorHandle* handle = findHandle(value);
      if (handle == nullptr) return "a foreign object";
      return handle->tensor.defined() ? "a tensor " + describeTensor(handle->tensor) : "a tensor that has been disposed";
    }
    default: return value.IsArray() ? "an array" : "an object";
  }
}

bool isMissing(const Napi::Value& value) { return value.IsUndefined() || value.IsNull(); }

int64_t toInt(const Napi::Value& value) {
  if (value.IsBigInt()) {
    bool lossless = false;
    const int64_t number = value.As<Napi::BigInt>().Int64Value(&lossless);
    if (!lossless) throw ArgumentError{"a 64-bit integer"};
    return number;
  }
  if (!value.IsNumber()) throw ArgumentError{"an integer"};
  const double number = value.As<Napi::Number>().DoubleValue();
  if (std::floor(number) != number || std::fabs(number) > 9007199254740991.0) throw ArgumentError{"an integer"};
  return static_cast<int64_t>(number);
}

double toFloat(const Napi::Value& value) {
  if (!value.IsNumber()) throw ArgumentError{"a number"};
  return value.As<Napi::Number>().DoubleValue();
}

bool toBool(const Napi::Value& value) {
  if (!value.IsBoolean()) throw ArgumentError{"true or false"};
  return value.As<Napi::Boolean>().Value();
}

/// A whole number is an integer scalar, so that integer tensors stay integer; anything else is floating point.
at::Scalar toScalar(const Napi::Value& value) {
  if (value.IsBoolean()) return at::Scalar(value.As<Napi::Boolean>().Value());
  if (!value.IsNumber()) throw ArgumentError{"a number or a boolean"};
  const double number = value.As<Napi::Number>().DoubleValue();
  const bool whole = std::floor(number) == number && std::fabs(number) <= 9007199254740991.0 && !std::signbit(number);
  if (whole || (std::floor(number) == number && number < 0 && number >= -9007199254740991.0)) {
    return at::Scalar(static_cast<int64_t>(number));
  }
  return at::Scalar(number);
}

at::Tensor toTensor(const Napi::Value& value) {
  const TensorHandle* handle = findHandle(value);
  if (handle == nullptr || !handle->tensor.defined()) throw ArgumentError{"a Tensor"};
  return handle->tensor;
}

/// The number that stands for a dtype, memory format or layout; kernels index tables with it, so only names are let in.
template <typename Enumeration>
IValue toEnumeration(const Napi::Value& value, std::optional<Enumeration> (*fromName)(const std::string&), const char* what) {
  const auto number = value.IsString() ? fromName(value.As<Napi::String>().Utf8Value()) : std::nullopt;
  if (!number) throw ArgumentError{what};
  return IValue(static_cast<int64_t>(*number));
}

c10::Device toDevice(const Napi::Value& value) {
  constexpr auto expected = "a device such as 'cpu' or 'cuda:0'";
  if (!value.IsString()) throw ArgumentError{expected};
  try {
    const c10::Device device(value.As<Napi::String>().Utf8Value());
    if (device.is_cuda() || (device.is_cpu() && !device.has_index())) return device;
  } catch (const c10::Error&) {  // a name that LibTorch cannot read
  }
  throw ArgumentError{expected};
}

IValue toIValue(const Napi::Value& value, const c10::TypePtr& type, c10::optional<int32_t> fixedLength);

template <typename Element, typename Convert>
IValue toTypedList(const Napi::Array& array, Convert convert) {
  c10::List<Element> list;
  const uint32_t length = array.Length();
  for (uint32_t i = 0; i < length; ++i) list.push_back(convert(array.Get(i)));
  return IValue(std::move(list));
}

IValue toList(const Napi::Value& value, const c10::TypePtr& elementType, c10::optional<int32_t> fixedLength) {
  const TypeKind kind = elementType->kind();
  if (!value.IsArray() && fixedLength && value.IsNumber()) {
    // `int[2] padding` may be given as one number, as in Python.
    if (kind == TypeKind::FloatType) return IValue(c10::List<double>(std::vector<double>(*fixedLength, toFloat(value))));
    return IValue(c10::List<int64_t>(std::vector<int64_t>(*fixedLength, toInt(value))));
  }
  if (!value.IsArray()) throw ArgumentError{"an array"};
  const auto array = value.As<Napi::Array>();
  // `int[1]` means "one or several"; longer ones are read up to their length without a check.
  if (fixedLength && *fixedLength > 1 && array.Length() != static_cast<uint32_t>(*fixedLength)) {
    throw ArgumentError{"an array of " + std::to_string(*fixedLength) + " entries"};
  }
  if (array.Length() > kLongestList) throw ArgumentError{"an array of at most " + std::to_string(kLongestList) + " entries"};
  switch (kind) {
    case TypeKind::TensorType: return toTypedList<at::Tensor>(array, toTensor);
    case TypeKind::IntType:
    case TypeKind::SymIntType: return toTypedList<int64_t>(array, toInt);
    case TypeKind::FloatType: return toTypedList<double>(array, toFloat);
    case TypeKind::BoolType: return toTypedList<bool>(array, toBool);
    case TypeKind::NumberType: return toTypedList<at::Scalar>(array, toScalar);
    case TypeKind::StringType:
      return toTypedList<std::string>(array, [](const Napi::Value& entry) {
        if (!entry.IsString()) throw ArgumentError{"an array of strings"};
        return entry.As<Napi::String>().Utf8Value();
      });
    case TypeKind::OptionalType: {
      c10::impl::GenericList list(elementType);
      for (uint32_t i = 0; i < array.Length(); ++i) list.push_back(toIValue(array.Get(i), elementType, c10::nullopt));
      return IValue(std::move(list));
    }
    default: throw ArgumentError{"a type that JavaScript cannot give (" + elementType->str() + ")"};
  }
}

IValue toIValue(const Napi::Value& value, const c10::TypePtr& type, c10::optional<int32_t> fixedLength) {
  switch (type->kind()) {
    case TypeKind::OptionalType:
      if (isMissing(value)) return IValue();
      return toIValue(value, type->castRaw<c10::OptionalType>()->getElementType(), fixedLength);
    case TypeKind::TensorType: return IValue(toTensor(value));
    case TypeKind::ListType: return toList(value, type->castRaw<c10::ListType>()->getElementType(), fixedLength);
    case TypeKind::ScalarTypeType: return toEnumeration(value, dtypeFromName, "a dtype such as 'float32'");
    case TypeKind::MemoryFormatType:
      return toEnumeration(value, memoryFormatFromName, "'contiguous', 'channels_last' or 'preserve'");
    case TypeKind::LayoutType: return toEnumeration(value, layoutFromName, "'strided'");
    case TypeKind::IntType:
    case TypeKind::SymIntType: return IValue(toInt(value));
    case TypeKind::FloatType: return IValue(toFloat(value));
    case TypeKind::BoolType: return IValue(toBool(value));
    case TypeKind::NumberType: return IValue(toScalar(value));
    case TypeKind::StringType:
      if (!value.IsString()) throw ArgumentError{"a string"};
      return IValue(value.As<Napi::String>().Utf8Value());
    case TypeKind::DeviceObjType: return IValue(toDevice(value));
    default: throw ArgumentError{"a type that JavaScript cannot give (" + type->str() + ")"};
  }
}

Napi::Value toJs(Napi::Env env, const IValue& value);

template <typename List>
Napi::Value listToJs(Napi::Env env, const List& list) {
  auto array = Napi::Array::New(env, list.size());
  for (uint32_t i = 0; i < list.size(); ++i) array.Set(i, toJs(env, IValue(list.get(i))));
  return array;
}

/// Whether dimensions have names, where LibTorch still has named tensors (2.15 has none).
template <typename AnyTensor>
auto hasNames(const AnyTensor& tensor, int) -> decltype(tensor.has_names()) {
  return tensor.has_names();
}
template <typename AnyTensor>
bool hasNames(const AnyTensor&, long) {
  return false;
}

/// Strided memory with elements that have a name. Kernels that are given anything else next to plain tensors (sparse,
/// quantised, nested ones, tensors without memory) may take it for plain.
bool isPlain(const at::Tensor& tensor) {
  return tensor.layout() == c10::kStrided && (tensor.is_cpu() || tensor.is_cuda()) && !tensor._is_zerotensor() &&
         !hasNames(tensor, 0) && std::string(dtypeName(tensor.scalar_type())) != "unsupported";
}

Napi::Value toJs(Napi::Env env, const IValue& value) {
  if (value.isTensor()) {
    const at::Tensor& tensor = value.toTensor();
    if (tensor.defined() && !isPlain(tensor)) {
      throw std::runtime_error("returns a tensor of a kind that is not offered: " + tensor.toString() +
                               "; only dense ones of common types are");
    }
    return wrapTensor(env, tensor);
  }
  if (value.isNone()) return env.Null();
  if (value.isBool()) return Napi::Boolean::New(env, value.toBool());
  if (value.isInt()) return Napi::Number::New(env, static_cast<double>(value.toInt()));
  if (value.isDouble()) return Napi::Number::New(env, value.toDouble());
  if (value.isString()) return Napi::String::New(env, value.toStringRef());
  if (value.isList()) return listToJs(env, value.toList());
  if (value.isTuple()) {
    const auto& elements = value.toTupleRef().elements();
    auto array = Napi::Array::New(env, elements.size());
    for (uint32_t i = 0; i < elements.size(); ++i) array.Set(i, toJs(env, elements[i]));
    return array;
  }
  throw std::runtime_error("returns a value of type " + value.tagKind() + ", which JavaScript cannot hold");
}

std::string describeArguments(const c10::FunctionSchema& schema, const Napi::Array& values) {
  std::ostringstream text;
  const auto& arguments = schema.arguments();
  const auto describeEntry = [&](const Napi::Value& value) {
    const TensorHandle* handle = findHandle(value);
    return handle != nullptr && handle->tensor.defined() ? describeTensor(handle->tensor) : std::string("null");
  };
  for (uint32_t i = 0; i < values.Length() && i < arguments.size(); ++i) {
    const Napi::Value value = values.Get(i);
    std::string described;
    if (value.IsExternal()) {
      described = describeEntry(value);
    } else if (value.IsArray() && value.As<Napi::Array>().Length() > 0 &&
               value.As<Napi::Array>().Get(0u).IsExternal()) {
      const auto list = value.As<Napi::Array>();
      for (uint32_t j = 0; j < list.Length() && j < 8; ++j) described += (j ? ", " : "") + describeEntry(list.Get(j));
      described = "[" + described + (list.Length() > 8 ? ", ...]" : "]");
    } else {
      continue;
    }
    text << (text.tellp() > 0 ? ", " : "") << arguments[i].name() << ": " << described;
  }
  return text.str();
}

// Operators that end the process on wrong arguments instead of refusing them: all overloads, or the one that is named.
constexpr const char* kUnsafe[] = {
    "_foreach_copy", "align_tensors", "align_to", "batch_norm_update_stats", "choose_qparams_optimized", "embedding_bag",
    "fractional_max_pool2d", "fractional_max_pool3d", "gru.data", "histogramdd", "lstm.data", "lu_unpack",
    "quantized_gru_cell", "quantized_lstm_cell", "quantized_rnn_relu_cell", "quantized_rnn_tanh_cell",
    "rnn_relu.data", "rnn_tanh.data", "rrelu_with_noise", "rrelu_with_noise_", "slow_conv3d", "slow_conv3d_forward",
};

/// Why an operator is not offered, or an empty string. Found by calling every operator with hostile arguments.
std::string notOffered(const c10::FunctionSchema& schema) {
  const std::string& name = schema.name();
  const auto startsWith = [&](const char* prefix) { return name.rfind(prefix, 0) == 0; };
  if (!startsWith("aten::")) return "it is none of ATen's";
  // Kernels behind other operators, which have checked what they pass on.
  if ((startsWith("aten::_") && !startsWith("aten::_foreach_")) || startsWith("aten::native_")) {
    return "it is internal to LibTorch and trusts its caller";
  }
  if (name.find("_backward") != std::string::npos) return "derivatives are computed by backward() and grad()";
  // Kernels resize what they write into, also where it is an input at the same time.
  for (const auto& argument : schema.arguments()) {
    if (argument.is_out()) return "results are returned, not written into tensors that are given";
  }
  for (const char* unsafe : kUnsafe) {
    if (name.substr(6) == unsafe || name.substr(6) + "." + schema.overload_name() == unsafe) return "it can crash on arguments that it does not check";
  }
  return "";
}

/// lookup('aten::conv2d') or lookup('aten::add.Tensor') -> {index, schema, arguments}
Napi::Value lookup(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  if (!info[0].IsString()) throw Napi::TypeError::New(env, "lookup: an operator's name must be a string");
  const std::string name = info[0].As<Napi::String>().Utf8Value();
  return guarded(env, name.substr(0, 80), [&]() -> Napi::Value {
    uint32_t index = 0;
    const c10::OperatorHandle* found = nullptr;
    {
      const std::lock_guard<std::mutex> lock(operatorsMutex);
      const auto known = operatorIndex.find(name);
      if (known != operatorIndex.end()) {
        index = known->second;
      } else {
        const auto dot = name.find('.');
        const std::string base = name.substr(0, dot);
        const std::string overload = dot == std::string::npos ? "" : name.substr(dot + 1);
        const auto handle = c10::Dispatcher::singleton().findSchema({base, overload});
        if (!handle) throw std::runtime_error("LibTorch has no such operator (write it as namespace::name.overload)");
        const std::string reason = notOffered(handle->schema());
        if (!reason.empty()) throw std::runtime_error("this operator is not offered: " + reason);
        index = static_cast<uint32_t>(operators.size());
        operators.push_back(*handle);
        operatorIndex.emplace(name, index);
      }
      found = &operators[index];
    }
    const auto& schema = found->schema();
    auto arguments = Napi::Array::New(env, schema.arguments().size());
    for (uint32_t i = 0; i < schema.arguments().size(); ++i) arguments.Set(i, schema.arguments()[i].name());
    std::ostringstream text;
    text << schema;
    auto result = Napi::Object::New(env);
    result.Set("index", index);
    result.Set("schema", text.str());
    result.Set("arguments", arguments);
    return result;
  });
}

/// operatorNames() -> every name that `lookup` takes
Napi::Value operatorNames(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "operatorNames", [&]() -> Napi::Value {
    auto names = Napi::Array::New(info.Env());
    uint32_t count = 0;
    for (const auto& name : c10::Dispatcher::singleton().getAllOpNames()) {
      const auto handle = c10::Dispatcher::singleton().findSchema(name);
      if (!handle || !notOffered(handle->schema()).empty()) continue;
      names.Set(count++, name.name + (name.overload_name.empty() ? "" : "." + name.overload_name));
    }
    return names;
  });
}

const c10::OperatorHandle& operatorAt(const Napi::Value& value) {
  const double index = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  const std::lock_guard<std::mutex> lock(operatorsMutex);
  if (!(index >= 0 && index < static_cast<double>(operators.size())) || index != std::floor(index)) {
    throw Napi::RangeError::New(value.Env(), "call: the operator must be a number that lookup gave");
  }
  return operators[static_cast<size_t>(index)];
}

/// What kernels of resizing take without a check: factors that they square, and scales beside the size of the result,
/// which lead them out of the picture if the two do not agree.
void checkScale(const c10::Argument& argument, const IValue& value) {
  const std::string& name = argument.name();
  if ((name == "upscale_factor" || name == "downscale_factor") && std::abs(value.toInt()) > 4096) {
    throw ArgumentError{"at most 4096"};
  }
  if (name.rfind("scales", 0) == 0 && value.isDouble()) throw ArgumentError{"null, because the size says it all"};
}

std::vector<IValue> toStack(const std::string& name, const c10::FunctionSchema& schema, const Napi::Array& values) {
  const auto& arguments = schema.arguments();
  if (values.Length() > arguments.size()) {
    throw Napi::TypeError::New(values.Env(), name + ": takes " + std::to_string(arguments.size()) + " arguments, got " +
                                                 std::to_string(values.Length()));
  }
  std::vector<IValue> stack;
  stack.reserve(arguments.size());
  for (uint32_t i = 0; i < arguments.size(); ++i) {
    const auto& argument = arguments[i];
    const Napi::Value value = i < values.Length() ? values.Get(i) : values.Env().Undefined();
    if (value.IsUndefined() && argument.default_value()) {
      stack.push_back(*argument.default_value());
      continue;
    }
    try {
      stack.push_back(toIValue(value, argument.real_type(), argument.N()));
      checkScale(argument, stack.back());
    } catch (const ArgumentError& error) {
      throw Napi::TypeError::New(values.Env(), name + ": argument '" + argument.name() + "' must be " + error.expected +
                                                   ", got " + describeValue(value));
    }
  }
  return stack;
}

/// The handle among `values` that holds this very tensor, or null.
Napi::Value givenHandle(const Napi::Array& values, const at::Tensor& tensor) {
  for (uint32_t i = 0; i < values.Length(); ++i) {
    const Napi::Value value = values.Get(i);
    const TensorHandle* handle = findHandle(value);
    if (handle != nullptr && handle->tensor.is_same(tensor)) return value;
  }
  return values.Env().Null();
}

/// call(index, args): runs the operator. Several results come as an array. A result that is one of the arguments
/// (operators that work in place) comes back as that argument's own handle.
Napi::Value call(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  const auto& handle = operatorAt(info[0]);
  const auto& schema = handle.schema();
  const std::string name = schema.name() + (schema.overload_name().empty() ? "" : "." + schema.overload_name());
  if (!info[1].IsArray()) throw Napi::TypeError::New(env, name + ": the arguments must come as an array");
  const auto values = info[1].As<Napi::Array>();
  auto stack = guarded(env, name, [&] { return toStack(name, schema, values); });
  try {
    handle.callBoxed(&stack);
    const auto convert = [&](const IValue& result) -> Napi::Value {
      if (!result.isTensor() || !schema.is_mutable()) return toJs(env, result);
      const Napi::Value given = givenHandle(values, result.toTensor());
      return given.IsNull() ? toJs(env, result) : given;
    };
    if (stack.empty()) return env.Undefined();
    if (stack.size() == 1) return convert(stack[0]);
    auto results = Napi::Array::New(env, stack.size());
    for (uint32_t i = 0; i < stack.size(); ++i) results.Set(i, convert(stack[i]));
    return results;
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::exception& error) {
    const std::string given = describeArguments(schema, values);
    throw Napi::Error::New(env, name + ": " + readableMessage(error) + (given.empty() ? "" : "\n  arguments: " + given));
  } catch (...) {
    throw Napi::Error::New(env, name + ": unknown C++ exception");
  }
}

}  // namespace

Napi::Object initOperators(Napi::Env env, Napi::Object exports) {
  // Nobody would see LibTorch's own stack, and to collect it takes milliseconds for every error.
  c10::SetStackTraceFetcher([] { return std::string(); });
  exports.Set("lookup", Napi::Function::New(env, lookup));
  exports.Set("operatorNames", Napi::Function::New(env, operatorNames));
  exports.Set("call", Napi::Function::New(env, call));
  return exports;
}

}  // namespace dagan
