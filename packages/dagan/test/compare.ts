// Comparisons of tensors, and of gradients with finite differences.
import assert from 'node:assert/strict';
import { grad, type nn, noGrad, type Tensor, tensor, tidy } from '@dagan/libtorch';

/** The largest absolute difference of two tensors of one shape. */
export function largestDifference(actual: Tensor, expected: Tensor): number {
  assert.deepEqual(actual.shape, expected.shape);
  return tidy(() => actual.sub(expected).abs().amax().item());
}

/** Fails if a tensor is further than `tolerance` from the expected one anywhere, or not a number. */
export function assertClose(actual: Tensor, expected: Tensor | number[], tolerance: number, what = 'tensor'): void {
  const target = Array.isArray(expected) ? tensor(expected, { dtype: actual.dtype }) : expected;
  const difference = largestDifference(actual, target);
  assert.ok(difference <= tolerance, `${what}: off by ${difference}, allowed is ${tolerance}`);
}

/** Fails if a tensor is further from the expected one anywhere than a fraction of that one's range. */
export function assertOfRange(actual: Tensor, expected: Tensor, fraction: number, what = 'tensor'): void {
  const range = tidy(() => expected.amax().item() - expected.amin().item());
  assertClose(actual, expected, fraction * range, what);
}

/** Fails if two numbers differ by more than `tolerance` of the expected one. */
export function assertRelative(actual: number, expected: number, tolerance: number, what = 'value'): void {
  const difference = Math.abs(actual - expected);
  assert.ok(difference <= tolerance * Math.abs(expected), `${what}: ${actual} instead of ${expected}`);
}

/** Names and shapes of a module's tensors. */
export function shapesOf(module: nn.Module, prefix = ''): Record<string, number[]> {
  return Object.fromEntries([...module.stateDict(prefix)].map(([name, value]) => [name, [...value.shape]]));
}

/** Numbers in [-1, 1] that look random and are the same in every run, as float64. */
export function scatter(shape: readonly number[], seed = 1): Tensor {
  const count = shape.reduce((product, size) => product * size, 1);
  const values = Float64Array.from({ length: count }, (_, i) => {
    const x = Math.sin((i + 1) * 12.9898 + seed * 78.233) * 43758.5453;
    return 2 * (x - Math.floor(x)) - 1;
  });
  return tensor(values, { shape });
}

/**
 * Fails if the gradient of a function of one number is not what central differences say, at up to 12 elements of each
 * input.
 *
 * @param inputs float64, away from kinks of the function
 */
export function assertGradients(f: (...inputs: Tensor[]) => Tensor, inputs: readonly Tensor[], tolerance = 1e-6): void {
  const leaves = inputs.map((input) => input.detach().clone().requiresGrad_());
  const gradients = grad([f(...leaves)], leaves);
  const step = 1e-6;
  for (const [i, input] of inputs.entries()) {
    const gradient = new Float64Array(gradients[i]!.contiguous().toTypedArray().buffer);
    const values = new Float64Array(input.contiguous().toTypedArray().buffer);
    const stride = Math.max(1, Math.floor(values.length / 12));
    for (let at = 0; at < values.length; at += stride) {
      const valueAt = (shift: number) =>
        tidy(() => {
          const moved = values.slice();
          moved[at] = moved[at]! + shift;
          const replaced = inputs.map((other, j) => (j === i ? tensor(moved, { shape: input.shape }) : other));
          return noGrad(() => f(...replaced).item());
        });
      const expected = (valueAt(step) - valueAt(-step)) / (2 * step);
      const difference = Math.abs(gradient[at]! - expected);
      const allowed = tolerance * Math.max(1, Math.abs(expected));
      assert.ok(
        difference <= allowed,
        `input ${i}, element ${at}: gradient ${gradient[at]}, by differences ${expected}`,
      );
    }
  }
}
