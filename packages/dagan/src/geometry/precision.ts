// Full precision for geometry and losses inside networks that run in 16 bits: with 8 bits of mantissa a pixel's coordinate
// would be off by up to a pixel.
import { autocast, type Tensor } from '@dagan/libtorch';

/** The tensor in float32, if it is in 16 bits. */
export function widened(x: Tensor): Tensor {
  return x.dtype === 'float64' ? x : x.to({ dtype: 'float32' });
}

/** Runs `body`, which computes on the device of `like`, without autocast's 16-bit matrix products. */
export function inFullPrecision<T>(like: Tensor, body: () => T): T {
  return autocast({ device: like.device, enabled: false }, body);
}
