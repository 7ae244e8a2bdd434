// Which landmarks of a face look towards the camera. A head that is turned hides its other side, whatever the face mesh guesses of
// it: what is behind cannot be moved to the front, and what went behind shows nothing.
import { stack, type Tensor, tensor } from '@dagan/libtorch';
import { affineFrom, type SkinPoint } from './skin.js';

/** Cosines between skin and camera from which on a landmark counts as hidden, and as seen. */
const [HIDDEN, SEEN] = [-0.25, 0.05];

/**
 * How far landmarks are seen, 0 to 1 -> [N, L], without a gradient: as a scaled orthographic camera that the rigid ones fit best
 * (least squares) sees the skin around them.
 *
 * @param landmarks [N, L, 2], x and y in one unit
 */
export function seenOf(landmarks: Tensor, skin: readonly SkinPoint[]): Tensor {
  const { dtype, device } = landmarks;
  const constant = (rows: readonly (readonly number[])[]): Tensor =>
    tensor(rows.map((row) => [...row])).to({ dtype, device });
  const affine = constant(affineFrom(skin)).matmul(landmarks.detach()); // [N, 3, 2]
  const [x, y] = [affine.select(2, 0), affine.select(2, 1)]; // [N, 3]
  const part = (of: Tensor, axis: number): Tensor => of.select(1, axis);
  const towards = stack(
    [
      [1, 2],
      [2, 0],
      [0, 1],
    ].map(([a, b]) =>
      part(x, a!)
        .mul(part(y, b!))
        .sub(part(x, b!).mul(part(y, a!))),
    ),
    1,
  ); // away from the camera, [N, 3]
  const length = towards.square().sum([1], true).add(1e-12).sqrt();
  const facing = towards
    .div(length)
    .matmul(constant(skin.map(({ normal }) => normal)).transpose(0, 1))
    .neg(); // [N, L]
  return facing
    .sub(HIDDEN)
    .div(SEEN - HIDDEN)
    .clamp(0, 1);
}

/**
 * How much of what is moved to every place the source hides, 0 to 1 -> [N, 1, h, w].
 *
 * @param shares of the landmarks in the motion field, [N, L, h, w]
 * @param source landmarks, [1 or N, L, 2]
 */
export function hiddenBy(shares: Tensor, source: Tensor, skin: readonly SkinPoint[]): Tensor {
  const hidden = seenOf(source, skin).neg().add(1); // [N, L]
  return shares.mul(hidden.unsqueeze(2).unsqueeze(3)).sum([1], true);
}
