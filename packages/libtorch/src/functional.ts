// Functions without weights, named as in `torch.nn.functional`. Images are [N, C, H, W].
import { addon } from './native.js';
import { isTracing, run } from './operator.js';
import { type Tensor, tensorOf } from './tensor.js';

/** One number for both dimensions, or [vertical, horizontal]. */
export type Pair = number | readonly [number, number];

const pair = (value: Pair): readonly [number, number] => (typeof value === 'number' ? [value, value] : value);

/** Two-dimensional convolution: [N, C, H, W] with weight [O, C / groups, kH, kW] and bias [O]. */
export function conv2d(
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null = null,
  { stride = 1, padding = 0, dilation = 1, groups = 1 }: ConvOptions = {},
): Tensor {
  return run('aten::conv2d', [input, weight, bias, pair(stride), pair(padding), pair(dilation), groups]);
}

export type ConvOptions = { stride?: Pair; padding?: Pair; dilation?: Pair; groups?: number };

/** Three-dimensional convolution: [N, C, D, H, W] with weight [O, C, kD, kH, kW] and bias [O]. */
export function conv3d(input: Tensor, weight: Tensor, bias: Tensor | null = null, { padding = 0 } = {}): Tensor {
  const every = (value: number) => [value, value, value];
  return run('aten::conv3d', [input, weight, bias, every(1), every(padding), every(1), 1]);
}

/**
 * `conv2d` with a square kernel [O, C, k, k] and a border of `padding` zeros, for training. On the CPU in float32, with kernels from
 * 3 x 3 to 8 x 8 and at least 16 channels on either side, it is two to four times as fast, forth and back (Lavin and Gray, "Fast
 * Algorithms for Convolutional Neural Networks", CVPR 2016), with rounding errors up to five times as large. Elsewhere it is `conv2d`.
 */
export function trainingConv2d(
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null = null,
  { padding = 0 }: { padding?: number } = {},
): Tensor {
  const compute = addon().trainingConv2d;
  if (!compute) return conv2d(input, weight, bias, { padding });
  return tensorOf(compute(input.handle, weight.handle, bias?.handle ?? null, padding));
}

/** mean |a - b| of two tensors of one shape -> [], in float32, or float64 if that is what they are. On the CPU one pass over memory each way. */
export function meanAbsoluteDifference(a: Tensor, b: Tensor): Tensor {
  const compute = addon().meanAbsoluteDifference;
  if (compute) return tensorOf(compute(a.handle, b.handle));
  const wide = (x: Tensor): Tensor => (x.dtype === 'float64' ? x : x.to({ dtype: 'float32' }));
  return wide(a).sub(wide(b)).abs().mean();
}

/** y = x W^T + b; weight [out, in]. */
export function linear(input: Tensor, weight: Tensor, bias: Tensor | null = null): Tensor {
  return run('aten::linear', [input, weight, bias]);
}

/**
 * Batch normalisation. In training the batch's statistics are used and `runningMean` and `runningVar` move towards them
 * by `momentum`; else the running statistics are used.
 */
export function batchNorm(
  input: Tensor,
  {
    weight = null,
    bias = null,
    runningMean = null,
    runningVar = null,
    training = false,
    momentum = 0.1,
    eps = 1e-5,
  }: {
    weight?: Tensor | null;
    bias?: Tensor | null;
    runningMean?: Tensor | null;
    runningVar?: Tensor | null;
    training?: boolean;
    momentum?: number;
    eps?: number;
  },
): Tensor {
  return run('aten::batch_norm', [input, weight, bias, runningMean, runningVar, training, momentum, eps, true]);
}

/**
 * Batch normalisation by the batch's statistics, towards which the running ones move, then ReLU, then the mean of every `pool` x `pool`
 * pixels: [N, C, H, W] -> [N, C, H / pool, W / pool]. On the CPU, where C is a multiple of 8, each way is one pass over memory.
 */
export function batchNormRelu(
  input: Tensor,
  {
    weight,
    bias,
    runningMean,
    runningVar,
    momentum = 0.1,
    eps = 1e-5,
  }: {
    weight: Tensor | null;
    bias: Tensor | null;
    runningMean: Tensor;
    runningVar: Tensor;
    momentum?: number;
    eps?: number;
  },
  pool = 1,
): Tensor {
  const compute = addon().batchNormRelu;
  if (!compute) {
    return reluMean(batchNorm(input, { weight, bias, runningMean, runningVar, momentum, eps, training: true }), pool);
  }
  const [factor, offset] = [weight?.handle ?? null, bias?.handle ?? null];
  return tensorOf(compute(input.handle, factor, offset, runningMean.handle, runningVar.handle, momentum, eps, pool));
}

/** ReLU, then the mean of every `pool` x `pool` pixels: [N, C, H, W] -> [N, C, H / pool, W / pool]. */
export function reluMean(input: Tensor, pool: number): Tensor {
  const positive = relu(input);
  return pool === 1 ? positive : avgPool2d(positive, pool);
}

/** Normalises each picture and channel by its own mean and variance. */
export function instanceNorm(
  input: Tensor,
  { weight = null, bias = null, eps = 1e-5 }: { weight?: Tensor | null; bias?: Tensor | null; eps?: number } = {},
): Tensor {
  return run('aten::instance_norm', [input, weight, bias, null, null, true, 0.1, eps, true]);
}

export function relu(input: Tensor): Tensor {
  return run('aten::relu', [input]);
}

export function leakyRelu(input: Tensor, negativeSlope = 0.01): Tensor {
  return run('aten::leaky_relu', [input, negativeSlope]);
}

/** x for x > 0, exp(x) - 1 below. */
export function elu(input: Tensor): Tensor {
  return run('aten::elu', [input]);
}

/** log(1 + exp(x)) */
export function softplus(input: Tensor): Tensor {
  return run('aten::softplus', [input]);
}

export function avgPool2d(
  input: Tensor,
  kernel: Pair,
  { stride = kernel, padding = 0 }: { stride?: Pair; padding?: Pair } = {},
): Tensor {
  return run('aten::avg_pool2d', [input, pair(kernel), pair(stride), pair(padding)]);
}

export function maxPool2d(
  input: Tensor,
  kernel: Pair,
  { stride = kernel, padding = 0 }: { stride?: Pair; padding?: Pair } = {},
): Tensor {
  return run('aten::max_pool2d', [input, pair(kernel), pair(stride), pair(padding)]);
}

/** Resizes to [height, width] by repeating pixels. */
export function upsampleNearest(input: Tensor, size: Pair): Tensor {
  return run('aten::upsample_nearest2d', [input, pair(size)]);
}

/** Resizes to [height, width] bilinearly. With `alignCorners` the corner pixels' centres stay in place. */
export function upsampleBilinear(input: Tensor, size: Pair, { alignCorners = false } = {}): Tensor {
  return run('aten::upsample_bilinear2d', [input, pair(size), alignCorners]);
}

const INTERPOLATION = { bilinear: 0, nearest: 1 } as const;
const PADDING = { zeros: 0, border: 1, reflection: 2 } as const;

/**
 * Samples `input` [N, C, H, W] at `grid` [N, h, w, 2], whose last dimension is (x, y) in [-1, 1] -> [N, C, h, w]; volumes
 * [N, C, D, H, W] at [N, d, h, w, 3], (x, y, z), -> [N, C, d, h, w].
 * With `alignCorners` -1 and 1 are the centres of the outermost pixels, else their outer edges.
 */
export function gridSample(
  input: Tensor,
  grid: Tensor,
  {
    mode = 'bilinear',
    paddingMode = 'zeros',
    alignCorners = false,
  }: { mode?: keyof typeof INTERPOLATION; paddingMode?: keyof typeof PADDING; alignCorners?: boolean } = {},
): Tensor {
  const compute = addon().gridSample;
  if (compute && mode === 'bilinear' && paddingMode === 'zeros' && !isTracing()) {
    return tensorOf(compute(input.handle, grid.handle, alignCorners));
  }
  return run('aten::grid_sampler', [input, grid, INTERPOLATION[mode], PADDING[paddingMode], alignCorners]);
}

/** Pads the last dimensions by [left, right, top, bottom]. */
export function pad(
  input: Tensor,
  padding: readonly number[],
  mode: 'zeros' | 'reflect' | 'replicate' = 'zeros',
): Tensor {
  if (mode === 'zeros') return run('aten::constant_pad_nd', [input, padding, 0]);
  return run(mode === 'reflect' ? 'aten::reflection_pad2d' : 'aten::replication_pad2d', [input, padding]);
}

/** [N, C r r, H, W] -> [N, C, H r, W r] */
export function pixelShuffle(input: Tensor, factor: number): Tensor {
  return run('aten::pixel_shuffle', [input, factor]);
}
