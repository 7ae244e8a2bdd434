// Operators on pictures [N, C, H, W], and the convolution of volumes [N, C, D, H, W].
import type { GraphValue } from '../graph.js';
import { ratio } from '../size.js';
import { flag, number, numbers, optionalValue, pair, require, value } from './arguments.js';
import type { Attributes, Lowering, OnnxBuilder } from './builder.js';
import { gridSample } from './sampling.js';

/** ONNX's order of paddings: all before, then all after. */
const pads = ([vertical, horizontal]: readonly [number, number]): number[] => [
  vertical,
  horizontal,
  vertical,
  horizontal,
];

/** conv2d(input, weight, bias, stride, padding, dilation, groups) */
const conv2d: Lowering = (b, [x, weight, bias, stride, padding, dilation, groups]) => {
  const [input, kernel] = [value(x), value(weight)];
  const shift = optionalValue(bias);
  return b.op('Conv', [b.name(input), b.name(kernel), ...(shift ? [b.name(shift)] : [])], {
    kernel_shape: [number(kernel.shape[2]), number(kernel.shape[3])],
    strides: pair(stride, 1),
    pads: pads(pair(padding, 0)),
    dilations: pair(dilation, 1),
    group: number(groups, 1),
  });
};

/** conv3d(input, weight, bias, stride, padding, dilation, groups), all lists of three */
const conv3d: Lowering = (b, [x, weight, bias, stride, padding, dilation, groups]) => {
  const [input, kernel] = [value(x), value(weight)];
  const shift = optionalValue(bias);
  const before = numbers(padding);
  return b.op('Conv', [b.name(input), b.name(kernel), ...(shift ? [b.name(shift)] : [])], {
    kernel_shape: kernel.shape.slice(2).map((size) => number(size)),
    strides: numbers(stride),
    pads: [...before, ...before],
    dilations: numbers(dilation),
    group: number(groups, 1),
  });
};

/** avg_pool2d(self, kernel, stride, padding, ceil_mode, count_include_pad, divisor) */
const averagePool: Lowering = (b, [x, kernel, stride, padding, ceil, includePadding, divisor]) => {
  require(divisor == null, 'the number of pixels as divisor');
  const size = pair(kernel, 1);
  return b.op('AveragePool', [b.name(value(x))], {
    ...pooling(size, pair(stride, size), pair(padding, 0), flag(ceil, false)),
    count_include_pad: flag(includePadding, true) ? 1 : 0,
  });
};

/** max_pool2d(self, kernel, stride, padding, dilation, ceil_mode) */
const maxPool: Lowering = (b, [x, kernel, stride, padding, dilation, ceil]) => {
  const size = pair(kernel, 1);
  return b.op('MaxPool', [b.name(value(x))], {
    ...pooling(size, pair(stride, size), pair(padding, 0), flag(ceil, false)),
    dilations: pair(dilation, 1),
  });
};

const pooling = (
  kernel: [number, number],
  strides: [number, number],
  padding: [number, number],
  ceil: boolean,
): Attributes => ({
  kernel_shape: kernel,
  strides,
  pads: pads(padding),
  ceil_mode: ceil ? 1 : 0,
});

/** Resizes to the size that the result has: by factors where they are exact in binary, else by sizes. */
function resized(b: OnnxBuilder, input: GraphValue, output: GraphValue, attributes: Attributes): string {
  const factors = output.shape.map((target, i) => ratio(target, input.shape[i]!));
  const exact = factors.every((factor) => factor !== null && Number.isInteger(Math.log2(factor)));
  const by = exact ? [b.floats(factors as number[])] : ['', b.sizes(output.shape)];
  return b.op('Resize', [b.name(input), '', ...by], attributes);
}

const upsampleNearest: Lowering = (b, [x], [out]) =>
  resized(b, value(x), out!, { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' });

/** upsample_bilinear2d(self, size, align_corners) */
const upsampleBilinear: Lowering = (b, [x, , alignCorners], [out]) =>
  resized(b, value(x), out!, {
    mode: 'linear',
    coordinate_transformation_mode: flag(alignCorners, false) ? 'align_corners' : 'half_pixel',
  });

/** Pads the last dimensions; LibTorch lists [before, after] from the last dimension on. */
const padding =
  (mode: 'constant' | 'reflect' | 'edge'): Lowering =>
  (b, [x, amounts, content]) => {
    const input = value(x);
    const list = numbers(amounts);
    const rank = input.shape.length;
    const amount = (dim: number, end: 0 | 1): number => list[2 * (rank - 1 - dim) + end] ?? 0;
    const dims = input.shape.map((_, dim) => dim);
    const paddings = b.ints([...dims.map((dim) => amount(dim, 0)), ...dims.map((dim) => amount(dim, 1))]);
    const filler = mode === 'constant' ? [b.scalar(number(content, 0), input.dtype)] : [];
    return b.op('Pad', [b.name(input), paddings, ...filler], { mode });
  };

const pixelShuffle: Lowering = (b, [x, factor]) =>
  b.op('DepthToSpace', [b.name(value(x))], { blocksize: number(factor), mode: 'CRD' });

export const PICTURES: Readonly<Record<string, Lowering>> = {
  'aten::conv2d': conv2d,
  'aten::conv3d': conv3d,
  'aten::avg_pool2d': averagePool,
  'aten::max_pool2d': maxPool,
  'aten::upsample_nearest2d': upsampleNearest,
  'aten::upsample_bilinear2d': upsampleBilinear,
  'aten::grid_sampler': gridSample,
  'aten::constant_pad_nd': padding('constant'),
  'aten::reflection_pad2d': padding('reflect'),
  'aten::replication_pad2d': padding('edge'),
  'aten::pixel_shuffle': pixelShuffle,
};
