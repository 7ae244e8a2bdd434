// New tensors, and tensors put together from others.
import type { DType } from './dtype.js';
import { run, runMany } from './operator.js';
import type { Operand, Tensor } from './tensor.js';

/** Element type (float32 if not given) and place (the CPU if not given) of a new tensor. */
export type TensorOptions = { dtype?: DType; device?: string };

const options = ({ dtype = 'float32', device = 'cpu' }: TensorOptions) => ({ dtype, device });

export function empty(shape: readonly number[], where: TensorOptions = {}): Tensor {
  return run('aten::empty.memory_format', [shape], options(where));
}

export function zeros(shape: readonly number[], where: TensorOptions = {}): Tensor {
  return run('aten::zeros', [shape], options(where));
}

export function ones(shape: readonly number[], where: TensorOptions = {}): Tensor {
  return run('aten::ones', [shape], options(where));
}

export function full(shape: readonly number[], value: number, where: TensorOptions = {}): Tensor {
  return run('aten::full', [shape, value], options(where));
}

/** 0, 1, ... length - 1 */
export function arange(length: number, where: TensorOptions = {}): Tensor {
  return run('aten::arange', [length], options(where));
}

/** `steps` numbers from `start` to `end`, both included. */
export function linspace(start: number, end: number, steps: number, where: TensorOptions = {}): Tensor {
  return run('aten::linspace', [start, end, steps], options(where));
}

/** The n x n identity matrix. */
export function eye(n: number, where: TensorOptions = {}): Tensor {
  return run('aten::eye', [n], options(where));
}

/** Numbers drawn evenly from [0, 1). */
export function rand(shape: readonly number[], where: TensorOptions = {}): Tensor {
  return run('aten::rand', [shape], options(where));
}

/** Normally distributed numbers, mean 0 and variance 1. */
export function randn(shape: readonly number[], where: TensorOptions = {}): Tensor {
  return run('aten::randn', [shape], options(where));
}

/** Zeros with the shape, dtype and device of another tensor. */
export function zerosLike(like: Tensor): Tensor {
  return run('aten::zeros_like', [like]);
}

/** Ones with the shape, dtype and device of another tensor. */
export function onesLike(like: Tensor): Tensor {
  return run('aten::ones_like', [like]);
}

/** Joins tensors along a dimension that they have. */
export function cat(tensors: readonly Tensor[], dim = 0): Tensor {
  return run('aten::cat', [tensors, dim]);
}

/** Joins tensors along a new dimension. */
export function stack(tensors: readonly Tensor[], dim = 0): Tensor {
  return run('aten::stack', [tensors, dim]);
}

/** Coordinate grids of one-dimensional tensors; the first tensor runs along the first dimension ("ij"). */
export function meshgrid(...axes: Tensor[]): Tensor[] {
  return runMany('aten::meshgrid.indexing', [axes], { indexing: 'ij' });
}

/** `condition ? ifTrue : ifFalse`, element by element. */
export function where(condition: Tensor, ifTrue: Operand, ifFalse: Operand): Tensor {
  const overload =
    typeof ifTrue === 'number'
      ? typeof ifFalse === 'number'
        ? 'Scalar'
        : 'ScalarSelf'
      : typeof ifFalse === 'number'
        ? 'ScalarOther'
        : 'self';
  return run(`aten::where.${overload}`, [condition, ifTrue, ifFalse]);
}
