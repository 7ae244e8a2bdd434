// Reconstruction of held-out pairs: the driving frame rebuilt from the source and the driving frame's own keypoints.
import { noGrad, tidy } from '@dagan/libtorch';
import { batchOn, freeBatch } from '../batches/batches.js';
import { RankMeans } from '../ranks/rank-means.js';
import type { TrainingPlace } from '../ranks/ranks.js';
import type { AnimationObjective } from './objective.js';
import type { FramePair } from './pair.js';

export type ReconstructionResult = {
  /** Mean absolute difference of colours in [0, 1]. */
  l1: number;
  /** The same of the source as it is: what copying it instead would give. */
  copied: number;
  /** Peak signal-to-noise ratio in dB, the mean over pictures. */
  psnr: number;
  /** Pictures compared. */
  samples: number;
};

/**
 * Compares over the pairs of all ranks. The batches are freed.
 *
 * @param pairs this rank's batches
 * @throws TrainingSetupError if there are no pairs
 */
export async function evaluateReconstruction(
  objective: AnimationObjective,
  pairs: AsyncIterable<FramePair>,
  place: TrainingPlace,
): Promise<ReconstructionResult> {
  const results = new RankMeans(['l1', 'copied', 'psnr']);
  for await (const batch of pairs) {
    tidy(() =>
      noGrad(() => {
        const { source, driving } = batchOn(batch, place.device);
        const { prediction } = objective.reconstruct({ source, driving }).generated;
        const difference = prediction.to({ dtype: 'float32' }).sub(driving);
        const absolute = difference.abs().mean([1, 2, 3]).toFloat32Array(); // [N]
        const copied = source.sub(driving).abs().mean([1, 2, 3]).toFloat32Array(); // [N]
        const squared = difference.square().mean([1, 2, 3]).toFloat32Array(); // [N]
        for (const [i, error] of squared.entries()) {
          results.add({ l1: absolute[i]!, copied: copied[i]!, psnr: -10 * Math.log10(Math.max(error, 1e-10)) });
        }
      }),
    );
    freeBatch(batch);
  }
  const { means, samples } = results.over(place);
  return { ...means, samples };
}
