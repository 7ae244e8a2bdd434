// How points in space were turned, scaled and shifted as a whole.
import { type Matrix3, nearestRotation } from './rotation.js';

/** q = to + scale R (p - from). */
export type RigidFit = {
  /** R. */
  rotation: Matrix3;
  scale: number;
  /** Middles of the points before and after. */
  from: readonly number[]; // [3]
  to: readonly number[]; // [3]
};

/**
 * The rotation, scale and shift that take points nearest to others (Kabsch, "A solution for the best rotation to relate two sets of
 * vectors", 1976; the scale of least squares).
 *
 * @param from x, y, z of every point, [P, 3]
 * @param to the same, [P, 3]
 * @param weights how much each point counts, [P]; default: all alike
 * @throws RangeError if the points do not determine a rotation, as they do not where all are in one plane
 */
export function rigidFit(from: ArrayLike<number>, to: ArrayLike<number>, weights?: ArrayLike<number>): RigidFit {
  const count = from.length / 3;
  const [before, after] = [
    [0, 0, 0],
    [0, 0, 0],
  ];
  let total = 0;
  for (let i = 0; i < count; i++) {
    const weight = weights?.[i] ?? 1;
    if (weight === 0) continue;
    total += weight;
    for (let axis = 0; axis < 3; axis++) {
      before[axis]! += weight * from[3 * i + axis]!;
      after[axis]! += weight * to[3 * i + axis]!;
    }
  }
  const [start, end] = [before, after].map((sum) => sum.map((value) => value / total)) as [number[], number[]];
  const covariance = new Array<number>(9).fill(0);
  let spread = 0;
  for (let i = 0; i < count; i++) {
    const weight = weights?.[i] ?? 1;
    if (weight === 0) continue;
    for (let column = 0; column < 3; column++) {
      const a = from[3 * i + column]! - start[column]!;
      for (let row = 0; row < 3; row++) covariance[3 * row + column]! += weight * (to[3 * i + row]! - end[row]!) * a;
      spread += weight * a ** 2;
    }
  }
  const rotation = nearestRotation(covariance);
  const scale = rotation.reduce((sum, value, i) => sum + value * covariance[i]!, 0) / spread;
  return { rotation, scale, from: start, to: end };
}
