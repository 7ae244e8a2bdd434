// Batch normalisation whose statistics are those of all ranks' batches together.
import { noGrad } from '../autograd.js';
import { cat, full, zeros } from '../creation.js';
import type { ProcessGroup } from '../distributed.js';
import { run } from '../operator.js';
import { tidy } from '../scope.js';
import type { Tensor } from '../tensor.js';
import type { Module } from './module.js';
import { BatchNorm2d } from './norm.js';

/**
 * `BatchNorm2d` over the batches of all ranks of a group: outputs, gradients and running statistics are those of one
 * process with the whole batch. Ranks may have batches of different sizes. In use (`eval()`) it is plain `BatchNorm2d`.
 */
export class SyncBatchNorm2d extends BatchNorm2d {
  group: ProcessGroup;

  constructor(
    channels: number,
    { group, ...options }: { group: ProcessGroup; affine?: boolean; momentum?: number; eps?: number },
  ) {
    super(channels, options);
    this.group = group;
  }

  protected override normalize(input: Tensor): Tensor {
    if (!this.training || this.group.worldSize === 1) return super.normalize(input);
    return tidy(() => {
      const { momentum } = this;
      // 16-bit floats are too coarse for statistics.
      const wide = input.dtype === 'float64' ? input : input.to({ dtype: 'float32' });
      const ownMean = wide.mean([0, 2, 3]); // [C]
      // Centred first: multiplied out, large means would cancel and take digits of the weight's gradient with them.
      const centred = wide.sub(perChannel(ownMean)); // [N, C, H, W]
      const { mean, variance, total } = statisticsOverRanks(ownMean, centred, this.group);
      noGrad(() => {
        const unbiased = variance.mul(total.div(total.sub(1)));
        this.runningMean.mul_(1 - momentum).add_(mean, momentum);
        this.runningVar.mul_(1 - momentum).add_(unbiased, momentum);
      });
      const inverse = run('aten::rsqrt', [variance.add(this.eps)]); // [C]
      const scale = this.weight ? inverse.mul(this.weight) : inverse;
      const moved = ownMean.sub(mean).mul(scale); // [C]
      const offset = this.bias ? moved.add(this.bias) : moved;
      const output = run('aten::addcmul', [perChannel(offset), centred, perChannel(scale)]);
      return output.to({ dtype: input.dtype });
    });
  }
}

const perChannel = (values: Tensor): Tensor => values.reshape(1, -1, 1, 1);

/**
 * Mean and (biased) variance of each channel over all ranks, with gradients, and how many values of a channel there are.
 *
 * Every rank sends its own mean, variance and count, and all are merged as in Chan et al., "Updating formulae and a
 * pairwise algorithm for computing sample variances", 1979: var = sum_r n_r (var_r + (mean_r - mean)^2) / sum_r n_r.
 * Sums of squares would need no merging, but lose their digits where the mean is large against the deviation.
 *
 * @param ownMean this rank's mean of each channel, [C]
 * @param centred this rank's values without it, [N, C, H, W]
 */
function statisticsOverRanks(
  ownMean: Tensor,
  centred: Tensor,
  group: ProcessGroup,
): { mean: Tensor; variance: Tensor; total: Tensor } {
  const { rank, worldSize } = group;
  const channels = ownMean.numel;
  const where = { dtype: centred.dtype, device: centred.device };
  const ownVariance = centred.square().mean([0, 2, 3]); // [C]
  const own = cat([ownMean, ownVariance, full([1], centred.numel / channels, where)]); // [2 C + 1]
  // A sum of tables that hold one rank's row each gathers all rows, and has a gradient.
  const before = zeros([rank, own.numel], where);
  const after = zeros([worldSize - rank - 1, own.numel], where);
  const all = group.allReduceWithGradient(cat([before, own.unsqueeze(0), after])); // [ranks, 2 C + 1]
  const means = all.narrow(1, 0, channels); // [ranks, C]
  const variances = all.narrow(1, channels, channels); // [ranks, C]
  const counts = all.narrow(1, 2 * channels, 1).detach(); // [ranks, 1]
  const total = counts.sum(); // []
  const shares = counts.div(total); // [ranks, 1]
  const mean = means.mul(shares).sum([0]); // [C]
  const variance = variances.add(means.sub(mean).square()).mul(shares).sum([0]); // [C]
  return { mean, variance, total };
}

/**
 * Makes every `BatchNorm2d` in a tree of modules a `SyncBatchNorm2d` of the group. The layers stay the same objects, so
 * that lists, fields and optimisers that refer to them or to their parameters stay right. Returns the module.
 */
export function convertSyncBatchNorm<M extends Module>(module: M, group: ProcessGroup): M {
  for (const [, layer] of module.namedModules()) {
    // Subclasses normalise in a way of their own.
    if (!(layer instanceof BatchNorm2d) || Object.getPrototypeOf(layer) !== BatchNorm2d.prototype) continue;
    Object.setPrototypeOf(layer, SyncBatchNorm2d.prototype);
    Object.assign(layer, { group });
  }
  return module;
}
