// Keypoint distance loss L_D of Eq. 10: keypoints must not crowd together.
import { eye, type Tensor, tidy } from '@dagan/libtorch';
import type { Keypoints } from '../tensors/keypoint-set.js';

/** The penalty of a pair of keypoints at distance d with the threshold t. */
export type KeypointDistanceForm =
  /** `max(0, t - d)`: pushes them apart until they are t apart. */
  | 'hinge'
  /** `1 - sign(d - t)`: counts the pairs that are too close, 2 for each, as paper and published code do. No gradient. */
  | 'sign';

export type KeypointDistanceOptions = {
  /** In the [-1, 1] square. */
  threshold?: number;
  form?: KeypointDistanceForm;
};

/** Added to squared distances, so that their root has a gradient. */
const TINY = 1e-8;

/**
 * Mean penalty over all K x K pairs of keypoints of a frame, of which a keypoint with itself costs nothing -> [].
 *
 * @param keypoints of one frame; source and driving are added up
 */
export function keypointDistanceLoss(
  { value }: Pick<Keypoints, 'value'>,
  { threshold = 0.2, form = 'hinge' }: KeypointDistanceOptions = {},
): Tensor {
  return tidy(() => {
    const offset = value.unsqueeze(2).sub(value.unsqueeze(1)); // [N, K, K, 2]
    const length = offset.square().sum([-1]).add(TINY).sqrt(); // [N, K, K]
    const self = eye(value.size(1), { dtype: value.dtype, device: value.device }).mul(threshold); // [K, K]
    const excess = length.add(self).sub(threshold);
    return form === 'sign' ? excess.sign().rsub(1).mean() : excess.neg().relu().mean();
  });
}
