// Landmark loss: some keypoints must stand on lips, lids and brows, in both frames. Not in the paper, whose keypoints find places of
// their own: learnt from few people's clips these are seldom the lips and never the lids. LivePortrait (Guo et al. 2024) leads
// implicit keypoints alike.
import { noGrad, type Tensor, tensor, tidy } from '@dagan/libtorch';
import type { Keypoints } from '../tensors/keypoint-set.js';

/** A keypoint, and where its landmark stands in tensors of landmarks. */
export type LedKeypoint = { keypoint: number; landmark: number };

/**
 * Mean distance along x and y between landmarks and the keypoints that they lead, over the landmarks that were seen; 0 if
 * none was -> [].
 *
 * @param keypoints of frames
 * @param landmarks x, y and 1 where seen of P landmarks of these frames, [N, P, 3]
 * @param led at least one
 */
export function landmarkLoss(
  { value }: Pick<Keypoints, 'value'>,
  landmarks: Tensor,
  led: readonly LedKeypoint[],
): Tensor {
  return tidy(() => {
    const pick = (of: Tensor, which: keyof LedKeypoint) => {
      const index = tensor(
        led.map((pair) => pair[which]),
        { dtype: 'int64' },
      );
      return of.indexSelect(1, index.to({ device: of.device }));
    };
    const { place, seen } = noGrad(() => {
      const picked = pick(landmarks, 'landmark');
      return { place: picked.narrow(2, 0, 2), seen: picked.select(2, 2) };
    });
    const distance = pick(value, 'keypoint').to({ dtype: 'float32' }).sub(place).abs().mean([2]); // [N, L]
    return distance.mul(seen).sum().div(seen.sum().clamp(1));
  });
}
