// Averaging of gradients over ranks during the backward pass.
//
// Parameters share buckets, and a bucket travels once its last gradient has been accumulated. Buckets travel in the
// same order in all ranks, whatever the order in which they are ready; after the first pass they are filled in the order
// in which gradients came.
#include "process_group.h"

#if defined(USE_C10D_GLOO) || defined(USE_C10D_NCCL)

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <mutex>
#include <numeric>

#include "tensor_handle.h"

namespace dagan {
namespace {

/// What holds a node of the graph: a shared_ptr, in newer versions an intrusive_ptr.
using NodePtr = decltype(torch::autograd::impl::grad_accumulator(std::declval<const at::Tensor&>()));

class Buckets final : public GradientBuckets, public std::enable_shared_from_this<Buckets> {
 public:
  Buckets(const GroupPtr& group, std::vector<at::Tensor> parameters, int64_t bucketBytes)
      : parameters_(std::move(parameters)), place_(parameters_.size()), bucketBytes_(bucketBytes) {
    int64_t elements = 0;
    for (const at::Tensor& parameter : parameters_) {
      if (!parameter.is_leaf() || !parameter.requires_grad() || parameter.scalar_type() != parameters_[0].scalar_type() ||
          parameter.element_size() < sizeof(float) || parameter.device() != parameters_[0].device()) {
        throw std::runtime_error("gradients are averaged of leaves that require one, all float32 or all float64, on one device; " +
                                 describeTensor(parameter) + " is not like that");
      }
      elements += parameter.numel();
    }
    agree(group, "gradient buckets of " + std::to_string(parameters_.size()) + " parameters with " +
                     std::to_string(elements) + " elements");
    group_ = duplicate(group);
    std::vector<int64_t> order(parameters_.size());
    std::iota(order.rbegin(), order.rend(), 0);  // a guess: the last parameter's gradient comes first
    fillBuckets(order);
  }

  /// Lets the autograd engine tell of accumulated gradients. (The hooks know this object weakly; it owns the nodes.)
  void attach() {
    for (size_t i = 0; i < parameters_.size(); ++i) {
      const auto node = torch::autograd::impl::grad_accumulator(parameters_[i]);
      hooks_.emplace_back(node, node->add_post_hook(std::make_unique<Hook>(weak_from_this(), i)));
    }
  }

  ~Buckets() override {
    for (const auto& [node, key] : hooks_) node->del_post_hook(key);
  }

  void start() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (Bucket& bucket : buckets_) {
      bucket.missing = bucket.members.size();
      bucket.work.reset();
      bucket.flat.zero_();
    }
    arrived_.assign(parameters_.size(), false);
    arrivals_.clear();
    next_ = 0;
    active_ = true;
  }

  void finish() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!active_) throw std::runtime_error("finish() without start()");
    active_ = false;
    while (next_ < buckets_.size()) launch();
    const at::NoGradGuard noGrad;
    for (Bucket& bucket : buckets_) {
      bucket.work->wait();
      bucket.work.reset();
      bucket.flat.div_(group_->worldSize);
      for (const size_t i : bucket.members) {
        at::Tensor& gradient = parameters_[i].mutable_grad();
        if (gradient.defined()) gradient.copy_(slot(i));
      }
    }
    if (!ordered_) reorder();
  }

 private:
  struct Bucket {
    std::vector<size_t> members;
    at::Tensor flat;
    size_t missing = 0;
    std::unique_ptr<Pending> work;
  };

  /// Where a parameter's gradient stands.
  struct Place {
    size_t bucket = 0;
    int64_t offset = 0;
  };

  struct Hook : torch::autograd::FunctionPostHook {
    Hook(std::weak_ptr<Buckets> buckets, size_t index) : buckets(std::move(buckets)), index(index) {}
    torch::autograd::variable_list operator()(const torch::autograd::variable_list& outputs,
                                              const torch::autograd::variable_list&) override {
      if (const auto self = buckets.lock()) self->arrive(index);
      return outputs;
    }
    std::weak_ptr<Buckets> buckets;
    size_t index;
  };

  void fillBuckets(const std::vector<int64_t>& order) {
    buckets_.clear();
    int64_t elements = 0;
    const auto close = [&] {
      if (elements > 0) buckets_.back().flat = at::empty({elements}, parameters_[buckets_.back().members[0]].options().requires_grad(false));
      elements = 0;
    };
    for (const int64_t i : order) {
      const at::Tensor& parameter = parameters_[i];
      const bool full = (elements + parameter.numel()) * static_cast<int64_t>(parameter.element_size()) > bucketBytes_;
      if (buckets_.empty() || (full && elements > 0)) {
        if (!buckets_.empty()) close();
        buckets_.emplace_back();
      }
      buckets_.back().members.push_back(i);
      place_[i] = {buckets_.size() - 1, elements};
      elements += parameter.numel();
    }
    if (!buckets_.empty()) close();
  }

  /// A parameter's part of its bucket, in the parameter's own order of elements.
  at::Tensor slot(size_t i) {
    const at::Tensor& parameter = parameters_[i];
    const at::Tensor part = buckets_[place_[i].bucket].flat.narrow(0, place_[i].offset, parameter.numel());
    if (parameter.is_non_overlapping_and_dense()) return part.as_strided(parameter.sizes(), parameter.strides());
    return part.view(parameter.sizes());
  }

  void arrive(size_t i) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!active_ || arrived_[i]) return;
    arrived_[i] = true;
    arrivals_.push_back(static_cast<int64_t>(i));
    const at::NoGradGuard noGrad;
    slot(i).copy_(parameters_[i].grad());
    buckets_[place_[i].bucket].missing -= 1;
    while (next_ < buckets_.size() && buckets_[next_].missing == 0) launch();
  }

  void launch() {
    Bucket& bucket = buckets_[next_++];
    bucket.work = std::make_unique<Pending>(group_, "all-reduce of gradients", [&] {
      std::vector<at::Tensor> tensors{bucket.flat};
      return group_->communicator->allreduce(tensors);
    });
  }

  /// Fills the buckets anew, in the order in which rank 0's gradients came.
  void reorder() {
    ordered_ = true;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      if (!arrived_[i]) arrivals_.push_back(static_cast<int64_t>(i));
    }
    at::Tensor order = at::tensor(arrivals_, at::kLong).to(parameters_[0].device());
    broadcast(group_, order, 0);
    const at::Tensor local = order.cpu();
    fillBuckets(std::vector<int64_t>(local.data_ptr<int64_t>(), local.data_ptr<int64_t>() + local.numel()));
  }

  GroupPtr group_;
  std::vector<at::Tensor> parameters_;
  std::vector<Place> place_;
  std::vector<Bucket> buckets_;
  std::vector<std::pair<NodePtr, uintptr_t>> hooks_;
  std::mutex mutex_;  // on CUDA gradients come in a thread of the engine's own
  std::vector<bool> arrived_;
  std::vector<int64_t> arrivals_;
  int64_t bucketBytes_;
  size_t next_ = 0;
  bool active_ = false;
  bool ordered_ = false;
};

}  // namespace

std::shared_ptr<GradientBuckets> makeGradientBuckets(const GroupPtr& group, std::vector<at::Tensor> parameters,
                                                     int64_t bucketBytes) {
  const auto buckets = std::make_shared<Buckets>(group, std::move(parameters), bucketBytes);
  buckets->attach();
  return buckets;
}

}  // namespace dagan

#endif
