// Shapes of the results of operators that take most of a network's time.
import type { Argument } from '../operator.js';
import { Tensor } from '../tensor.js';

/** Shape of what a convolution or matrix product gives; undefined for other operators and unusual arguments. */
export function costlyResult(operator: string, args: readonly Argument[]): number[] | undefined {
  const [first, second] = args;
  if (!(first instanceof Tensor && second instanceof Tensor)) return undefined;
  if (operator === 'aten::conv2d' || operator === 'aten::conv3d')
    return convolved(first.shape, second.shape, args.slice(3));
  if (operator === 'aten::matmul' || operator === 'aten::bmm') return multiplied(first.shape, second.shape);
  return undefined;
}

/** @param options stride, padding and dilation, a number for each side */
function convolved(
  input: readonly number[],
  weight: readonly number[],
  options: readonly Argument[],
): number[] | undefined {
  const [stride, padding, dilation] = options;
  const sides = weight.slice(2);
  const lists = [stride, padding, dilation];
  const usual = lists.every((list) => Array.isArray(list) && list.length === sides.length);
  if (!usual || input.length !== weight.length) return undefined;
  const [steps, borders, spread] = lists as [number[], number[], number[]];
  const sizes = sides.map((kernel, i) => {
    const covered = spread[i]! * (kernel - 1) + 1;
    return Math.floor((input[2 + i]! + 2 * borders[i]! - covered) / steps[i]!) + 1;
  });
  return [input[0]!, weight[0]!, ...sizes];
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
