// What batch norms of a process alone and of several share.
#pragma once

#include <ATen/ATen.h>
#include <napi.h>
#include <torch/custom_class.h>

#include <string>

namespace dagan {

/// Processes whose batches are normalised together.
struct Ranks : torch::CustomClassHolder {
  int rank = 0;
  int worldSize = 1;

  /// Overwrites `tensor` with the sum over the processes, which must agree on what it is.
  virtual void sum(at::Tensor& tensor, const std::string& what) = 0;

  /// Batch norm in training; see `syncBatchNorm`.
  virtual at::Tensor batchNorm(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& runningMean,
                               const at::Tensor& runningVar, double momentum, double eps) = 0;
};

/// The weights and statistics of a batch norm [C]; weight and bias may be undefined.
struct BatchNormState {
  at::Tensor weight, bias, runningMean, runningVar;
  double momentum, eps;
};

/// From a call's arguments 1 to 6: weight | null, bias | null, runningMean | null, runningVar | null, momentum, eps.
BatchNormState batchNormState(const Napi::CallbackInfo& call);

/**
 * Batch norm in training, ReLU, and the mean of every `pool` x `pool` pixels; autograd records it. Takes the running statistics along.
 * @param ranks whose statistics count together; null for this process alone
 */
at::Tensor batchNormRelu(const at::Tensor& input, const BatchNormState& state, int64_t pool, const c10::intrusive_ptr<Ranks>& ranks);

}  // namespace dagan
