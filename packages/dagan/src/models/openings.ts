// Lips that part show what no place of the source has, if they were shut there: what is within their contour now and was not before
// cannot be moved there, whatever the motion field says. Between keypoints that carry lips along it would show more lip.
import { cat, noGrad, stack, type Tensor, tidy } from '@dagan/libtorch';
import { coordinateGrid } from '../tensors/grid.js';
import type { Keypoints } from '../tensors/keypoint-set.js';

/** Keypoints around something that can open, in order. */
export type Contour = readonly number[];

/**
 * How much of every place was opened, 0 to 1 -> [N, 1, h, w], without a gradient: within a contour of the driving keypoints, and taken
 * from a place outside of that of the source's. Where several contours are given, that which opened it most.
 *
 * @param deformation where each driving position comes from in the source, [N, h, w, 2]
 * @param driving keypoints, [N, K, 2]
 * @param source keypoints, [1 or N, K, 2]
 */
export function openedBy(
  deformation: Tensor,
  driving: Pick<Keypoints, 'value'>,
  source: Pick<Keypoints, 'value'>,
  contours: readonly Contour[],
): Tensor {
  return noGrad(() =>
    tidy(() => {
      const [height, width] = [deformation.size(1), deformation.size(2)];
      const { dtype, device } = deformation;
      const grid = coordinateGrid(height, width, { dtype, device }).unsqueeze(0); // [1, h, w, 2]
      const within = (keypoints: Pick<Keypoints, 'value'>, contour: Contour, places: Tensor): Tensor =>
        depthWithin(cornersOf(keypoints, contour), places)
          .mul(height - 1) // half pixels
          .clamp(0, 1);
      const opened = contours.map((contour) =>
        within(driving, contour, grid)
          .sub(within(source, contour, deformation))
          .relu(),
      );
      return cat(opened, 1).amax([1], true);
    }),
  );
}

/** The corners of a contour, [N, E, 2]. */
const cornersOf = ({ value }: Pick<Keypoints, 'value'>, contour: Contour): Tensor =>
  stack(
    contour.map((keypoint) => value.select(1, keypoint)),
    1,
  );

/** How far places [N, h, w, 2] are within polygons [N, E, 2], less than 0 outside -> [N, 1, h, w]. One may serve many of the other. */
function depthWithin(corners: Tensor, places: Tensor): Tensor {
  const edges = corners.size(1);
  const next = cat([corners.narrow(1, 1, edges - 1), corners.narrow(1, 0, 1)], 1);
  const part = (points: Tensor, axis: 0 | 1): Tensor => points.select(2, axis).view(-1, edges, 1, 1); // [N, E, 1, 1]
  const at = (axis: 0 | 1): Tensor => places.select(3, axis).unsqueeze(1); // [N, 1, h, w]
  const [fromX, fromY] = [at(0).sub(part(corners, 0)), at(1).sub(part(corners, 1))]; // [N, E, h, w]
  const [alongX, alongY] = [part(next, 0).sub(part(corners, 0)), part(next, 1).sub(part(corners, 1))]; // [N, E, 1, 1]
  const square = alongX.square().add(alongY.square()).clamp(1e-8);
  const share = fromX.mul(alongX).add(fromY.mul(alongY)).div(square).clamp(0, 1);
  const offX = fromX.sub(share.mul(alongX));
  const offY = fromY.sub(share.mul(alongY));
  const distance = offX.square().add(offY.square()).amin([1], true).sqrt(); // [N, 1, h, w]
  // The winding number: edges that cross the height of the place, on its right, upwards less downwards.
  const toNextY = fromY.sub(alongY);
  const crossing = fromY.sign().sub(toNextY.sign()).div(2); // 1 and -1; a half each of two edges where their corner is as high
  const side = alongX.mul(fromY).sub(fromX.mul(alongY));
  const passed = side.mul(crossing).sign().add(1).div(2);
  const inside = crossing.mul(passed).sum([1], true).abs().clamp(0, 1); // [N, 1, h, w]
  return inside.mul(2).sub(1).mul(distance);
}
