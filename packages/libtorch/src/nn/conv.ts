// Convolution and linear layers.
import { conv2d, conv3d, linear, type Pair, trainingConv2d } from '../functional.js';
import { isTracing } from '../operator.js';
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
    const { stride, padding, groups, bias } = this;
    const weight = this.effectiveWeight();
    if (this.training && this.#looksAround && !isTracing()) {
      return trainingConv2d(input, weight, bias, { padding: typeof padding === 'number' ? padding : padding[0] });
    }
    // With few channels LibTorch 1.13's backward pass of strided 1x1 convolutions writes beyond its memory on some processors.
    if (this.#picksPixels && this.training && !isTracing()) {
      const [down, right] = typeof stride === 'number' ? [stride, stride] : stride;
      const picked = input.slice(2, 0, undefined, down).slice(3, 0, undefined, right);
      return conv2d(picked, weight, bias, { groups });
    }
    return conv2d(input, weight, bias, { stride, padding, groups });
  }

  /** Whether this is a 1x1 convolution that looks at every so many-th pixel. */
  get #picksPixels(): boolean {
    const { stride, padding, weight } = this;
    return stride !== 1 && padding === 0 && weight.size(2) === 1 && weight.size(3) === 1;
  }

  /** Whether the result sees a square around every pixel, with as many zeros beside the picture as above it. */
  get #looksAround(): boolean {
    const { stride, padding, groups, weight } = this;
    const same = typeof padding === 'number' || padding[0] === padding[1];
    return same && stride === 1 && groups === 1 && weight.size(2) > 1 && weight.size(2) === weight.size(3);
  }
}

/** Three-dimensional convolution, [N, in, D, H, W] -> [N, out, D', H', W']. */
export class Conv3d extends Module {
  weight: Parameter; // [out, in, k, k, k]
  bias: Parameter | null; // [out]
  readonly padding: number;

  /** @param kernel the same along all three dimensions */
  constructor(inChannels: number, outChannels: number, kernel: number, { padding = 0 }: { padding?: number } = {}) {
    super();
    const shape = [outChannels, inChannels, kernel, kernel, kernel];
    this.weight = new Parameter(kaimingUniform(shape));
    this.bias = new Parameter(biasUniform(shape));
    this.padding = padding;
  }

  forward(input: Tensor): Tensor {
    return conv3d(input, this.weight, this.bias, { padding: this.padding });
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
