// The discriminator that judges frames of systems with hinge losses (Wang et al., CVPR 2021): DaGAN's without keypoints, with spectral norms.
import { MultiScaleDiscriminator } from '../../models/discriminator.js';
import type { ObjectiveSetup } from './system-objective.js';

/**
 * @param blockExpansion of the generator; as wide as it: the published widths for the published model
 * @returns null if no loss of a discriminator has a weight
 */
export function patchJudge(
  { config: { weights }, device }: ObjectiveSetup,
  blockExpansion: number,
): MultiScaleDiscriminator | null {
  if (weights.generatorAdversarial === 0 && weights.featureMatching === 0) return null;
  const widths = { blockExpansion: blockExpansion / 2, maxFeatures: 8 * blockExpansion };
  return new MultiScaleDiscriminator({ ...widths, keypoints: 0, spectralNorm: true }).to({ device });
}
