// Feature matching, the part of L_G in Eq. 10 that the published code adds: inside the discriminator generated frames should
// look like real ones (Wang et al., "High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs", 2018).
import { stack, type Tensor, tidy } from '@dagan/libtorch';
import type { Judgement } from '../models/discriminator.js';
import { meanAbsoluteDifference } from './difference.js';

/** The blocks' outputs in the discriminators of all scales. */
export type DiscriminatorFeatures = ReadonlyMap<number, Pick<Judgement, 'features'>>;

/** `mean |D_l(real) - D_l(generated)|` for every scale and block l -> [scales, blocks]. The real side gets no gradient. */
export function featureDifferences(real: DiscriminatorFeatures, generated: DiscriminatorFeatures): Tensor {
  return tidy(() => {
    const rows = [...generated].map(([scale, { features }]) => {
      const expected = real.get(scale)?.features;
      if (!expected) throw new RangeError(`the real frame was not judged at scale ${scale}`);
      return stack(features.map((map, i) => meanAbsoluteDifference(map, expected[i]!.detach())));
    });
    return stack(rows);
  });
}

/** `sum over scales and blocks of mean |D_l(real) - D_l(generated)|` -> []. */
export function featureMatchingLoss(real: DiscriminatorFeatures, generated: DiscriminatorFeatures): Tensor {
  return tidy(() => featureDifferences(real, generated).sum());
}
