// A model in use: the same function with fewer and larger steps, in the arithmetic that suits the processor.
import { type nn, noGrad } from '@dagan/libtorch';
import type { DaGAN } from '../dagan.js';
import { SpadeDecoder } from '../spade-decoder.js';

/** A module that knows a faster form of itself for use without training. */
type Fusible = nn.Module & { fuse(): void };

const isFusible = (module: nn.Module): module is Fusible =>
  'fuse' in module && typeof (module as { fuse: unknown }).fuse === 'function';

/** Arithmetic of convolutions and matrix products. */
export type Precision = 'float32' | 'bfloat16';

/**
 * Prepares a model for use, in place: folds batch norms into convolutions, replaces convolutions by cheaper ones that
 * compute the same, and lays its weights out for speed. It can no longer be trained or saved afterwards.
 *
 * With `bfloat16` the generator computes in 16 bits, which is most of the work. In float32 stay the depth network and the
 * keypoint detector, because a face trembles if its keypoints do; the sampling of the source's features, softmax, and
 * whatever turns into coordinates; and the SPADE decoder, whose normalisation by its own features carries rounding on
 * from block to block (measured: 37 dB against float32, where the residual decoder keeps 50).
 */
export function prepareForInference(
  model: DaGAN,
  { precision = 'float32', device = 'cpu' }: { precision?: Precision; device?: string } = {},
): DaGAN {
  model.eval().requiresGrad_(false);
  noGrad(() => {
    for (const module of [...model.namedModules()].map(([, found]) => found)) if (isFusible(module)) module.fuse();
  });
  model.to({ device, memoryFormat: 'channels_last' });
  if (precision === 'float32') return model;
  const { generator } = model;
  generator.to({ dtype: precision });
  const { down, mask, occlusion } = generator.denseMotionNetwork;
  const exact = [down, mask, occlusion, ...(generator.decoder instanceof SpadeDecoder ? [generator.decoder] : [])];
  for (const part of exact) part?.to({ dtype: 'float32' });
  return model;
}
