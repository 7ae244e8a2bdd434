// The affine map that keypoints undergo together.
import { eye, type Tensor } from '@dagan/libtorch';

/** How much the shared map is drawn to the identity, as the mean square of keypoints' distances from their middle. */
const STIFFNESS = 0.005;

/**
 * The linear map A that takes driving keypoints, seen from their middle, nearest to the source's (least squares, drawn a little
 * to the identity, so that keypoints on a line leave it sound): A = (S D^T + c I) (D D^T + c I)^-1.
 *
 * @param driving [N, K, 2]
 * @param source [N, K, 2] or [1, K, 2]
 * @returns [N, 2, 2]
 */
export function sharedAffine(driving: Tensor, source: Tensor): Tensor {
  const count = driving.size(1);
  const centred = (points: Tensor): Tensor => points.sub(points.mean([1], true));
  const [d, s] = [centred(driving), centred(source)];
  const give = eye(2, { dtype: d.dtype, device: d.device }).mul(STIFFNESS * count);
  const spread = d.transpose(1, 2).matmul(d).add(give); // [N, 2, 2]
  return s.transpose(1, 2).matmul(d).add(give).matmul(spread.inverse());
}
