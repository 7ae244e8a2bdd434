// The distance that most terms are made of.
import type { Tensor } from '@dagan/libtorch';
import { widened } from '../tensors/precision.js';

/** Mean absolute difference of two tensors of one shape, each place times its importance -> []. */
export function meanAbsoluteDifference(a: Tensor, b: Tensor, importance?: Tensor): Tensor {
  const difference = widened(a).sub(widened(b)).abs();
  return (importance ? difference.mul(importance) : difference).mean();
}
