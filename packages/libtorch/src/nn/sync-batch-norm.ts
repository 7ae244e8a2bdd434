// Batch normalisation whose statistics are those of all ranks' batches together.
import type { ProcessGroup } from '../distributed.js';
import { reluMean } from '../functional.js';
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
    return this.group.syncBatchNorm(input, this)!;
  }

  protected override normalizeRelu(input: Tensor, pool: number): Tensor {
    if (this.group.worldSize === 1) return super.normalizeRelu(input, pool);
    // Where there is no operator for both: no private method, layers that are converted have none.
    return this.group.syncBatchNormRelu(input, this, pool) ?? reluMean(this.normalize(input), pool);
  }
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
