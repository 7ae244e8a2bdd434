// Mixed precision: in use, parts of a model may hold 16-bit weights, others float32; in training, autocast computes in 16 bits
// what is not excepted here.
import { autocast, type nn, type Tensor } from '@dagan/libtorch';

/** Converts to the dtype of a layer's weights, where two parts of a model meet. Costs nothing where they are the same. */
export function matching(x: Tensor, layer: nn.Conv2d): Tensor {
  return x.dtype === layer.weight.dtype ? x : x.to({ dtype: layer.weight.dtype });
}

/** The tensor in float32, if it is in 16 bits. */
export function widened(x: Tensor): Tensor {
  return x.dtype === 'float64' ? x : x.to({ dtype: 'float32' });
}

/** Runs `body`, from which coordinates or disparity come, without autocast's 16 bits, in which a face trembles. */
export function exactly<T>(like: Tensor, body: () => T): T {
  return autocast({ device: like.device, enabled: false }, body);
}
