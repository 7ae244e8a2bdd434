// Sampling of pictures and volumes at places between their elements.
import type { GraphValue } from '../graph.js';
import type { Size } from '../size.js';
import { flag, number, require, value } from './arguments.js';
import type { Lowering, OnnxBuilder } from './builder.js';

/** grid_sampler(input, grid, interpolation, padding, align_corners); the numbers are LibTorch's. */
export const gridSample: Lowering = (b, [x, grid, interpolation, padding, alignCorners]) => {
  const mode = ['bilinear', 'nearest', 'bicubic'][number(interpolation)];
  const paddingMode = ['zeros', 'border', 'reflection'][number(padding)];
  require(mode !== undefined && paddingMode !== undefined, 'known modes');
  const input = value(x);
  const aligned = flag(alignCorners, false);
  const { shape, dtype } = input;
  const volume = shape.length === 5;
  const simple = mode === 'bilinear' && paddingMode === 'zeros' && typeof shape[1] === 'number' && dtype === 'float32';
  require(simple || !volume, 'trilinear sampling of volumes in float32 with zeros outside');
  if (simple && (volume || (shape[1] as number) >= ROWS_FROM)) return sampleRows(b, input, value(grid), aligned);
  return b.op('GridSample', [b.name(input), b.name(value(grid))], {
    mode,
    padding_mode: paddingMode,
    align_corners: aligned ? 1 : 0,
  });
};

/** Channels from which on pictures are sampled by rows. */
const ROWS_FROM = 16;

/** Of the element before or after each place along one side: its number, and its share, 0 for one outside. */
type Neighbour = { index: string; share: string };

/**
 * Linear sampling [N, C, H, W], [N, h, w, 2] -> [N, C, h, w], and of volumes [N, C, D, H, W], [N, d, h, w, 3] ->
 * [N, C, d, h, w], with zeros outside, as the weighted sum of the four or eight elements around, each gathered as a row of all its
 * channels. ONNX Runtime's GridSample goes through channels number by number on processors: of 128 channels at 64 x 64 it takes
 * 3.4 times as long. Of volumes it knows nothing before version 20 of the operators.
 */
function sampleRows(b: OnnxBuilder, input: GraphValue, grid: GraphValue, alignCorners: boolean): string {
  const [count, channels, ...sizes] = input.shape as [Size, number, ...Size[]];
  const rank = sizes.length;
  const one = b.floats(1);
  const whole = (size: Size): string => b.cast(b.scalar(size, 'int64'), 'int32'); // graphics processors know no int64
  const along = (coordinate: number, size: Size): Neighbour[] => {
    const last = b.op('Sub', [b.scalar(size, 'float32'), one]);
    const from0 = b.op('Mul', [
      b.op('Add', [b.op('Gather', [b.name(grid), b.ints(coordinate)], { axis: rank + 1 }), one]), // [N, (d,) h, w]
      b.op('Mul', [alignCorners ? last : b.scalar(size, 'float32'), b.floats(0.5)]),
    ]);
    const place = alignCorners ? from0 : b.op('Sub', [from0, b.floats(0.5)]);
    const before = b.op('Floor', [place]);
    const beyond = b.op('Sub', [place, before]);
    const neighbours = [
      { element: before, part: b.op('Sub', [one, beyond]) },
      { element: b.op('Add', [before, one]), part: beyond },
    ];
    return neighbours.map(({ element, part }) => {
      const inside = b.op('Clip', [element, b.floats(0), last]);
      const isInside = b.cast(b.op('Equal', [element, inside]), 'float32');
      return { index: b.cast(inside, 'int32'), share: b.op('Mul', [part, isInside]) };
    });
  };
  // Sides from the outermost, as the input has them; the grid's coordinates come the other way around: x first.
  const sides = sizes.map((size, i) => along(rank - 1 - i, size));
  const channelsLast = [0, ...sizes.map((_, i) => i + 2), 1];
  const rows = b.op('Reshape', [b.op('Transpose', [b.name(input)], { perm: channelsLast }), b.ints([-1, channels])]); // [N (D) H W, C]
  const perInput = sizes.map(whole).reduce((product, size) => b.op('Mul', [product, size]));
  const number = b.cast(b.op('Range', [b.ints(0), b.scalar(count, 'int64'), b.ints(1)]), 'int32');
  const first = b.op('Reshape', [b.op('Mul', [number, perInput]), b.ints([-1, ...sizes.map(() => 1)])]); // [N, 1, 1(, 1)]
  const corners = sides.slice(1).reduce(
    (outer, side, i) =>
      outer.flatMap(({ index, share }) =>
        side.map((inner) => ({
          index: b.op('Add', [b.op('Mul', [index, whole(sizes[i + 1]!)]), inner.index]),
          share: b.op('Mul', [share, inner.share]),
        })),
      ),
    sides[0]!,
  );
  const parts = corners.map(({ index, share }) => {
    const gathered = b.op('Gather', [rows, b.op('Add', [index, first])], { axis: 0 }); // [N, (d,) h, w, C]
    return b.op('Mul', [gathered, b.op('Unsqueeze', [share, b.ints([rank + 1])])]);
  });
  const sum = parts.reduce((before, part) => b.op('Add', [before, part]));
  return b.op('Transpose', [sum], { perm: [0, rank + 1, ...sizes.map((_, i) => i + 1)] });
}
