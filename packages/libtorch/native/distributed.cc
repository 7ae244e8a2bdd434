// Process groups of c10d: the ranks of one job, and what they exchange.
//
// A group, and work that is under way in it, reach JavaScript as plain objects whose functions own the native side.
#include "process_group.h"

#include <torch/version.h>

#include "tensor_handle.h"

#if defined(USE_C10D_GLOO) || defined(USE_C10D_NCCL)

#include <netdb.h>
#include <sys/socket.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <unistd.h>

#include <cstdlib>
#include <sstream>

#ifdef USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#endif
#ifdef USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

namespace dagan {
namespace {

std::string seconds(Milliseconds duration) {
  std::ostringstream text;
  text << static_cast<double>(duration.count()) / 1000 << " s";
  return text.str();
}

/// LibTorch's message in one line, without the place in the source that Gloo puts in front.
std::string shortMessage(const std::exception& error) {
  std::string message = readableMessage(error);
  message = message.substr(0, message.find('\n'));
  if (!message.empty() && message[0] == '[') {
    const auto end = message.find("] ");
    if (end != std::string::npos) message.erase(0, end + 2);
  }
  return message;
}

bool contains(const std::string& text, std::initializer_list<const char*> parts) {
  for (const char* part : parts) {
    if (text.find(part) != std::string::npos) return true;
  }
  return false;
}

/// Says in a user's words why `what` failed.
[[noreturn]] void explain(const std::string& what, const std::exception& error, Milliseconds timeout) {
  const std::string message = shortMessage(error);
  if (contains(message, {"Timed out", "timed out", "timeout", "Timeout"})) {
    throw std::runtime_error(what + " timed out after " + seconds(timeout) + "; has another rank ended?");
  }
  if (contains(message, {"onnection closed", "onnection reset", "roken pipe", "Socket", "recv", "writev"})) {
    throw std::runtime_error(what + " lost its connection to another rank; has that rank ended? (" + message + ")");
  }
  throw std::runtime_error(what + " failed: " + message);
}

// ---- joining

#ifdef USE_C10D_GLOO

/// This machine's address on the way to the master. It is right where the host's own name is not: Debian gives a host's
/// name a loopback address, which other machines cannot reach. (Connecting a datagram socket sends nothing.)
std::string addressTowards(const Address& master) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  const int code = getaddrinfo(master.host.c_str(), std::to_string(master.port).c_str(), &hints, &found);
  if (code != 0) throw std::runtime_error(master.host + ": " + gai_strerror(code));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, freeaddrinfo);
  for (const addrinfo* candidate = found; candidate != nullptr; candidate = candidate->ai_next) {
    const int socket = ::socket(candidate->ai_family, SOCK_DGRAM, 0);
    if (socket < 0) continue;
    sockaddr_storage own{};
    socklen_t size = sizeof own;
    char host[NI_MAXHOST] = "";
    const bool known = connect(socket, candidate->ai_addr, candidate->ai_addrlen) == 0 &&
                       getsockname(socket, reinterpret_cast<sockaddr*>(&own), &size) == 0 &&
                       getnameinfo(reinterpret_cast<sockaddr*>(&own), size, host, sizeof host, nullptr, 0, NI_NUMERICHOST) == 0;
    close(socket);
    if (known) return host;
  }
  throw std::runtime_error("there is no route to " + master.host);
}

c10::intrusive_ptr<Communicator> makeGloo(const c10::intrusive_ptr<c10d::Store>& store, const Group& group,
                                          const Address& master) {
  auto options = c10d::ProcessGroupGloo::Options::create();
  options->timeout = group.timeout;
  const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
  options->devices.push_back(interface != nullptr && *interface != '\0'
                                 ? c10d::ProcessGroupGloo::createDeviceForInterface(interface)
                                 : c10d::ProcessGroupGloo::createDeviceForHostname(addressTowards(master)));
  return c10::make_intrusive<c10d::ProcessGroupGloo>(store, group.rank, group.worldSize, options);
}

#endif

#ifdef USE_C10D_NCCL

c10::intrusive_ptr<Communicator> makeNccl(const c10::intrusive_ptr<c10d::Store>& store, const Group& group) {
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = group.timeout;
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, group.rank, group.worldSize, options);
}

#endif

c10::intrusive_ptr<Communicator> makeCommunicator(const std::string& backend, const c10::intrusive_ptr<c10d::Store>& store,
                                                  const Group& group, const Address& master) {
#ifdef USE_C10D_GLOO
  if (backend == "gloo") return makeGloo(store, group, master);
#endif
#ifdef USE_C10D_NCCL
  if (backend == "nccl") return makeNccl(store, group);
#endif
  static_cast<void>(store), static_cast<void>(group), static_cast<void>(master);
  throw std::invalid_argument("this build of the addon has no backend '" + backend + "'");
}

/// @param storePrefix names the group in a store that runs at the master already; without it rank 0 runs one
GroupPtr join(const std::string& backend, int rank, int worldSize, const Address& master, Milliseconds timeout,
              const std::string& storePrefix) {
  auto group = c10::make_intrusive<Group>();
  group->rank = rank;
  group->worldSize = worldSize;
  group->timeout = timeout;
  group->backend = backend;
  group->master = master;
  try {
    c10d::TCPStoreOptions options;
    options.port = master.port;
    options.isServer = rank == 0 && storePrefix.empty();
    options.numWorkers = worldSize;
    options.timeout = timeout;
    c10::intrusive_ptr<c10d::Store> store = c10::make_intrusive<c10d::TCPStore>(master.host, options);
    if (!storePrefix.empty()) store = c10::make_intrusive<c10d::PrefixStore>(storePrefix, store);
    group->store = store;
    group->communicator = makeCommunicator(backend, store, *group, master);
    group->blackboard = Blackboard::open(*store, rank, worldSize, timeout);
    // The store ends with rank 0's group, so nobody goes on before everybody is connected.
    group->communicator->barrier()->wait();
  } catch (const std::invalid_argument&) {
    throw;
  } catch (const std::exception& error) {
    const std::string place = master.host + ":" + std::to_string(master.port);
    const std::string message = shortMessage(error);
    if (contains(message, {"EADDRINUSE", "already in use"})) {
      throw std::runtime_error("another program listens at " + place + "; choose another port for the group");
    }
    const std::string size = std::to_string(worldSize);
    throw std::runtime_error("could not join the group of " + size + " at " + place + " within " + seconds(timeout) +
                             "; do all " + size + " ranks run, with this address? (" + message + ")");
  }
  return group;
}

}  // namespace

GroupPtr duplicate(const GroupPtr& group) {
  auto copy = c10::make_intrusive<Group>();
  copy->backend = group->backend;
  copy->rank = group->rank;
  copy->worldSize = group->worldSize;
  copy->timeout = group->timeout;
  copy->master = group->master;
  const std::string name = "communicator-" + std::to_string(group->communicators++);
  try {
    copy->store = c10::make_intrusive<c10d::PrefixStore>(name, group->store);
    copy->communicator = makeCommunicator(group->backend, copy->store, *copy, group->master);
    copy->communicator->barrier()->wait();
  } catch (const std::exception& error) {
    explain("joining a second communicator", error, group->timeout);
  }
  return copy;
}

namespace {

// ---- collectives

/// What travels for a dtype: Gloo knows neither bool, int16 nor bfloat16, and sums of 16-bit floats would lose digits.
at::ScalarType wireType(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kBool: return at::kByte;
    case at::kShort: return at::kInt;
    case at::kHalf:
    case at::kBFloat16: return tensor.is_cpu() ? at::kFloat : tensor.scalar_type();
    default: return tensor.scalar_type();
  }
}

/// The elements in row-major order and of a type that travels: the tensor's own memory if that is so already. Ranks
/// agree on the order of elements whatever memory format each of them has.
at::Tensor wireForm(const at::Tensor& tensor) { return tensor.to(wireType(tensor)).contiguous(); }

/// A tensor that a collective may overwrite.
at::Tensor overwritable(const at::Tensor& tensor, const std::string& what) {
  if (tensor.requires_grad() && !tensor.is_leaf()) {
    throw std::runtime_error(what + " overwrites the tensor, which autograd does not record; give it detach()ed, or use " +
                             "allReduceWithGradient");
  }
  return tensor.detach();
}

c10d::ReduceOp reduceOpFrom(const std::string& name) {
  if (name == "sum" || name == "mean") return c10d::ReduceOp::SUM;  // Gloo has no mean: divided after the sum
  if (name == "max") return c10d::ReduceOp::MAX;
  if (name == "min") return c10d::ReduceOp::MIN;
  throw std::runtime_error("a reduction is 'sum', 'mean', 'max' or 'min', not '" + name + "'");
}

}  // namespace

Pending::Pending(GroupPtr group, std::string what, const std::function<c10::intrusive_ptr<c10d::Work>()>& start,
                 std::function<void()> finish)
    : group_(std::move(group)), what_(std::move(what)), finish_(std::move(finish)) {
  try {
    work_ = start();
  } catch (const std::exception& error) {
    explain(what_, error, group_->timeout);
  }
}

void Pending::wait() {
  if (!work_) return;
  try {
    work_->wait();
  } catch (const std::exception& error) {
    explain(what_, error, group_->timeout);
  }
  work_.reset();
  const at::NoGradGuard noGrad;
  finish_();
}

bool Pending::isDone() { return !work_ || work_->isCompleted(); }

namespace {

std::vector<at::Tensor> gatherWireForm(const GroupPtr& group, const std::string& what, const at::Tensor& source) {
  std::vector<at::Tensor> gathered;
  for (int rank = 0; rank < group->worldSize; ++rank) gathered.push_back(at::empty_like(source));
  const auto start = [&] {
    std::vector<std::vector<at::Tensor>> outputs{gathered};
    std::vector<at::Tensor> inputs{source};
    return group->communicator->allgather(outputs, inputs);
  };
  Pending(group, what, start).wait();
  return gathered;
}

std::vector<std::string> exchangeOnBlackboard(const GroupPtr& group, const std::string& what, const void* own, size_t size) {
  try {
    return group->blackboard->exchange(own, size);
  } catch (const std::exception& error) {
    explain(what, error, group->timeout);
  }
}

[[noreturn]] void disagreement(const std::string& what, int rank, const std::string& other) {
  // A message on the blackboard may have numbers behind its text.
  throw std::runtime_error("the ranks disagree: this one calls " + what + ", rank " + std::to_string(rank) + " calls " +
                           other.c_str());
}

/// What every rank is about to do, in the order of ranks.
std::vector<std::string> intentions(const GroupPtr& group, const std::string& what) {
  if (group->blackboard) return exchangeOnBlackboard(group, what, what.data(), std::min(what.size(), Blackboard::capacity));
  const int64_t capacity = 128;
  at::Tensor card = at::zeros({capacity}, at::kByte);
  what.copy(reinterpret_cast<char*>(card.data_ptr<uint8_t>()), capacity - 1);
  std::vector<std::string> all;
  for (const at::Tensor& other : gatherWireForm(group, what, card)) {
    all.emplace_back(reinterpret_cast<const char*>(other.data_ptr<uint8_t>()));
  }
  return all;
}

}  // namespace

void agree(const GroupPtr& group, const std::string& what) {
  if (group->communicator->getBackendName() == "nccl") return;
  const auto all = intentions(group, what);
  for (int rank = 0; rank < group->worldSize; ++rank) {
    if (all[rank] == all[group->rank]) continue;
    disagreement(what, rank, all[rank]);
  }
}

namespace {

std::unique_ptr<Pending> startAllReduce(const GroupPtr& group, const at::Tensor& tensor, const std::string& operation,
                                        const std::string& name = "all-reduce") {
  const std::string what = name + " (" + operation + ") of " + describeTensor(tensor);
  c10d::AllreduceOptions options;
  options.reduceOp = reduceOpFrom(operation);
  const bool mean = operation == "mean";
  if (mean && !at::isFloatingType(tensor.scalar_type())) {
    throw std::runtime_error(what + ": a mean needs a floating-point tensor");
  }
  const at::Tensor target = overwritable(tensor, what);
  at::Tensor buffer = wireForm(target);
  agree(group, what);
  return std::make_unique<Pending>(
      group, what,
      [&] {
        std::vector<at::Tensor> tensors{buffer};
        return group->communicator->allreduce(tensors, options);
      },
      [target, buffer, mean, worldSize = group->worldSize] {
        if (mean) buffer.div_(worldSize);
        if (!buffer.is_same(target)) target.copy_(buffer);
        target.unsafeGetTensorImpl()->bump_version();
      });
}

}  // namespace

void broadcast(const GroupPtr& group, const at::Tensor& tensor, int root) {
  const std::string what = "broadcast from rank " + std::to_string(root) + " of " + describeTensor(tensor);
  c10d::BroadcastOptions options;
  options.rootRank = root;
  const at::Tensor target = overwritable(tensor, what);
  at::Tensor buffer = wireForm(target);
  agree(group, what);
  const auto start = [&] {
    std::vector<at::Tensor> tensors{buffer};
    return group->communicator->broadcast(tensors, options);
  };
  const auto finish = [&] {
    if (!buffer.is_same(target)) target.copy_(buffer);
    target.unsafeGetTensorImpl()->bump_version();
  };
  Pending(group, what, start, finish).wait();
}

void Group::sum(at::Tensor& tensor, const std::string& what) { sumOverRanks(GroupPtr::unsafe_reclaim_from_nonowning(this), tensor, what); }

at::Tensor Group::batchNorm(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& runningMean,
                            const at::Tensor& runningVar, double momentum, double eps) {
  return syncBatchNorm(GroupPtr::unsafe_reclaim_from_nonowning(this), input, weight, bias, runningMean, runningVar, momentum, eps);
}

void sumOverRanks(const GroupPtr& group, at::Tensor& tensor, const std::string& what) {
  const std::string whole = what + " of " + describeTensor(tensor);
  constexpr size_t headSize = 128;  // keeps the numbers behind it aligned
  if (group->blackboard && tensor.is_cpu() && headSize + tensor.nbytes() <= Blackboard::capacity) {
    const std::string head = whole.substr(0, headSize - 1);
    std::string own = head;
    own.resize(headSize);
    own.append(static_cast<const char*>(tensor.data_ptr()), tensor.nbytes());
    const auto all = exchangeOnBlackboard(group, what, own.data(), own.size());
    for (int rank = 0; rank < group->worldSize; ++rank) {
      if (all[rank].size() != own.size() || all[rank].c_str() != head) disagreement(head, rank, all[rank]);
    }
    tensor.zero_();
    for (const std::string& part : all) {
      tensor.add_(at::from_blob(const_cast<char*>(part.data()) + headSize, tensor.sizes(), tensor.options()));
    }
    return;
  }
  agree(group, whole);
  const auto start = [&] {
    std::vector<at::Tensor> tensors{tensor};
    return group->communicator->allreduce(tensors);
  };
  Pending(group, what, start).wait();
}

namespace {

std::vector<at::Tensor> allGather(const GroupPtr& group, const at::Tensor& tensor) {
  const std::string what = "all-gather of " + describeTensor(tensor);
  const at::Tensor source = wireForm(tensor.detach());
  agree(group, what);
  std::vector<at::Tensor> gathered;
  if (source.numel() == 0) {  // which Gloo would divide by
    for (int rank = 0; rank < group->worldSize; ++rank) gathered.push_back(at::empty_like(source));
  } else {
    gathered = gatherWireForm(group, what, source);
  }
  for (at::Tensor& part : gathered) part = part.to(tensor.scalar_type());
  return gathered;
}

void barrier(const GroupPtr& group) {
  agree(group, "barrier");
  if (group->communicator->getBackendName() == "nccl") group->communicator->barrier()->wait();
}

/// y = sum over ranks of x. Every rank's loss depends on every rank's x, so the gradient is summed over ranks too.
struct AllReduceSum : torch::autograd::Function<AllReduceSum> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& input, const GroupPtr& group) {
    context->saved_data["group"] = c10::IValue::make_capsule(group);
    at::Tensor sum = input.detach().clone(at::MemoryFormat::Contiguous);
    startAllReduce(group, sum, "sum", "differentiable all-reduce")->wait();
    return sum;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto group = c10::static_intrusive_pointer_cast<Group>(context->saved_data["group"].toCapsule());
    try {
      return {apply(gradients[0], group), at::Tensor()};
    } catch (const std::exception& error) {
      throw std::runtime_error("rank " + std::to_string(group->rank) + ": " + readableMessage(error));
    }
  }
};

// ---- what JavaScript sees

template <typename Body>
Napi::Value onRank(Napi::Env env, int rank, Body&& body) {
  return guarded(env, "rank " + std::to_string(rank), std::forward<Body>(body));
}

Napi::Object workToJs(Napi::Env env, int rank, std::unique_ptr<Pending> started) {
  const std::shared_ptr<Pending> pending = std::move(started);
  auto work = Napi::Object::New(env);
  work.Set("wait", Napi::Function::New(env, [=](const Napi::CallbackInfo& info) {
             return onRank(info.Env(), rank, [&]() -> Napi::Value {
               pending->wait();
               return info.Env().Undefined();
             });
           }));
  work.Set("isDone", Napi::Function::New(env, [=](const Napi::CallbackInfo& info) -> Napi::Value {
             return Napi::Boolean::New(info.Env(), pending->isDone());
           }));
  return work;
}

Napi::Object bucketsToJs(Napi::Env env, int rank, const std::shared_ptr<GradientBuckets>& made) {
  const auto holder = std::make_shared<std::shared_ptr<GradientBuckets>>(made);
  auto buckets = Napi::Object::New(env);
  const auto method = [&](const char* name, void (GradientBuckets::*body)()) {
    buckets.Set(name, Napi::Function::New(env, [=](const Napi::CallbackInfo& info) {
                  return onRank(info.Env(), rank, [&]() -> Napi::Value {
                    if (!*holder) throw std::runtime_error("these gradient buckets have been disposed");
                    (holder->get()->*body)();
                    return info.Env().Undefined();
                  });
                }, name));
  };
  method("start", &GradientBuckets::start);
  method("finish", &GradientBuckets::finish);
  buckets.Set("dispose", Napi::Function::New(env, [=](const Napi::CallbackInfo&) { holder->reset(); }));
  return buckets;
}

/// joinProcessGroup(backend, rank, worldSize, host, port, timeoutMilliseconds, storePrefix) -> an object of functions
Napi::Value joinProcessGroup(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  const int rank = info[1].ToNumber().Int32Value();
  const auto holder = std::make_shared<GroupPtr>();
  onRank(env, rank, [&]() -> Napi::Value {
    const Address master{info[3].ToString().Utf8Value(), static_cast<uint16_t>(info[4].ToNumber().Uint32Value())};
    *holder = join(info[0].ToString().Utf8Value(), rank, info[2].ToNumber().Int32Value(), master,
                   Milliseconds(info[5].ToNumber().Int64Value()), info[6].ToString().Utf8Value());
    return env.Undefined();
  });

  auto group = Napi::Object::New(env);
  // Every function holds the group until dispose() empties the holder.
  const auto method = [&](const char* name, auto body) {
    group.Set(name, Napi::Function::New(env, [=](const Napi::CallbackInfo& call) {
                return onRank(call.Env(), rank, [&]() -> Napi::Value {
                  if (!*holder) throw std::runtime_error("this process group has been disposed");
                  return body(*holder, call);
                });
              }, name));
  };
  method("startAllReduce", [rank](const GroupPtr& self, const Napi::CallbackInfo& call) -> Napi::Value {
    return workToJs(call.Env(), rank, startAllReduce(self, unwrapTensor(call[0], "tensor"), call[1].ToString().Utf8Value()));
  });
  method("allReduceWithGradient", [](const GroupPtr& self, const Napi::CallbackInfo& call) {
    return wrapTensor(call.Env(), AllReduceSum::apply(unwrapTensor(call[0], "tensor"), self));
  });
  method("syncBatchNorm", [](const GroupPtr& self, const Napi::CallbackInfo& call) {
    const auto [weight, bias, runningMean, runningVar, momentum, eps] = batchNormState(call);
    return wrapTensor(call.Env(),
                      syncBatchNorm(self, unwrapTensor(call[0], "input"), weight, bias, runningMean, runningVar, momentum, eps));
  });
  method("syncBatchNormRelu", [](const GroupPtr& self, const Napi::CallbackInfo& call) {
    const int64_t pool = call[7].ToNumber().Int64Value();
    return wrapTensor(call.Env(), batchNormRelu(unwrapTensor(call[0], "input"), batchNormState(call), pool, self));
  });
  method("gradientBuckets", [rank](const GroupPtr& self, const Napi::CallbackInfo& call) -> Napi::Value {
    const auto parameters = unwrapTensors(call[0], "parameters", false);
    return bucketsToJs(call.Env(), rank, makeGradientBuckets(self, parameters, call[1].ToNumber().Int64Value()));
  });
  method("broadcast", [](const GroupPtr& self, const Napi::CallbackInfo& call) -> Napi::Value {
    broadcast(self, unwrapTensor(call[0], "tensor"), call[1].ToNumber().Int32Value());
    return call.Env().Undefined();
  });
  method("allGather", [](const GroupPtr& self, const Napi::CallbackInfo& call) -> Napi::Value {
    const auto gathered = allGather(self, unwrapTensor(call[0], "tensor"));
    auto result = Napi::Array::New(call.Env(), gathered.size());
    for (uint32_t i = 0; i < gathered.size(); ++i) result.Set(i, wrapTensor(call.Env(), gathered[i]));
    return result;
  });
  method("barrier", [](const GroupPtr& self, const Napi::CallbackInfo& call) -> Napi::Value {
    barrier(self);
    return call.Env().Undefined();
  });
  group.Set("dispose", Napi::Function::New(env, [=](const Napi::CallbackInfo&) { *holder = GroupPtr(); }));
  return group;
}

}  // namespace

Napi::Object initDistributed(Napi::Env env, Napi::Object exports) {
  auto backends = Napi::Array::New(env);
#ifdef USE_C10D_GLOO
  backends.Set(backends.Length(), "gloo");
#endif
#ifdef USE_C10D_NCCL
  backends.Set(backends.Length(), "nccl");
#endif
  exports.Set("processGroupBackends", backends);
  exports.Set("joinProcessGroup", Napi::Function::New(env, joinProcessGroup));
  return exports;
}

}  // namespace dagan

#else

namespace dagan {

static Napi::Value joinProcessGroup(const Napi::CallbackInfo& info) {
  throw Napi::Error::New(info.Env(), "the addon was built without process groups: LibTorch " TORCH_VERSION
                                     " or the headers of Gloo (libgloo-dev) do not provide them");
}

Napi::Object initDistributed(Napi::Env env, Napi::Object exports) {
  exports.Set("processGroupBackends", Napi::Array::New(env));
  exports.Set("joinProcessGroup", Napi::Function::New(env, joinProcessGroup));
  return exports;
}

}  // namespace dagan

#endif
