// Landmarks refine the motion field: on the face it is known how points moved, and the field of the free keypoints (Eq. 7-8), which
// knows hair and shoulders but neither lips nor lids, gives way to that.
import { cat, type Tensor } from '@dagan/libtorch';
import { coordinateGrid } from '../tensors/grid.js';
import { squaredDistances } from './keypoints.js';

/** Where the square of the distance is below this, nearer than a pixel of 256, a landmark's say grows no more. */
const NEAREST = 5e-5;

/** A landmark's say falls with this power of the square of the distance. */
const FALLOFF = 3;

/** A field, and what share each motion has in it. */
export type Field = {
  /** Sums to 1 over the motions, the background first. */
  mask: Tensor; // [N, F + 1, h, w]
  /** Where each driving position comes from in the source, (x, y) in [-1, 1]. */
  deformation: Tensor; // [N, h, w, 2]
};

/**
 * Inverse distance weighting (Shepard, "A two-dimensional interpolation function for irregularly-spaced data", 1968) of the offsets of
 * L landmarks, by d^-6, against a field that has the say of a landmark at the distance `reach`.
 *
 * @param field of free keypoints
 * @param driving landmarks, [N, L, 2]
 * @param source [N, L, 2] or [1, L, 2]
 * @returns its mask has the landmarks after the background: [N, L + F + 1, h, w]
 */
export function refinedByLandmarks(
  { mask, deformation }: Field,
  driving: Tensor,
  source: Tensor,
  reach: number,
): Field {
  const [n, height, width] = deformation.shape as [number, number, number];
  const count = driving.size(1);
  const near = squaredDistances({ value: driving }, [height, width]).add(NEAREST).log().mul(-FALLOFF); // [N, L, h, w]
  const far = near
    .narrow(1, 0, 1)
    .mul(0)
    .add(-2 * FALLOFF * Math.log(reach)); // [N, 1, h, w]
  const shares = cat([far, near], 1).softmax(1);
  const [others, ofLandmarks] = [shares.narrow(1, 0, 1), shares.narrow(1, 1, count)];
  const offsets = source.sub(driving); // [N, L, 2]
  const moved = ofLandmarks.flatten(2).transpose(1, 2).matmul(offsets).reshape(n, height, width, 2);
  const grid = coordinateGrid(height, width, deformation); // [h, w, 2]
  const kept = deformation.sub(grid).mul(others.permute(0, 2, 3, 1)); // [N, h, w, 2]
  const shared = mask.mul(others); // [N, F + 1, h, w]
  return {
    mask: cat([shared.narrow(1, 0, 1), ofLandmarks, shared.narrow(1, 1, mask.size(1) - 1)], 1),
    deformation: kept.add(moved).add(grid),
  };
}
