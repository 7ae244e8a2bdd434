// The pose of a head from where landmarks are seen in a picture, without their depth: the teacher of networks that estimate it.
import type { CanonicalFace } from './face-models.js';

/** Yaw, pitch and roll in degrees. */
export type PoseAngles = readonly [yaw: number, pitch: number, roll: number];

type Vector = readonly [number, number, number];

/** So many landmarks at least must be seen. */
const FEWEST = 8;

const dot = (a: Vector, b: Vector): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a: Vector, b: Vector): Vector => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];
const unit = (a: Vector): Vector => {
  const length = Math.hypot(...a);
  return [a[0] / length, a[1] / length, a[2] / length];
};
const less = (a: Vector, b: Vector, share: number): Vector => [
  a[0] - share * b[0],
  a[1] - share * b[1],
  a[2] - share * b[2],
];

/**
 * Fits the canonical face to landmarks by a scaled orthographic camera: least squares give the rows of an affine map, the nearest
 * pair of perpendicular rows of one length the rotation.
 */
export class LandmarkPose {
  /** The landmarks on the canonical face, x right, y down, z away from the viewer; null for those that it does not have. */
  readonly #points: readonly (Vector | null)[];

  /** @param landmarks the numbers of their points in the mesh, in the order in which places will be given */
  constructor({ points }: CanonicalFace, landmarks: readonly number[]) {
    this.#points = landmarks.map((point) =>
      point < points.length / 3 ? [points[3 * point]!, -points[3 * point + 1]!, -points[3 * point + 2]!] : null,
    );
  }

  /**
   * The angles of `R = Rx(pitch) Ry(yaw) Rz(roll)`, which takes the canonical face to the seen one in axes x right, y down, z away.
   *
   * @param places x, y and 1 where seen of every landmark, [P, 3]; any unit, the same along both sides
   * @returns null if too few are seen
   */
  of(places: ArrayLike<number>): PoseAngles | null {
    const seen = this.#points.flatMap((point, i) =>
      point && places[3 * i + 2]! > 0 ? [{ point, place: [places[3 * i]!, places[3 * i + 1]!] as const }] : [],
    );
    if (seen.length < FEWEST) return null;
    const mean = (of: (entry: (typeof seen)[number]) => number): number =>
      seen.reduce((sum, entry) => sum + of(entry), 0) / seen.length;
    const middle = [0, 1, 2].map((axis) => mean(({ point }) => point[axis]!));
    const centre = [0, 1].map((axis) => mean(({ place }) => place[axis]!));
    // Normal equations A m = b for both rows m of the affine map.
    const rows: Vector[] = [];
    const columns = [0, 1, 2].map((row): Vector => {
      const entry = (column: number): number =>
        mean(({ point }) => (point[row]! - middle[row]!) * (point[column]! - middle[column]!));
      return [entry(0), entry(1), entry(2)];
    }) as [Vector, Vector, Vector];
    const determinant = dot(columns[0], cross(columns[1], columns[2]));
    for (const axis of [0, 1]) {
      const b = [0, 1, 2].map((row) =>
        mean(({ point, place }) => (place[axis]! - centre[axis]!) * (point[row]! - middle[row]!)),
      ) as unknown as Vector;
      const solve = (at: number): number => {
        const replaced = columns.map((column, i) => (i === at ? b : column)) as [Vector, Vector, Vector];
        return dot(replaced[0], cross(replaced[1], replaced[2])) / determinant; // Cramer's rule
      };
      rows.push([solve(0), solve(1), solve(2)]);
    }
    const [first, second] = rows.map(unit) as [Vector, Vector];
    const askew = dot(first, second) / 2;
    const [x, y] = [unit(less(first, second, askew)), unit(less(second, first, askew))];
    const z = cross(x, y);
    const degrees = 180 / Math.PI;
    const yaw = Math.asin(Math.min(1, Math.max(-1, x[2]))) * degrees;
    const angles: PoseAngles = [yaw, Math.atan2(-y[2], z[2]) * degrees, Math.atan2(-x[1], x[0]) * degrees];
    return angles.every(Number.isFinite) ? angles : null;
  }
}
