// A model in use, rearranged: the same function with fewer and larger steps.
import { nn, noGrad } from '@dagan/libtorch';

/** A module that knows a faster form of itself for use without training. */
type Fusible = nn.Module & { fuse(): void };

const isFusible = (module: nn.Module): module is Fusible =>
  'fuse' in module && typeof (module as { fuse: unknown }).fuse === 'function';

/**
 * Folds batch norms into convolutions and replaces convolutions by cheaper ones that compute the same, in place. The model
 * can no longer be trained or saved afterwards. Returns the model.
 */
export function fuse<M extends nn.Module>(model: M): M {
  noGrad(() => {
    for (const module of [...model.namedModules()].map(([, found]) => found)) if (isFusible(module)) module.fuse();
  });
  return model;
}
