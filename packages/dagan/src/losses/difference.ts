// The distance that most terms are made of.
import { F, type Tensor } from '@dagan/libtorch';
import { widened } from '../tensors/precision.js';

/** Mean absolute difference of two tensors of one shape, each place times its importance -> []. */
export function meanAbsoluteDifference(a: Tensor, b: Tensor, importance?: Tensor): Tensor {
  if (!importance) return F.meanAbsoluteDifference(a, b);
  return widened(a).sub(widened(b)).abs().mul(importance).mean();
}
