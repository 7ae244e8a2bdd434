// From the driving face's keypoints to the portrait's: absolute, or relative to a reference frame (as in the first-order
// motion model, Siarohin et al., 2019, Section 3.3).
import type { KeypointSet } from '../tensors/keypoint-set.js';
import { controlledMotion, type MotionControls } from './controls.js';
import { withBoundedGrowth } from './head-size.js';
import type { KeypointNames } from './mesh-keypoints.js';

export type TransferOptions = {
  /**
   * `relative`: the portrait keeps its own shape and pose and repeats the change since the reference frame.
   * `absolute`: the portrait takes over the driving keypoints as they are.
   */
  motion: 'relative' | 'absolute';
  /**
   * Scales relative movement by the sizes of the two faces (square root of the keypoints' convex hulls' areas), so that a driver
   * who comes near or goes away makes the portrait's head grow or shrink in proportion.
   */
  adaptScale: boolean;
  /**
   * So much larger or smaller than in the reference frame the driver's head may become in relative motion, as a factor: default 1,
   * it keeps its size, or 1.5 with `adaptScale`. Infinity is the published arithmetic.
   */
  mostGrowth?: number;
  /** What is changed of relative motion; by default nothing. */
  controls?: MotionControls;
  /** Which keypoints stand on landmarks of the face; by default none are known. */
  names?: KeypointNames;
};

/** The default of `mostGrowth` with adapted scale; models have seen little beyond. */
const MOST_ADAPTED = 1.5;

/** [a b; c d] of keypoint k. */
type Matrix = readonly [number, number, number, number];

const matrixAt = (jacobian: Float32Array, k: number): Matrix => [
  jacobian[4 * k]!,
  jacobian[4 * k + 1]!,
  jacobian[4 * k + 2]!,
  jacobian[4 * k + 3]!,
];

const multiply = (p: Matrix, q: Matrix): Matrix => [
  p[0] * q[0] + p[1] * q[2],
  p[0] * q[1] + p[1] * q[3],
  p[2] * q[0] + p[3] * q[2],
  p[2] * q[1] + p[3] * q[3],
];

function invert([a, b, c, d]: Matrix): Matrix {
  const determinant = a * d - b * c;
  return [d / determinant, -b / determinant, -c / determinant, a / determinant];
}

/** I + s (M - I) */
const partly = ([a, b, c, d]: Matrix, s: number): Matrix => [1 + s * (a - 1), s * b, s * c, 1 + s * (d - 1)];

/** Area of the convex hull of points (x, y), in the square of their units. */
export function convexHullArea(value: ArrayLike<number>): number {
  const points = Array.from({ length: value.length / 2 }, (_, i) => [value[2 * i]!, value[2 * i + 1]!] as const);
  points.sort((p, q) => p[0] - q[0] || p[1] - q[1]);
  const turn = (o: readonly number[], p: readonly number[], q: readonly number[]): number =>
    (p[0]! - o[0]!) * (q[1]! - o[1]!) - (p[1]! - o[1]!) * (q[0]! - o[0]!);
  const chain = (ordered: typeof points): typeof points => {
    const hull: typeof points = [];
    for (const point of ordered) {
      while (hull.length >= 2 && turn(hull.at(-2)!, hull.at(-1)!, point) <= 0) hull.pop();
      hull.push(point);
    }
    return hull.slice(0, -1);
  };
  const hull = [...chain(points), ...chain(points.slice().reverse())];
  const twice = hull.reduce((sum, [x, y], i) => {
    const [nextX, nextY] = hull[(i + 1) % hull.length]!;
    return sum + x * nextY - nextX * y;
  }, 0);
  return Math.abs(twice) / 2;
}

/** How much larger the portrait's face is than the reference's, as a factor on movement. */
export function movementScale(source: KeypointSet, reference: KeypointSet): number {
  const area = convexHullArea(reference.value);
  return area > 0 ? Math.sqrt(convexHullArea(source.value) / area) : 1;
}

/**
 * The keypoints that the portrait should have where `found` are the driving frame's.
 *
 * Relative: p = p_s + scale (p_d - p_r) and J = J_d J_r^-1 J_s, with s the portrait, d the driving frame and r the
 * reference frame of the driving clip. The driving head's growth since the reference frame is bounded first (`withBoundedGrowth`).
 * Controls change p_d - p_r (`controlledMotion`), and how far J_d J_r^-1 is from the identity.
 */
export function transferKeypoints(
  source: KeypointSet,
  found: KeypointSet,
  reference: KeypointSet,
  { motion, adaptScale, mostGrowth = adaptScale ? MOST_ADAPTED : 1, controls = {}, names = {} }: TransferOptions,
): KeypointSet {
  if (motion === 'absolute') return found;
  const driving = withBoundedGrowth(found, reference, mostGrowth);
  const scale = adaptScale ? movementScale(source, reference) : 1;
  const way = controlledMotion(source.value, reference.value, driving.value, controls, names);
  const value = source.value.map((x, i) => x + scale * way[i]!);
  if (!source.jacobian || !driving.jacobian || !reference.jacobian) return { value, jacobian: null };
  const jacobian = new Float32Array(source.jacobian.length);
  const strength = (controls.strength ?? 1) * (controls.parts?.pose ?? 1);
  for (let k = 0; k < jacobian.length / 4; k++) {
    const whole = multiply(matrixAt(driving.jacobian, k), invert(matrixAt(reference.jacobian, k)));
    jacobian.set(multiply(partly(whole, strength), matrixAt(source.jacobian, k)), 4 * k);
  }
  return { value, jacobian };
}
