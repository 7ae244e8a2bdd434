// The distance that most terms are made of.
import type { Tensor } from '@dagan/libtorch';
import { widened } from '../geometry/precision.js';

/** Mean absolute difference of two tensors of one shape -> []. */
export function meanAbsoluteDifference(a: Tensor, b: Tensor): Tensor {
  return widened(a).sub(widened(b)).abs().mean();
}
