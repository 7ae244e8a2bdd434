// Which landmarks of a face look towards the camera. A head that is turned hides its other side, whatever the face mesh guesses of
// it: what is behind cannot be moved to the front, and what went behind shows nothing.
import { stack, type Tensor, tensor } from '@dagan/libtorch';

/** A landmark on a face at rest that looks at the camera: its place, in one unit for all, and the direction out of its skin. */
export type SkinPoint = {
  /** x right, y down, z away from the camera. */
  readonly place: readonly [x: number, y: number, z: number];
  /** Of length 1. */
  readonly normal: readonly [x: number, y: number, z: number];
  /** Whether only the head moves it, so that it tells how the head stands. */
  readonly rigid: boolean;
};

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
  const rows = constant(pseudoInverse(skin)).matmul(landmarks.detach()); // [N, 3, 2]
  const [x, y] = [rows.select(2, 0), rows.select(2, 1)]; // [N, 3]
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

/** Whether the rigid points tell how a head stands: they must not be in one plane. */
export function determinesPose(skin: readonly SkinPoint[]): boolean {
  const { spread } = spreadOf(skin);
  const size = spread[0]![0]! + spread[1]![1]! + spread[2]![2]!;
  return determinant(spread) > 1e-6 * size ** 3;
}

/** What takes landmarks to the affine map that the rigid ones underwent, [3, L]: (C^T C)^-1 C^T of their places from the middle. */
function pseudoInverse(skin: readonly SkinPoint[]): number[][] {
  const { centred, spread } = spreadOf(skin);
  return inverse(spread).map((row) =>
    centred.map((place) => row.reduce((sum, value, axis) => sum + value * place[axis]!, 0)),
  );
}

/** The rigid points from their middle, C, with zeros for the others, [L, 3]; and C^T C, [3, 3]. */
function spreadOf(skin: readonly SkinPoint[]): { centred: number[][]; spread: number[][] } {
  const rigid = skin.filter((point) => point.rigid);
  const middle = [0, 1, 2].map((axis) => rigid.reduce((sum, { place }) => sum + place[axis]!, 0) / rigid.length);
  const centred = skin.map(({ place, rigid }) => place.map((value, axis) => (rigid ? value - middle[axis]! : 0)));
  const spread = [0, 1, 2].map((row) =>
    [0, 1, 2].map((column) => centred.reduce((sum, place) => sum + place[row]! * place[column]!, 0)),
  );
  return { centred, spread };
}

/** What an entry of a 3 x 3 matrix is multiplied by in its determinant. */
function cofactor(m: readonly (readonly number[])[], row: number, column: number): number {
  const [r, s, c, d] = [(row + 1) % 3, (row + 2) % 3, (column + 1) % 3, (column + 2) % 3];
  return m[r]![c]! * m[s]![d]! - m[r]![d]! * m[s]![c]!;
}

const determinant = (m: readonly (readonly number[])[]): number =>
  [0, 1, 2].reduce((sum, column) => sum + m[0]![column]! * cofactor(m, 0, column), 0);

/** Of a 3 x 3 matrix. */
function inverse(m: readonly (readonly number[])[]): number[][] {
  const whole = determinant(m);
  return [0, 1, 2].map((row) => [0, 1, 2].map((column) => cofactor(m, column, row) / whole));
}
