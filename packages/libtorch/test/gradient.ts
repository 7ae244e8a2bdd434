// Checks gradients against finite differences.
import assert from 'node:assert/strict';
import { grad, noGrad, type Tensor, tensor, tidy } from '../src/index.js';

/**
 * Asserts that the gradients of sum(f(inputs) * weights) equal central differences, element by element. Fixed irregular
 * weights keep errors from cancelling in the sum.
 *
 * @param inputs float64 tensors; `f` must be smooth near their values
 */
export function assertGradients(
  f: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  { step = 1e-6, tolerance = 1e-6 } = {},
): void {
  const weighted = (values: readonly Tensor[]): Tensor => {
    const output = f(...values);
    const weights = Float64Array.from({ length: output.numel }, (_, i) => Math.sin(1 + 1.7 * i));
    return output.mul(tensor(weights, { shape: output.shape })).sum();
  };
  tidy(() => {
    const leaves = inputs.map((input) => input.detach().clone().requiresGrad_());
    const gradients = grad([weighted(leaves)], leaves);
    inputs.forEach((input, which) => {
      const actual = gradients[which]!.contiguous().toTypedArray() as Float64Array;
      const values = input.contiguous().toTypedArray() as Float64Array;
      const at = (index: number, delta: number): number =>
        tidy(() =>
          noGrad(() => {
            const moved = values.slice();
            moved[index]! += delta;
            const replaced = inputs.map((other, i) => (i === which ? tensor(moved, { shape: input.shape }) : other));
            return weighted(replaced).item();
          }),
        );
      values.forEach((_, index) => {
        const expected = (at(index, step) - at(index, -step)) / (2 * step);
        const error = Math.abs(actual[index]! - expected);
        assert.ok(
          error <= tolerance * Math.max(1, Math.abs(expected)),
          `gradient of input ${which} at ${index} is ${actual[index]}, differences say ${expected}`,
        );
      });
    });
  });
}
