// What the parts of the native side share about process groups: the group, work under way in it, and gradient buckets.
#pragma once

#if defined(USE_C10D_GLOO) || defined(USE_C10D_NCCL)

#include <ATen/ATen.h>
#include <torch/version.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#if TORCH_VERSION_MAJOR >= 2
#include <torch/csrc/distributed/c10d/Backend.hpp>
#else
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#endif
#include <torch/csrc/distributed/c10d/Store.hpp>

#include "batch_norm.h"
#include "blackboard.h"

namespace dagan {

#if TORCH_VERSION_MAJOR >= 2
using Communicator = c10d::Backend;
#else
using Communicator = c10d::ProcessGroup;
#endif

using Milliseconds = std::chrono::milliseconds;

struct Address {
  std::string host;
  uint16_t port;
};

struct Group : Ranks {
  Address master;
  std::string backend;
  c10::intrusive_ptr<c10d::Store> store;  // where further communicators of the same ranks meet
  int communicators = 1;
  c10::intrusive_ptr<Communicator> communicator;
  std::shared_ptr<Blackboard> blackboard;  // null if the ranks do not share a machine
  Milliseconds timeout{};

  void sum(at::Tensor& tensor, const std::string& what) override;
  at::Tensor batchNorm(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& runningMean,
                       const at::Tensor& runningVar, double momentum, double eps) override;
};
using GroupPtr = c10::intrusive_ptr<Group>;

/// A collective under way.
class Pending {
 public:
  Pending(GroupPtr group, std::string what, const std::function<c10::intrusive_ptr<c10d::Work>()>& start,
          std::function<void()> finish = [] {});

  /// Blocks until the result is there (on CUDA: until the current stream is to wait for it).
  void wait();

  bool isDone();

 private:
  GroupPtr group_;
  std::string what_;
  std::function<void()> finish_;
  c10::intrusive_ptr<c10d::Work> work_;
};

/// Another communicator of the same ranks, whose collectives do not have to keep their order with the group's own. All
/// ranks must ask for as many.
GroupPtr duplicate(const GroupPtr& group);

/// Makes sure that all ranks call the same collective. Gloo ends the process if they bring different amounts of data, so
/// each rank says first what it is about to do. NCCL's tensors need not wait for it.
void agree(const GroupPtr& group, const std::string& what);

/// Overwrites `tensor` with that of rank `root`.
void broadcast(const GroupPtr& group, const at::Tensor& tensor, int root);

/// Overwrites `tensor`, which must be contiguous and of a type that travels, with the sum over ranks, which must
/// agree on what it is.
void sumOverRanks(const GroupPtr& group, at::Tensor& tensor, const std::string& what);

/// Batch norm in training, with statistics over all ranks; autograd records it. Takes the running statistics along.
/// `weight` and `bias` [C] may be undefined.
at::Tensor syncBatchNorm(const GroupPtr& group, const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias,
                         const at::Tensor& runningMean, const at::Tensor& runningVar, double momentum, double eps);

/// Averages the gradients of parameters over ranks while the backward pass still computes others.
class GradientBuckets {
 public:
  virtual ~GradientBuckets() = default;

  /// The next backward pass is the one after which gradients are complete.
  virtual void start() = 0;

  /// Blocks until all gradients are means over ranks. A gradient that did not come counts as zero, but stays undefined.
  virtual void finish() = 0;
};

/// Buckets of about `bucketBytes` for leaves that require gradients, all float32 or all float64, on one device.
std::shared_ptr<GradientBuckets> makeGradientBuckets(const GroupPtr& group, std::vector<at::Tensor> parameters,
                                                     int64_t bucketBytes);

}  // namespace dagan

#endif
