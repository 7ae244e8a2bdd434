// A model in use: the same function with fewer and larger steps, in the arithmetic that suits the processor.
import { type nn, noGrad } from '@dagan/libtorch';
import type { AnimationModel } from '../animation-model.js';

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
 * With `bfloat16` most of the work is in 16 bits; each system says which parts stay in float32 (`lowerPrecision`).
 */
export function prepareForInference<Model extends AnimationModel>(
  model: Model,
  { precision = 'float32', device = 'cpu' }: { precision?: Precision; device?: string } = {},
): Model {
  model.eval().requiresGrad_(false);
  noGrad(() => {
    for (const module of [...model.namedModules()].map(([, found]) => found)) if (isFusible(module)) module.fuse();
  });
  model.to({ device, memoryFormat: 'channels_last' });
  if (precision === 'float32') return model;
  model.lowerPrecision(precision);
  return model;
}
