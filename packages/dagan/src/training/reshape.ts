// Faces that no one has: both frames of a pair deformed alike, so that few people teach the shapes of many.
import { cat, noGrad, type Tensor, tidy } from '@dagan/libtorch';
import { type DeformationOptions, ThinPlateSpline } from '../geometry/thin-plate-spline.js';
import type { FramePair } from './animation-objective.js';

/** How many pairs are deformed, and how strongly. */
export type ReshapeOptions = DeformationOptions & {
  /**
   * Part of every rank's batch, 0 to 1, rounded to whole pairs. The others stay as they are to the last bit, for bent
   * pictures are a little blurred.
   */
  share: number;
};

/**
 * Deforms the first pairs of a batch (whose order is random), each in its own way, with libtorch's random numbers. All
 * tensors of the result belong to the caller's scope; where nothing is bent they are those that were given.
 */
export function reshapePairs(pairs: FramePair, { share, ...deformation }: ReshapeOptions): FramePair {
  const { source, driving, regions } = pairs;
  const count = source.size(0);
  const bent = Math.round(share * count);
  if (bent === 0) return pairs;
  return tidy(() =>
    noGrad(() => {
      const spline = ThinPlateSpline.random(bent, deformation, { device: source.device });
      const bend = (frames: Tensor): Tensor =>
        cat([spline.transformFrame(frames.narrow(0, 0, bent)), frames.narrow(0, bent, count - bent)]);
      return { source: bend(source), driving: bend(driving), regions: regions && bend(regions) };
    }),
  );
}
