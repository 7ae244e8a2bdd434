// Identity losses of X2Face's second stage (Wiles et al., 2018, Section 3.3): a network that knows faces compares them. The paper
// takes VGGFace, whose weights may not be passed on; here it is `models/perceptual/identity.ts`.
import { noGrad, type Tensor, tidy } from '@dagan/libtorch';
import type { IdentityFeatures } from '../models/perceptual/identity.js';
import { meanAbsoluteDifference } from './difference.js';

/** Content: `sum over layers of mean |V_l(generated) - V_l(real)|` of frames of the same face -> []. The real one gets no gradient. */
export function identityContentLoss(network: IdentityFeatures, generated: Tensor, real: Tensor): Tensor {
  return tidy(() => {
    const expected = noGrad(() => network.features(real));
    return network
      .features(generated)
      .map((map, layer) => meanAbsoluteDifference(map, expected[layer]!))
      .reduce((sum, term) => sum.add(term));
  });
}

/** Whose face it is: `mean (1 - cos)` of the embeddings of frames that show other poses of one person -> []. */
export function identityLoss(network: IdentityFeatures, generated: Tensor, person: Tensor): Tensor {
  return tidy(() => {
    const expected = noGrad(() => network.embedding(person)); // [N, 1024]
    return network.embedding(generated).mul(expected).sum([1]).mean().rsub(1);
  });
}
