// Initial values of weights, the ones that PyTorch's layers start from.
import { empty } from '../creation.js';
import type { Tensor } from '../tensor.js';

/** Inputs that one output element sees: the product of all sizes but the first. */
const fanIn = (shape: readonly number[]): number => shape.slice(1).reduce((product, size) => product * size, 1);

/**
 * Kaiming-uniform weights as convolutions and linear layers start with: evenly from +-sqrt(6 / ((1 + a^2) fan_in)) with
 * a = sqrt(5) (He et al., "Delving Deep into Rectifiers", 2015).
 */
export function kaimingUniform(shape: readonly number[]): Tensor {
  const bound = Math.sqrt(1 / fanIn(shape));
  return empty(shape).uniform_(-bound, bound);
}

/** Biases that go with `kaimingUniform` weights of the given shape. */
export function biasUniform(weightShape: readonly number[]): Tensor {
  const bound = Math.sqrt(1 / fanIn(weightShape));
  return empty([weightShape[0]!]).uniform_(-bound, bound);
}
