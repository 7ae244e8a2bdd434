// Equivariance loss L_E of Eq. 10: when a frame is deformed, its keypoints must move along.
import { eye, type Tensor, tidy } from '@dagan/libtorch';
import type { ThinPlateSpline } from '../geometry/thin-plate-spline.js';
import type { Keypoints } from '../tensors/keypoint-set.js';
import { exactly, widened } from '../tensors/precision.js';
import { meanAbsoluteDifference } from './difference.js';

/**
 * Of positions: `mean |x_d - T(x_t)|` -> [].
 *
 * @param driving keypoints x_d of the driving frame
 * @param transformed keypoints x_t of the driving frame after `transform.transformFrame`
 * @param transform T
 */
export function equivarianceValueLoss(
  driving: Pick<Keypoints, 'value'>,
  transformed: Pick<Keypoints, 'value'>,
  transform: ThinPlateSpline,
): Tensor {
  return tidy(() => meanAbsoluteDifference(driving.value, transform.warpCoordinates(transformed.value)));
}

/**
 * Of jacobians: `mean |I - J_d^-1 T'(x_t) J_t|` -> [], T' the derivative of the deformation.
 *
 * @throws TypeError if the keypoints have no jacobians
 */
export function equivarianceJacobianLoss(
  driving: Keypoints,
  transformed: Keypoints,
  transform: ThinPlateSpline,
): Tensor {
  const [inDriving, inTransformed] = [driving.jacobian, transformed.jacobian];
  if (!inDriving || !inTransformed) {
    throw new TypeError('the equivariance of jacobians needs keypoints with jacobians; give it no weight without them');
  }
  return tidy(() => {
    const ratio = exactly(inDriving, () => {
      const moved = transform.jacobian(transformed.value).matmul(widened(inTransformed)); // [N, K, 2, 2]
      return widened(inDriving).inverse().matmul(moved);
    });
    return eye(2, { dtype: ratio.dtype, device: ratio.device }).sub(ratio).abs().mean();
  });
}
