// Reconstruction of held-out pairs: the driving frame rebuilt from the source and the driving frame's own keypoints.
import { type distributed, noGrad, tensor, tidy } from '@dagan/libtorch';
import type { AnimationObjective, FramePair } from './animation-objective.js';

export type EvaluationResult = {
  /** Mean absolute difference of colours in [0, 1]. */
  l1: number;
  /** Peak signal-to-noise ratio in dB, the mean over pictures. */
  psnr: number;
  /** Pictures compared. */
  pairs: number;
};

/**
 * Compares over the pairs of all ranks. The batches are freed.
 *
 * @param pairs this rank's batches
 * @throws RangeError if there are no pairs
 */
export async function evaluateReconstruction(
  objective: AnimationObjective,
  pairs: AsyncIterable<FramePair>,
  group: distributed.ProcessGroup | null = null,
): Promise<EvaluationResult> {
  const sums = [0, 0, 0]; // L1, PSNR, pairs
  for await (const batch of pairs) {
    tidy(() =>
      noGrad(() => {
        const { device } = objective.options;
        const [source, driving] = [batch.source.to({ device }), batch.driving.to({ device })];
        const { prediction } = objective.reconstruct({ source, driving }).generated;
        const difference = prediction.to({ dtype: 'float32' }).sub(driving);
        const absolute = difference.abs().mean([1, 2, 3]).toFloat32Array(); // [N]
        const squared = difference.square().mean([1, 2, 3]).toFloat32Array(); // [N]
        for (const [i, error] of squared.entries()) {
          sums[0]! += absolute[i]!;
          sums[1]! += -10 * Math.log10(Math.max(error, 1e-10));
          sums[2]! += 1;
        }
      }),
    );
    batch.source.dispose();
    batch.driving.dispose();
  }
  const [l1, psnr, count] = tidy(() => {
    const own = tensor(sums, { dtype: 'float64' });
    return [...(group?.allReduce(own) ?? own).toFloat32Array()];
  }) as [number, number, number];
  if (count === 0) throw new RangeError('there are no held-out pairs to evaluate on');
  return { l1: l1 / count, psnr: psnr / count, pairs: count };
}
