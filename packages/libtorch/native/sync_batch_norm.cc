// Batch normalisation whose statistics are those of all ranks' batches together, with its derivative.
//
// Built of the kernels of plain batch norm: in use (not training) they normalise by whatever mean and variance they are
// given, so only sums over channels have to travel, one small message each way.
#include "process_group.h"

#if defined(USE_C10D_GLOO) || defined(USE_C10D_NCCL)

#include <torch/csrc/autograd/custom_function.h>

#include "tensor_handle.h"

namespace dagan {
namespace {

at::ScalarType statisticsType(const at::Tensor& input) {
  return input.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

/// Mean and (biased) variance of each channel over all ranks, and how many values of a channel there are.
struct Statistics {
  at::Tensor mean;      // [C]
  at::Tensor variance;  // [C]
  at::Tensor count;     // []; stays on its device, for which nobody has to wait
};

/// Merges the ranks' own statistics as in Chan et al., "Updating formulae and a pairwise algorithm for computing sample
/// variances", 1979: var = sum_r n_r (var_r + (mean_r - mean)^2) / sum_r n_r. Sums of squares would need no merging, but
/// lose their digits where the mean is large against the deviation. Ranks may have batches of different sizes.
Statistics statisticsOverRanks(const at::Tensor& input, const GroupPtr& group) {
  const int64_t channels = input.size(1);
  // 16-bit floats are too coarse for statistics; the kernel takes the type of its sums from running ones.
  const auto options = input.options().dtype(statisticsType(input));
  const at::Tensor unused = at::ones({channels}, options);
  const auto [ownMean, ownVariance] = at::batch_norm_update_stats(input, unused, unused, /*momentum=*/0);
  // A sum of tables that hold one rank's row each gathers all rows.
  at::Tensor table = at::zeros({group->worldSize, 2 * channels + 1}, options);  // [ranks, 2 C + 1]
  at::Tensor row = table[group->rank];
  row.narrow(0, 0, channels).copy_(ownMean);
  row.narrow(0, channels, channels).copy_(ownVariance);
  row[2 * channels].fill_(static_cast<double>(input.numel() / channels));
  sumOverRanks(group, table, "batch norm's statistics");
  const at::Tensor means = table.narrow(1, 0, channels);                // [ranks, C]
  const at::Tensor variances = table.narrow(1, channels, channels);     // [ranks, C]
  const at::Tensor counts = table.narrow(1, 2 * channels, 1);           // [ranks, 1]
  const at::Tensor total = counts.sum();                                // []
  const at::Tensor shares = counts / total;                             // [ranks, 1]
  const at::Tensor mean = (means * shares).sum(0);                      // [C]
  const at::Tensor variance = ((variances + (means - mean).square()) * shares).sum(0);  // [C]
  return {mean, variance, total};
}

/// (x - mean) / sqrt(variance + eps) * weight + bias
at::Tensor affine(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, const Statistics& by, double eps) {
  return std::get<0>(at::native_batch_norm(input, weight, bias, by.mean, by.variance, /*training=*/false, 0, eps));
}

struct SyncBatchNorm : torch::autograd::Function<SyncBatchNorm> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& input, const at::Tensor& weight,
                            const at::Tensor& bias, const at::Tensor& runningMean, const at::Tensor& runningVar,
                            double momentum, double eps, const GroupPtr& group) {
    const Statistics found = statisticsOverRanks(input, group);
    runningMean.mul_(1 - momentum).add_(found.mean, momentum);
    runningVar.mul_(1 - momentum).add_(found.variance * (found.count / (found.count - 1)), momentum);
    context->save_for_backward({input, weight, found.mean, found.variance, found.count});
    context->saved_data["eps"] = eps;
    context->saved_data["group"] = c10::IValue::make_capsule(group);
    return affine(input, weight, bias, found, eps);
  }

  /// With g the output's gradient, x^ the normalised input, and n values in a channel:
  /// dx = weight / sqrt(variance + eps) * (g - (sum g + x^ sum g x^) / n), both sums over all ranks.
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto group = c10::static_intrusive_pointer_cast<Group>(context->saved_data["group"].toCapsule());
    if (at::GradMode::is_enabled()) {
      throw std::runtime_error("rank " + std::to_string(group->rank) +
                               ": synchronised batch norm has no second derivative; run backward without createGraph");
    }
    const auto saved = context->get_saved_variables();
    const at::Tensor &input = saved[0], &weight = saved[1], &mean = saved[2], &variance = saved[3], &count = saved[4];
    const double eps = context->saved_data["eps"].toDouble();
    const at::Tensor inverse = (variance + eps).rsqrt();  // [C]

    // As if mean and variance were constants: the first part of dx, and both sums over this rank's values.
    auto [gradient, weightGradient, biasGradient] =
        at::native_batch_norm_backward(gradients[0], input, weight, mean, variance, mean, inverse, /*train=*/false, eps,
                                       {true, true, true});
    at::Tensor sums = at::stack({weightGradient, biasGradient});  // [2, C]
    try {
      sumOverRanks(group, sums, "batch norm's gradients");
    } catch (const std::exception& error) {
      throw std::runtime_error("rank " + std::to_string(group->rank) + ": " + readableMessage(error));
    }
    sums.mul_(weight * inverse).div_(-count);
    gradient.add_(affine(input, sums[0], sums[1], {mean, variance, count}, eps));

    const at::Tensor none;
    return {gradient, weightGradient, biasGradient, none, none, none, none, none};
  }
};

}  // namespace

at::Tensor syncBatchNorm(const GroupPtr& group, const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias,
                         const at::Tensor& runningMean, const at::Tensor& runningVar, double momentum, double eps) {
  const at::Tensor factor = weight.defined() ? weight : at::ones_like(runningMean);
  const at::Tensor offset = bias.defined() ? bias : at::zeros_like(runningMean);
  return SyncBatchNorm::apply(input, factor, offset, runningMean, runningVar, momentum, eps, group);
}

}  // namespace dagan

#endif
