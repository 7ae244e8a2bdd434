// Camera motion between two frames: axis-angle rotation and translation as a matrix (Eq. 2 of the paper).
import { cat, eye, stack, type Tensor, tensor, tidy, zerosLike } from '@dagan/libtorch';
import { exactly } from '../tensors/precision.js';

/** Added to the squared angle, so that its root has a gradient where nothing rotates. */
const TINY = 1e-12;

/**
 * Rotation matrices by Rodrigues' formula: `R = I + sin(a) / a W + (1 - cos(a)) / a^2 W^2`, a the length of the vector and
 * W its cross-product matrix. Accurate and differentiable down to no rotation at all.
 *
 * @param axisAngle axis times angle in radians, [N, 3]
 * @returns [N, 3, 3]
 */
export function rotationFromAxisAngle(axisAngle: Tensor): Tensor {
  return tidy(() => {
    const squared = axisAngle.square().sum([-1], true).unsqueeze(-1); // [N, 1, 1]
    const angle = squared.add(TINY).sqrt();
    const [x, y, z] = axisAngle.unbind(-1) as [Tensor, Tensor, Tensor]; // [N]
    const zero = zerosLike(x);
    const rows = [zero, z.neg(), y, z, zero, x.neg(), y.neg(), x, zero];
    const cross = stack(rows, -1).view(-1, 3, 3); // W: W v = axisAngle x v
    const half = angle.mul(0.5);
    // 1 - cos(a) = 2 sin^2(a / 2), without the cancellation at small angles.
    const curvature = half.sin().div(angle).square().mul(2);
    const identity = eye(3, { dtype: axisAngle.dtype, device: axisAngle.device });
    const squaredCross = exactly(cross, () => cross.matmul(cross));
    return identity.add(cross.mul(angle.sin().div(angle))).add(squaredCross.mul(curvature));
  });
}

/**
 * The 4 x 4 matrix that takes points of the first frame's camera to the second's: rotate, then translate. Inverted it
 * takes points of the second to the first.
 *
 * @param axisAngle [N, 3]
 * @param translation [N, 3]
 * @returns [N, 4, 4]
 */
export function poseMatrix(axisAngle: Tensor, translation: Tensor, { invert = false } = {}): Tensor {
  return tidy(() => {
    const forward = rotationFromAxisAngle(axisAngle);
    const rotation = invert ? forward.transpose(1, 2) : forward; // [N, 3, 3]
    const column = translation.unsqueeze(-1); // [N, 3, 1]
    const shift = invert ? exactly(column, () => rotation.matmul(column)).neg() : column;
    const bottom = tensor([[[0, 0, 0, 1]]])
      .to({ dtype: axisAngle.dtype, device: axisAngle.device })
      .expand(axisAngle.size(0), 1, 4);
    return cat([cat([rotation, shift], 2), bottom], 1);
  });
}
