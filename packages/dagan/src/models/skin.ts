// The skin of a face at rest around its landmarks, and what it tells of how a head stands that is seen in a picture.

/** A landmark on a face at rest that looks at the camera: its place, in one unit for all, and the direction out of its skin. */
export type SkinPoint = {
  /** x right, y down, z away from the camera. */
  readonly place: readonly [x: number, y: number, z: number];
  /** Of length 1. */
  readonly normal: readonly [x: number, y: number, z: number];
  /** Whether only the head moves it, so that it tells how the head stands. */
  readonly rigid: boolean;
};

/** Whether the rigid points tell how a head stands: they must not be in one plane. */
export function determinesPose(skin: readonly SkinPoint[]): boolean {
  const { spread } = spreadOf(skin);
  const size = spread[0]![0]! + spread[1]![1]! + spread[2]![2]!;
  return determinant(spread) > 1e-6 * size ** 3;
}

/** What takes landmarks to the affine map that the rigid ones underwent, [3, L]: (C^T C)^-1 C^T of their places from the middle. */
export function affineFrom(skin: readonly SkinPoint[]): number[][] {
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
