// Where the time goes: LibTorch tells of every operator that begins and ends, also of those of the backward pass.
//
// Times are an operator's own, without those of the operators that it calls. Beside the wall clock stands what the calling
// thread computed, which other programs on the machine hardly change; with one thread that is all there is.

// LibTorch's own builds know nothing of the mark by which a debug build recognises that inputs may be read.
#ifndef NDEBUG
#define NDEBUG
#endif
#include <ATen/record_function.h>
#include <time.h>

#include <map>
#include <mutex>
#include <optional>

#include "tensor_handle.h"

namespace dagan {
namespace {

struct Times {
  int64_t wall = 0;  // nanoseconds
  int64_t computed = 0;
};

Times now() {
  const auto read = [](clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);
    return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
  };
  return {read(CLOCK_MONOTONIC), read(CLOCK_THREAD_CPUTIME_ID)};
}

/// An operator under way.
struct Running final : at::ObserverContext {
  std::string name;
  std::string inputs;
  Running* caller = nullptr;
  Times begun;
  Times callees;
};

struct Total {
  int64_t calls = 0;
  Times own;
};

thread_local Running* innermost = nullptr;
std::mutex totalsMutex;  // CUDA's backward pass has threads of its own
std::map<std::pair<std::string, std::string>, Total> totals;
std::optional<at::CallbackHandle> recording;

/// The shapes of the tensors among the inputs; `nhwc` where channels lie innermost, `strided` where there are gaps.
std::string describeInputs(const at::RecordFunction& function) {
  std::string text;
  for (const c10::IValue& input : function.inputs()) {
    if (input.isTensorList()) text += (text.empty() ? "" : " ") + std::to_string(input.toTensorList().size()) + " tensors";
    if (!input.isTensor() || !input.toTensor().defined()) continue;
    const at::Tensor& tensor = input.toTensor();
    text += (text.empty() ? "" : " ") + describeTensor(tensor);
    if (tensor.layout() != c10::kStrided || tensor.is_contiguous()) continue;
    text += tensor.is_contiguous(at::MemoryFormat::ChannelsLast) ? "nhwc" : "strided";
  }
  return text;
}

std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& function) {
  auto running = std::make_unique<Running>();
  running->name = function.name();
  running->inputs = describeInputs(function);
  running->caller = innermost;
  innermost = running.get();
  running->begun = now();
  return running;
}

void end(const at::RecordFunction&, at::ObserverContext* context) {
  const Times ended = now();
  const auto* running = static_cast<Running*>(context);
  if (running == nullptr) return;  // it began before the recording
  const Times whole{ended.wall - running->begun.wall, ended.computed - running->begun.computed};
  innermost = running->caller;
  if (innermost != nullptr) {
    innermost->callees.wall += whole.wall;
    innermost->callees.computed += whole.computed;
  }
  const std::lock_guard<std::mutex> lock(totalsMutex);
  Total& total = totals[{running->name, running->inputs}];
  total.calls += 1;
  total.own.wall += whole.wall - running->callees.wall;
  total.own.computed += whole.computed - running->callees.computed;
}

Napi::Value startProfile(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "startProfile", [&]() -> Napi::Value {
    if (recording) throw std::runtime_error("a profile is being taken already");
    totals.clear();
    recording = at::addGlobalCallback(at::RecordFunctionCallback(begin, end).needsInputs(true));
    return info.Env().Undefined();
  });
}

/// stopProfile() -> [{name, inputs, calls, milliseconds, computed}]
Napi::Value stopProfile(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "stopProfile", [&]() -> Napi::Value {
    if (!recording) throw std::runtime_error("no profile is being taken");
    at::removeCallback(*recording);
    recording.reset();
    const std::lock_guard<std::mutex> lock(totalsMutex);
    auto result = Napi::Array::New(info.Env(), totals.size());
    uint32_t count = 0;
    for (const auto& [key, total] : totals) {
      auto entry = Napi::Object::New(info.Env());
      entry.Set("name", key.first);
      entry.Set("inputs", key.second);
      entry.Set("calls", static_cast<double>(total.calls));
      entry.Set("milliseconds", static_cast<double>(total.own.wall) / 1e6);
      entry.Set("computed", static_cast<double>(total.own.computed) / 1e6);
      result.Set(count++, entry);
    }
    totals.clear();
    return result;
  });
}

}  // namespace

Napi::Object initProfile(Napi::Env env, Napi::Object exports) {
  exports.Set("startProfile", Napi::Function::New(env, startProfile));
  exports.Set("stopProfile", Napi::Function::New(env, stopProfile));
  return exports;
}

}  // namespace dagan
