// Landmark loss: some keypoints must stand on lips and lids. Not in the paper, whose keypoints find places of their own: learnt
// from few people's clips these are seldom the lips and never the lids. LivePortrait (Guo et al. 2024) leads implicit keypoints alike.
import { noGrad, stack, type Tensor, tidy } from '@dagan/libtorch';
import { coordinateGrid } from '../tensors/grid.js';
import type { Keypoints } from '../tensors/keypoint-set.js';

/** Of a spot's sum, which is 1: with less of it in the picture the landmark does not count. */
const LEAST = 0.5;

/**
 * Mean distance along x and y between landmarks and the keypoints that they lead, over the landmarks that can be seen; 0 if
 * none can -> [].
 *
 * @param keypoints of a frame
 * @param landmarks a spot around each of L landmarks of that frame, which adds up to 1; 0 everywhere for one that it does not
 * show, [N, L, H, W]
 * @param led for each landmark the number of its keypoint; null for none
 */
export function landmarkLoss(
  { value }: Pick<Keypoints, 'value'>,
  landmarks: Tensor,
  led: readonly (number | null)[],
): Tensor {
  return tidy(() => {
    const leading = led.flatMap((keypoint, landmark) => (keypoint === null ? [] : [{ keypoint, landmark }]));
    const pick = (of: Tensor, which: 'keypoint' | 'landmark') =>
      stack(
        leading.map((pair) => of.select(1, pair[which])),
        1,
      );
    const { centre, seen } = noGrad(() => centresOf(pick(landmarks, 'landmark')));
    const distance = pick(value, 'keypoint').to({ dtype: 'float32' }).sub(centre).abs().mean([2]); // [N, L]
    return distance.mul(seen).sum().div(seen.sum().clamp(1));
  });
}

/** Centres of mass of spots [N, L, H, W] -> [N, L, 2], and 1 for each that counts, [N, L]. */
function centresOf(spots: Tensor): { centre: Tensor; seen: Tensor } {
  const [height, width] = [spots.size(2), spots.size(3)];
  const grid = coordinateGrid(height, width, { dtype: spots.dtype, device: spots.device }).view(height * width, 2);
  const flat = spots.flatten(2); // [N, L, H W]
  const sum = flat.sum([2]); // [N, L]
  const seen = sum.ge(LEAST).to({ dtype: spots.dtype });
  return { centre: flat.matmul(grid).div(sum.clamp(LEAST).unsqueeze(2)), seen };
}
