// Operators on pictures [N, C, H, W].
import type { GraphValue } from '../graph.js';
import { ratio, type Size } from '../size.js';
import { flag, number, numbers, optionalValue, pair, require, value } from './arguments.js';
import type { Attributes, Lowering, OnnxBuilder } from './builder.js';

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

/** grid_sampler(input, grid, interpolation, padding, align_corners); the numbers are LibTorch's. */
const gridSample: Lowering = (b, [x, grid, interpolation, padding, alignCorners]) => {
  const mode = ['bilinear', 'nearest', 'bicubic'][number(interpolation)];
  const paddingMode = ['zeros', 'border', 'reflection'][number(padding)];
  require(mode !== undefined && paddingMode !== undefined, 'known modes');
  const input = value(x);
  const aligned = flag(alignCorners, false);
  const { shape, dtype } = input;
  const wide = typeof shape[1] === 'number' && shape[1] >= ROWS_FROM && dtype === 'float32';
  if (wide && mode === 'bilinear' && paddingMode === 'zeros') return sampleRows(b, input, value(grid), aligned);
  return b.op('GridSample', [b.name(input), b.name(value(grid))], {
    mode,
    padding_mode: paddingMode,
    align_corners: aligned ? 1 : 0,
  });
};

/** Channels from which on pictures are sampled by rows. */
const ROWS_FROM = 16;

/**
 * Bilinear sampling [N, C, H, W], [N, h, w, 2] -> [N, C, h, w] with zeros outside, as the weighted sum of four pixels, each
 * gathered as a row of all its channels. ONNX Runtime's GridSample goes through channels number by number on processors:
 * of 128 channels at 64 x 64 it takes 3.4 times as long.
 */
function sampleRows(b: OnnxBuilder, input: GraphValue, grid: GraphValue, alignCorners: boolean): string {
  const [count, channels, height, width] = input.shape as [Size, number, Size, Size];
  const one = b.floats(1);
  const whole = (size: Size): string => b.cast(b.scalar(size, 'int64'), 'int32'); // graphics processors know no int64
  /** Of the pixels before and after each place along one side: their number, and their share, 0 for one outside. */
  const along = (axis: 0 | 1, size: Size): { index: string; share: string }[] => {
    const last = b.op('Sub', [b.scalar(size, 'float32'), one]);
    const from0 = b.op('Mul', [
      b.op('Add', [b.op('Gather', [b.name(grid), b.ints(axis)], { axis: 3 }), one]), // [N, h, w]
      b.op('Mul', [alignCorners ? last : b.scalar(size, 'float32'), b.floats(0.5)]),
    ]);
    const place = alignCorners ? from0 : b.op('Sub', [from0, b.floats(0.5)]);
    const before = b.op('Floor', [place]);
    const beyond = b.op('Sub', [place, before]);
    const pixels = [
      { pixel: before, part: b.op('Sub', [one, beyond]) },
      { pixel: b.op('Add', [before, one]), part: beyond },
    ];
    return pixels.map(({ pixel, part }) => {
      const inside = b.op('Clip', [pixel, b.floats(0), last]);
      const isInside = b.cast(b.op('Equal', [pixel, inside]), 'float32');
      return { index: b.cast(inside, 'int32'), share: b.op('Mul', [part, isInside]) };
    });
  };
  const [columns, rows] = [along(0, width), along(1, height)];
  const pixels = b.op('Reshape', [b.op('Transpose', [b.name(input)], { perm: [0, 2, 3, 1] }), b.ints([-1, channels])]); // [N H W, C]
  const perPicture = b.op('Mul', [whole(height), whole(width)]);
  const picture = b.cast(b.op('Range', [b.ints(0), b.scalar(count, 'int64'), b.ints(1)]), 'int32');
  const first = b.op('Reshape', [b.op('Mul', [picture, perPicture]), b.ints([-1, 1, 1])]); // [N, 1, 1]
  const parts = rows.flatMap((row) =>
    columns.map((column) => {
      const inPicture = b.op('Add', [b.op('Mul', [row.index, whole(width)]), column.index]);
      const gathered = b.op('Gather', [pixels, b.op('Add', [inPicture, first])], { axis: 0 }); // [N, h, w, C]
      const share = b.op('Unsqueeze', [b.op('Mul', [row.share, column.share]), b.ints([3])]);
      return b.op('Mul', [gathered, share]);
    }),
  );
  const sum = parts.reduce((before, part) => b.op('Add', [before, part]));
  return b.op('Transpose', [sum], { perm: [0, 3, 1, 2] });
}

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
