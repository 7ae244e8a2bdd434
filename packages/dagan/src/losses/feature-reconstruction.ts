// Feature reconstruction (Siarohin et al., "Animating Arbitrary Objects via Deep Motion Transfer", CVPR 2019, Eq. 9): Monkey-Net
// compares frames in the pixels and in every block of the discriminator, in place of a perceptual network.
import { type Tensor, tidy } from '@dagan/libtorch';
import type { Judgement } from '../models/discriminator.js';
import { meanAbsoluteDifference } from './difference.js';

/** Weights of the picture itself and of the discriminator's blocks, as published. */
export const RECONSTRUCTION_WEIGHTS: readonly number[] = [10, 10, 10, 10, 1];

/** `w_l mean |D_l(real) - D_l(generated)|` of every map l -> [] each. The real side gets no gradient. */
export function featureReconstruction(
  real: Pick<Judgement, 'features'>,
  generated: Pick<Judgement, 'features'>,
  weights: readonly number[] = RECONSTRUCTION_WEIGHTS,
): Tensor[] {
  const maps = generated.features.length;
  if (weights.length !== maps) throw new RangeError(`there are ${weights.length} weights for ${maps} maps of features`);
  return tidy(() =>
    generated.features.map((map, l) => meanAbsoluteDifference(map, real.features[l]!.detach()).mul(weights[l]!)),
  );
}
