// Shapes of the results of operators that take most of a network's time.
import type { Argument } from '../operator.js';
import { Tensor } from '../tensor.js';

/** Shape of what a convolution or matrix product gives; undefined for other operators and unusual arguments. */
export function costlyResult(operator: string, args: readonly Argument[]): number[] | undefined {
  const [first, second] = args;
  if (!(first instanceof Tensor && second instanceof Tensor)) return undefined;
  if (operator === 'aten::conv2d') return convolved(first.shape, second.shape, args.slice(3));
  if (operator === 'aten::matmul' || operator === 'aten::bmm') return multiplied(first.shape, second.shape);
  return undefined;
}

/** @param options stride, padding and dilation, as pairs */
function convolved(
  input: readonly number[],
  weight: readonly number[],
  options: readonly Argument[],
): number[] | undefined {
  const [stride, padding, dilation] = options;
  if (!Array.isArray(stride) || !Array.isArray(padding) || !Array.isArray(dilation) || input.length !== 4)
    return undefined;
  const side = (i: 0 | 1): number => {
    const covered = (dilation[i] as number) * (weight[2 + i]! - 1) + 1;
    return Math.floor((input[2 + i]! + 2 * (padding[i] as number) - covered) / (stride[i] as number)) + 1;
  };
  return [input[0]!, weight[0]!, side(0), side(1)];
}

/** Of two stacks of matrices, whose leading dimensions broadcast. */
function multiplied(a: readonly number[], b: readonly number[]): number[] | undefined {
  if (a.length < 2 || b.length < 2 || a.at(-1) !== b.at(-2)) return undefined;
  const rank = Math.max(a.length, b.length) - 2;
  const leading = Array.from({ length: rank }, (_, i) =>
    Math.max(a[a.length - 2 - rank + i] ?? 1, b[b.length - 2 - rank + i] ?? 1),
  );
  return [...leading, a.at(-2)!, b.at(-1)!];
}
