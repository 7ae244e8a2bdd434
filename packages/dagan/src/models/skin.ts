// The skin of a face at rest around its landmarks, and what it tells of how a head stands that is seen in a picture.
import { determinantOf, inverseOf, type Matrix3, multiplied } from '../geometry/rotation.js';

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
  const size = spread[0]! + spread[4]! + spread[8]!;
  return determinantOf(spread) > 1e-6 * size ** 3;
}

/** What takes landmarks to the affine map that the rigid ones underwent, [3, L]: (C^T C)^-1 C^T of their places from the middle. */
export function affineFrom(skin: readonly SkinPoint[]): number[][] {
  const { centred, spread } = spreadOf(skin);
  const columns = centred.map((place) => [...multiplied(place, inverseOf(spread))]); // [L, 3]
  return [0, 1, 2].map((axis) => columns.map((column) => column[axis]!));
}

/** The rigid points from their middle, C, with zeros for the others, [L, 3]; and C^T C, [3, 3]. */
function spreadOf(skin: readonly SkinPoint[]): { centred: number[][]; spread: Matrix3 } {
  const rigid = skin.filter((point) => point.rigid);
  const middle = [0, 1, 2].map((axis) => rigid.reduce((sum, { place }) => sum + place[axis]!, 0) / rigid.length);
  const centred = skin.map(({ place, rigid }) => place.map((value, axis) => (rigid ? value - middle[axis]! : 0)));
  const spread = Array.from({ length: 9 }, (_, i) =>
    centred.reduce((sum, place) => sum + place[Math.floor(i / 3)]! * place[i % 3]!, 0),
  );
  return { centred, spread };
}
