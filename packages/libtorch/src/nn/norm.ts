// Normalisation layers over pictures [N, C, H, W] and volumes [N, C, D, H, W].
import { noGrad } from '../autograd.js';
import { ones, zeros } from '../creation.js';
import { batchNorm, batchNormRelu, instanceNorm, reluMean } from '../functional.js';
import { isTracing } from '../operator.js';
import { keep, tidy } from '../scope.js';
import type { Tensor } from '../tensor.js';
import type { Conv2d, Conv3d } from './conv.js';
import { Module, Parameter } from './module.js';

/** Batch normalisation with running statistics (Ioffe and Szegedy, 2015). */
export class BatchNorm2d extends Module {
  weight: Parameter | null; // [C]
  bias: Parameter | null; // [C]
  runningMean: Tensor; // [C]
  runningVar: Tensor; // [C]
  numBatchesTracked: Tensor; // []

  /** @param affine whether the layer has a weight and a bias of its own */
  constructor(
    channels: number,
    { affine = true, momentum = 0.1, eps = 1e-5 }: { affine?: boolean; momentum?: number; eps?: number } = {},
  ) {
    super();
    this.momentum = momentum;
    this.eps = eps;
    this.weight = affine ? new Parameter(ones([channels])) : null;
    this.bias = affine ? new Parameter(zeros([channels])) : null;
    this.runningMean = keep(zeros([channels]));
    this.runningVar = keep(ones([channels]));
    this.numBatchesTracked = keep(zeros([], { dtype: 'int64' }));
  }

  readonly momentum: number;
  readonly eps: number;
  #folded = false;

  /**
   * Writes this layer, as it is in use, into the convolution before it; from then on it passes its input through.
   * Scales the convolution's weights by weight / sqrt(runningVar + eps) and shifts its bias to match.
   */
  foldInto(conv: Conv2d | Conv3d): void {
    if (this.#folded) return;
    tidy(() =>
      noGrad(() => {
        const scale = this.runningVar.add(this.eps).sqrt().reciprocal();
        const factor = this.weight ? scale.mul(this.weight) : scale; // [C]
        const mean = conv.bias ? this.runningMean.sub(conv.bias) : this.runningMean;
        const shift = mean.mul(factor).neg(); // [C]
        const [oldWeight, oldBias] = [conv.weight, conv.bias];
        conv.weight = new Parameter(
          oldWeight.mul(factor.reshape(-1, ...Array.from({ length: conv.weight.ndim - 1 }, () => 1))),
        ).requiresGrad_(false);
        conv.bias = new Parameter(this.bias ? shift.add(this.bias) : shift).requiresGrad_(false);
        oldWeight.dispose();
        oldBias?.dispose();
      }),
    );
    this.#folded = true;
  }

  forward(input: Tensor): Tensor {
    if (this.#folded) return input;
    if (this.training) this.numBatchesTracked.add_(1);
    return this.normalize(input);
  }

  /**
   * `forward`, then ReLU, then the mean of every `pool` x `pool` pixels: [N, C, H, W] -> [N, C, H / pool, W / pool]. In training that is
   * one operator, which passes over memory less often (`F.batchNormRelu`).
   */
  relu(input: Tensor, pool = 1): Tensor {
    if (this.training && !this.#folded && !isTracing()) {
      this.numBatchesTracked.add_(1);
      return this.normalizeRelu(input, pool);
    }
    return reluMean(this.forward(input), pool);
  }

  /** What `relu` does in training; `SyncBatchNorm2d` computes the statistics over all ranks. */
  protected normalizeRelu(input: Tensor, pool: number): Tensor {
    return batchNormRelu(input, this, pool);
  }

  /** The normalisation itself; `SyncBatchNorm2d` computes the statistics over all ranks. */
  protected normalize(input: Tensor): Tensor {
    const { weight, bias, runningMean, runningVar, training, momentum, eps } = this;
    return batchNorm(input, { weight, bias, runningMean, runningVar, training, momentum, eps });
  }
}

/** Instance normalisation (Ulyanov et al., 2016): each picture and channel by itself. */
export class InstanceNorm2d extends Module {
  weight: Parameter | null; // [C]
  bias: Parameter | null; // [C]

  constructor(channels: number, { affine = false }: { affine?: boolean } = {}) {
    super();
    this.weight = affine ? new Parameter(ones([channels])) : null;
    this.bias = affine ? new Parameter(zeros([channels])) : null;
  }

  forward(input: Tensor): Tensor {
    return instanceNorm(input, { weight: this.weight, bias: this.bias });
  }
}
