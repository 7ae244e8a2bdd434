// Operators that rearrange elements or make new ones.
import type { DType } from '../../dtype.js';
import { type GraphArgument, GraphValue } from '../graph.js';
import { difference, ratio, type Size, sameSize } from '../size.js';
import { axis, number, numbers, require, size, value, values } from './arguments.js';
import type { Lowering, OnnxBuilder } from './builder.js';

/** "As far as it goes" for Slice. */
const END = Number.MAX_SAFE_INTEGER;

/**
 * A shape for Reshape. 0 keeps the input's size at the same place, -1 is whatever remains; sizes are computed only if
 * these two do not do.
 */
function targetShape(b: OnnxBuilder, input: GraphValue, shape: readonly Size[]): string {
  const plain = shape.map((target, i) => {
    if (typeof target === 'number') return target;
    return i < input.shape.length && sameSize(target, input.shape[i]!) ? 0 : -1;
  });
  return plain.filter((target) => target === -1).length <= 1 ? b.ints(plain) : b.sizes(shape);
}

/** Whatever the operator, the result's shape says it all. */
const reshape: Lowering = (b, [x], [out]) => {
  const input = value(x);
  const same =
    input.shape.length === out!.shape.length && input.shape.every((each, i) => sameSize(each, out!.shape[i]!));
  return same ? b.name(input) : b.op('Reshape', [b.name(input), targetShape(b, input, out!.shape)]);
};

const transposed = (b: OnnxBuilder, x: GraphArgument, perm: readonly number[]): string =>
  perm.every((from, to) => from === to) ? b.name(value(x)) : b.op('Transpose', [b.name(value(x))], { perm });

const permute: Lowering = (b, [x, dims]) => {
  const rank = value(x).shape.length;
  return transposed(
    b,
    x,
    numbers(dims).map((dim) => axis(dim, rank)),
  );
};

const transpose: Lowering = (b, [x, dim0, dim1]) => {
  const perm = value(x).shape.map((_, i) => i);
  const [from, to] = [axis(dim0, perm.length), axis(dim1, perm.length)];
  [perm[from], perm[to]] = [perm[to]!, perm[from]!];
  return transposed(b, x, perm);
};

/** Repeats dimensions of size 1. ONNX's Expand keeps a size where 1 is asked for, so only new sizes must be known. */
const expand: Lowering = (b, [x], [out]) => {
  const input = value(x);
  const added = out!.shape.length - input.shape.length;
  const wanted = out!.shape.map((target, i) => (i >= added && sameSize(target, input.shape[i - added]!) ? 1 : target));
  return wanted.every((target) => target === 1) && added === 0
    ? b.name(input)
    : b.op('Expand', [b.name(input), b.sizes(wanted)]);
};

const repeat: Lowering = (b, [x, times], [out]) => {
  const input = value(x);
  const missing = out!.shape.length - input.shape.length;
  const counts = (times as readonly GraphArgument[]).map((each) => size(each));
  const full =
    missing > 0
      ? b.op('Unsqueeze', [b.name(input), b.ints(Array.from({ length: missing }, (_, i) => i))])
      : b.name(input);
  return b.op('Tile', [full, b.sizes(counts)]);
};

/** Elements start, start + step, ... before end along an axis. Ends near the last element are counted from there. */
function sliced(b: OnnxBuilder, input: GraphValue, at: number, start: Size, end: Size, step = 1): string {
  const whole = input.shape[at]!;
  const beforeEnd = difference(end, whole);
  if (start === 0 && beforeEnd === 0 && step === 1) return b.name(input);
  const place = (position: Size): Size => {
    if (typeof position === 'number') return position;
    const fromEnd = difference(position, whole);
    return typeof fromEnd === 'number' && fromEnd < 0 ? fromEnd : position;
  };
  const stop = typeof beforeEnd === 'number' && beforeEnd >= 0 ? END : place(end);
  return b.op('Slice', [b.name(input), b.sizes([place(start)]), b.sizes([stop]), b.ints([at]), b.ints([step])]);
}

/** A position counted from the front, and no further than the end. */
function position(arg: GraphArgument, whole: Size, fallback: Size): Size {
  const given = size(arg, fallback);
  if (typeof given !== 'number') return given;
  if (given < 0) return difference(given, difference(0, whole));
  return typeof whole === 'number' ? Math.min(given, whole) : given >= END ? whole : given;
}

const slice: Lowering = (b, [x, dim, start, end, step]) => {
  const input = value(x);
  const at = axis(dim, input.shape.length, 0);
  const whole = input.shape[at]!;
  return sliced(b, input, at, position(start, whole, 0), position(end, whole, whole), number(step, 1));
};

const narrow: Lowering = (b, [x, dim, start, length]) => {
  const input = value(x);
  const at = axis(dim, input.shape.length);
  const from = position(start, input.shape[at]!, 0);
  return sliced(b, input, at, from, difference(size(length), difference(0, from)));
};

const select: Lowering = (b, [x, dim, index]) => {
  const input = value(x);
  return b.op('Gather', [b.name(input), b.scalar(size(index), 'int64')], { axis: axis(dim, input.shape.length) });
};

const indexSelect: Lowering = (b, [x, dim, index]) => {
  const input = value(x);
  return b.op('Gather', [b.name(input), b.name(value(index))], { axis: axis(dim, input.shape.length) });
};

/** The parts that LibTorch has made, whose sizes are known: equal ones need no sizes in ONNX. */
function parts(b: OnnxBuilder, input: GraphValue, at: number, outputs: readonly GraphValue[]): readonly string[] {
  const lengths = outputs.map(({ shape }) => shape[at]!);
  if (lengths.length === 1) return [b.name(input)];
  const equal = lengths.every((length) => sameSize(length, lengths[0]!));
  return b.ops('Split', equal ? [b.name(input)] : [b.name(input), b.sizes(lengths)], { axis: at }, outputs.length);
}

const split: Lowering = (b, [x, , dim], outputs) => parts(b, value(x), axis(dim, value(x).shape.length, 0), outputs);

const unbind: Lowering = (b, [x, dim], outputs) => {
  const input = value(x);
  const at = axis(dim, input.shape.length, 0);
  return outputs.map((_, i) => b.op('Gather', [b.name(input), b.ints(i)], { axis: at }));
};

const cat: Lowering = (b, [list, dim], [out]) => {
  const inputs = values(list).map((each) => b.as(each, out!.dtype));
  return inputs.length === 1 ? inputs[0]! : b.op('Concat', inputs, { axis: axis(dim, out!.shape.length, 0) });
};

const stack: Lowering = (b, [list, dim], [out]) => {
  const at = axis(dim, out!.shape.length, 0);
  const inputs = values(list).map((each) => b.op('Unsqueeze', [b.as(each, out!.dtype), b.ints([at])]));
  return b.op('Concat', inputs, { axis: at });
};

const flip: Lowering = (b, [x, dims]) => {
  const axes = numbers(dims);
  const all = (entry: number): string => b.ints(axes.map(() => entry));
  return b.op('Slice', [b.name(value(x)), all(-1), all(-END), b.ints(axes), all(-1)]);
};

/** 0, 1, ... before `end`; ONNX's Range knows no float16. */
const arange: Lowering = (b, [end], [out]) => {
  const dtype = out!.dtype === 'float16' ? 'float32' : out!.dtype;
  const range = b.op('Range', [b.scalar(0, dtype), b.scalar(size(end), dtype), b.scalar(1, dtype)]);
  return dtype === out!.dtype ? range : b.cast(range, out!.dtype);
};

/** A tensor of one number everywhere. */
const filled =
  (content: (args: readonly GraphArgument[]) => number): Lowering =>
  (b, args, [out]) =>
    b.op('Expand', [b.scalar(content(args), out!.dtype), b.sizes(out!.shape)]);

/** Elements of matrices [..., size^2] by their numbers, row by row. */
type Elements = (order: readonly number[]) => string;

/** The transposed cofactors of 2x2 matrices: [a b; c d] -> [d -b; -c a]. */
const adjugate2 = (b: OnnxBuilder, taken: Elements, dtype: DType): string =>
  b.op('Mul', [taken([3, 1, 2, 0]), b.floats([1, -1, -1, 1], dtype)]);

/** The same of 3x3 matrices: each a difference of two products. */
function adjugate3(b: OnnxBuilder, taken: Elements): string {
  const product = (x: readonly number[], y: readonly number[]): string => b.op('Mul', [taken(x), taken(y)]);
  return b.op('Sub', [
    product([4, 2, 1, 5, 0, 2, 3, 1, 0], [8, 7, 5, 6, 8, 3, 7, 6, 4]),
    product([5, 1, 2, 3, 2, 0, 4, 0, 1], [7, 8, 4, 8, 6, 5, 6, 7, 3]),
  ]);
}

/** Of 2x2 and 3x3 matrices: the transposed cofactors over the determinant. */
const inverse: Lowering = (b, [x], [out]) => {
  const input = value(x);
  const size = [2, 3].find((each) => ratio(input.shape.at(-1)!, each) === 1);
  require(size !== undefined, '2x2 and 3x3 matrices');
  const flat = [...input.shape.slice(0, -2), size ** 2];
  const elements = b.op('Reshape', [b.name(input), targetShape(b, input, flat)]);
  const taken: Elements = (order) => b.op('Gather', [elements, b.ints(order)], { axis: -1 });
  const adjugate = size === 2 ? adjugate2(b, taken, input.dtype) : adjugate3(b, taken);
  const columns = Array.from({ length: size ** 2 }, (_, i) => (i % size) * size + Math.floor(i / size));
  const cofactors = b.op('Gather', [adjugate, b.ints(columns)], { axis: -1 });
  // Every row with its own cofactors gives the determinant.
  const times = b.op('ReduceSum', [b.op('Mul', [elements, cofactors]), b.ints([-1])], { keepdims: 1 });
  const scaled = b.op('Div', [b.op('Mul', [adjugate, b.scalar(size, input.dtype)]), times]);
  const restored = new GraphValue(flat, input.dtype);
  return b.op('Reshape', [scaled, targetShape(b, restored, out!.shape)]);
};

const matmul: Lowering = (b, [x, y]) => b.op('MatMul', [b.name(value(x)), b.name(value(y))]);

/** x W^T + bias */
const linear: Lowering = (b, [x, weight, bias]) => {
  const product = b.op('MatMul', [b.name(value(x)), b.op('Transpose', [b.name(value(weight))], { perm: [1, 0] })]);
  return bias instanceof GraphValue ? b.op('Add', [product, b.name(bias)]) : product;
};

export const SHAPES: Readonly<Record<string, Lowering>> = {
  'aten::reshape': reshape,
  'aten::view': reshape,
  'aten::flatten.using_ints': reshape,
  'aten::unsqueeze': reshape,
  'aten::squeeze.dim': reshape,
  'aten::permute': permute,
  'aten::transpose.int': transpose,
  'aten::expand': expand,
  'aten::repeat': repeat,
  'aten::slice.Tensor': slice,
  'aten::narrow': narrow,
  'aten::select.int': select,
  'aten::index_select': indexSelect,
  'aten::split.Tensor': split,
  'aten::chunk': split,
  'aten::unbind.int': unbind,
  'aten::cat': cat,
  'aten::stack': stack,
  'aten::flip': flip,
  'aten::arange': arange,
  'aten::zeros': filled(() => 0),
  'aten::zeros_like': filled(() => 0),
  'aten::empty.memory_format': filled(() => 0),
  'aten::ones': filled(() => 1),
  'aten::ones_like': filled(() => 1),
  'aten::full': filled(([, content]) => number(content)),
  'aten::linalg_inv': inverse,
  'aten::matmul': matmul,
  'aten::bmm': matmul,
  'aten::mv': matmul,
  'aten::dot': matmul,
  'aten::linear': linear,
};
