// Faces that no one has: both frames of a pair deformed alike, so that few people teach the shapes of many.
import { noGrad, type Tensor, tidy } from '@dagan/libtorch';
import { type DeformationOptions, ThinPlateSpline } from '../../geometry/thin-plate-spline.js';
import { TrainingSetupError } from '../run/setup-error.js';
import { type FramePair, mapFirst, moveLandmarks } from './pair.js';

/** How many pairs are deformed, and how strongly. */
export type ReshapeOptions = DeformationOptions & {
  /**
   * Part of every rank's batch, 0 to 1, rounded to whole pairs. The others stay as they are to the last bit, for bent
   * pictures are a little blurred.
   */
  share: number;
};

/** @throws TrainingSetupError naming the first value that cannot be */
export function checkReshape({ share, sigmaAffine, sigmaSpline, controlPoints }: ReshapeOptions): void {
  const refuse = (name: string, what: string, value: number): never => {
    throw new TrainingSetupError(`reshape.${name} must be ${what}, not ${value}`);
  };
  if (!(share >= 0 && share <= 1)) refuse('share', 'from 0 to 1', share);
  for (const [name, value] of Object.entries({ sigmaAffine, sigmaSpline })) {
    if (value !== undefined && !(value >= 0 && Number.isFinite(value))) refuse(name, 'a number from 0', value);
  }
  if (controlPoints !== undefined && !(Number.isInteger(controlPoints) && controlPoints >= 2)) {
    refuse('controlPoints', 'a whole number from 2', controlPoints);
  }
}

/**
 * Deforms the first pairs of a batch (whose order is random), each in its own way, with libtorch's random numbers. All
 * tensors of the result belong to the caller's scope; where nothing is bent they are those that were given.
 */
export function reshapePairs(pairs: FramePair, { share, ...deformation }: ReshapeOptions): FramePair {
  const { source } = pairs;
  const bent = Math.round(share * source.size(0));
  if (bent === 0) return pairs;
  return tidy(() =>
    noGrad(() => {
      const spline = ThinPlateSpline.random(bent, deformation, { device: source.device });
      const map = (places: Tensor): Tensor => spline.warpCoordinates(places);
      const field = spline.field(source.size(2), source.size(3));
      return mapFirst(pairs, bent, (value, layer) =>
        layer === 'points'
          ? moveLandmarks(value, { source: map, driving: map }, source.size(3))
          : spline.transformFrame(value, field),
      );
    }),
  );
}
