// What OSFV adds to the objective, for heads whose keypoints stand in space (Wang et al., "One-Shot Free-View Neural Talking-Head
// Synthesis", CVPR 2021, Section 3.3), in the form of zhanglonghao1992's code.
import { type Tensor, tidy } from '@dagan/libtorch';
import { widened } from '../tensors/precision.js';

/** Square of the distance below which keypoints repel each other. */
const NEAR = 0.1;

/** Where the keypoints' middle should be in depth, away from the camera. */
const MIDDLE_DEPTH = 0.33;

/** Added to every difference of coordinates, as PyTorch's pairwise distance does. */
const EPSILON = 1e-6;

/**
 * Keypoint prior: keypoints keep apart, and their middle keeps its depth. Sum over ordered pairs, a keypoint with itself too, of
 * the batch's mean of `max(0, 0.1 - |k_i - k_j|^2)`, and `mean |z - 0.33|` of the mean depth z -> [].
 *
 * @param value [N, K, 3]
 */
export function keypointPriorLoss(value: Tensor): Tensor {
  return tidy(() => {
    const points = widened(value);
    const difference = points.unsqueeze(2).sub(points.unsqueeze(1)).add(EPSILON); // [N, K, K, 3]
    const near = difference.square().sum([-1]).neg().add(NEAR).relu(); // [N, K, K]
    const depth = points.narrow(2, 2, 1).mean([1, 2]); // [N]
    return near.mean([0]).sum().add(depth.sub(MIDDLE_DEPTH).abs().mean());
  });
}

/**
 * Head pose: the sum over yaw, pitch and roll of `mean |angle - teacher's|` in degrees, over the heads that the teacher saw -> [].
 *
 * @param angles in degrees, [N, 3]
 * @param teacher the same, [N, 3]
 * @param seen 1 where the teacher saw a head, else 0, [N]
 */
export function headPoseLoss(angles: Tensor, teacher: Tensor, seen: Tensor): Tensor {
  return tidy(() => {
    const off = widened(angles).sub(teacher).abs().sum([1]); // [N]
    return off.mul(seen).sum().div(seen.sum().clamp(1));
  });
}

/** Expression: it moves keypoints as little as it must. The batch's mean of the sum of `|e|` -> []. @param expression [N, K, 3] */
export function expressionLoss(expression: Tensor): Tensor {
  return tidy(() => widened(expression).abs().sum([1, 2]).mean());
}
