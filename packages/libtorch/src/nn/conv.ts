// Convolution and linear layers.
import { conv2d, linear, type Pair } from '../functional.js';
import type { Tensor } from '../tensor.js';
import { biasUniform, kaimingUniform } from './init.js';
import { Module, Parameter } from './module.js';

export type Conv2dOptions = { stride?: Pair; padding?: Pair; groups?: number; bias?: boolean };

/** Two-dimensional convolution, [N, in, H, W] -> [N, out, H', W']. */
export class Conv2d extends Module {
  weight: Parameter; // [out, in / groups, kH, kW]
  bias: Parameter | null; // [out]
  readonly stride: Pair;
  readonly padding: Pair;
  readonly groups: number;

  constructor(
    inChannels: number,
    outChannels: number,
    kernel: Pair,
    { stride = 1, padding = 0, groups = 1, bias = true }: Conv2dOptions = {},
  ) {
    super();
    const [height, width] = typeof kernel === 'number' ? [kernel, kernel] : kernel;
    const shape = [outChannels, inChannels / groups, height, width];
    this.weight = new Parameter(kaimingUniform(shape));
    this.bias = bias ? new Parameter(biasUniform(shape)) : null;
    this.stride = stride;
    this.padding = padding;
    this.groups = groups;
  }

  /** The weight that `forward` uses; subclasses may reparametrise it. */
  protected effectiveWeight(): Tensor {
    return this.weight;
  }

  forward(input: Tensor): Tensor {
    const { stride, padding, groups } = this;
    return conv2d(input, this.effectiveWeight(), this.bias, { stride, padding, groups });
  }
}

/** y = x W^T + b, [..., in] -> [..., out]. */
export class Linear extends Module {
  weight: Parameter; // [out, in]
  bias: Parameter; // [out]

  constructor(inFeatures: number, outFeatures: number) {
    super();
    const shape = [outFeatures, inFeatures];
    this.weight = new Parameter(kaimingUniform(shape));
    this.bias = new Parameter(biasUniform(shape));
  }

  forward(input: Tensor): Tensor {
    return linear(input, this.weight, this.bias);
  }
}
