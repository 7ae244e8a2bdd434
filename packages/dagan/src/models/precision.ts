// Mixed precision without autocast: parts of a model may hold 16-bit weights, others float32.
import type { nn, Tensor } from '@dagan/libtorch';

/** Converts to the dtype of a layer's weights, where two parts of a model meet. Costs nothing where they are the same. */
export function matching(x: Tensor, layer: nn.Conv2d): Tensor {
  return x.dtype === layer.weight.dtype ? x : x.to({ dtype: layer.weight.dtype });
}
