// The distance that most terms are made of.
import type { Tensor } from '@dagan/libtorch';

/** The tensor in float32, if it is in 16 bits: where networks run in 16 bits, losses still do not. */
export function widened(x: Tensor): Tensor {
  return x.dtype === 'float64' ? x : x.to({ dtype: 'float32' });
}

/** Mean absolute difference of two tensors of one shape -> []. */
export function meanAbsoluteDifference(a: Tensor, b: Tensor): Tensor {
  return widened(a).sub(widened(b)).abs().mean();
}
