// Perceptual loss L_P of Eq. 10: generated and real frames must look alike to a network that knows pictures
// (Johnson et al., "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", 2016).
import { noGrad, stack, type Tensor, tensor, tidy } from '@dagan/libtorch';
import type { PerceptualNetwork } from '../models/perceptual/vgg19.js';
import { meanAbsoluteDifference } from './difference.js';
import type { Pyramid } from './pyramid.js';

/**
 * `mean |V_l(generated) - V_l(real)|` for every scale of the pyramids and every layer l, over what the network says is typical of
 * the layer -> [scales, layers]. The real frame gets no gradient.
 *
 * @param generated pyramid of the generated frame
 * @param real pyramid of the driving frame, with the same scales
 */
export function perceptualDifferences(network: PerceptualNetwork, generated: Pyramid, real: Pyramid): Tensor {
  return tidy(() => {
    const rows = [...generated].map(([scale, image]) => {
      const target = real.get(scale);
      if (!target) throw new RangeError(`the real frame's pyramid lacks scale ${scale}; it has ${[...real.keys()]}`);
      const expected = noGrad(() => network.features(target.detach()));
      return stack(network.features(image).map((map, i) => meanAbsoluteDifference(map, expected[i]!)));
    });
    const differences = stack(rows);
    return network.typical ? differences.div(weightsLike(network.typical, differences)) : differences;
  });
}

/**
 * `L_P = sum over scales and layers of w_l mean |V_l(generated) - V_l(real)|` -> [].
 *
 * @param layerWeights w_l, 1 for all if not given
 */
export function perceptualLoss(
  network: PerceptualNetwork,
  generated: Pyramid,
  real: Pyramid,
  { layerWeights }: { layerWeights?: readonly number[] } = {},
): Tensor {
  return tidy(() => {
    const differences = perceptualDifferences(network, generated, real); // [scales, layers]
    return layerWeights ? differences.mul(weightsLike(layerWeights, differences)).sum() : differences.sum();
  });
}

function weightsLike(weights: readonly number[], differences: Tensor): Tensor {
  const layers = differences.size(1);
  if (weights.length !== layers) {
    throw new RangeError(`${weights.length} layer weights for a network of ${layers} feature maps`);
  }
  return tensor([...weights]).to({ device: differences.device });
}
