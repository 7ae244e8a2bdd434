// From the driving face's keypoints to the portrait's: absolute, or relative to a reference frame (as in the first-order
// motion model, Siarohin et al., 2019, Section 3.3).
import { inverseOf } from '../geometry/rotation.js';
import type { KeypointSet } from '../tensors/keypoint-set.js';
import { type MotionSpace, PLANE } from '../tensors/motion-space.js';
import { controlledMotion, type MotionControls } from './controls.js';
import { convexHullVolume } from './convex-hull.js';
import { choosesAngles, inShapeOf, withAngles } from './free-view.js';
import { withUntold } from './head-share.js';
import { withBoundedGrowth } from './head-size.js';
import type { KeypointNames } from './mesh-keypoints.js';

export type TransferOptions = {
  /**
   * `relative`: the portrait keeps its own shape and pose and repeats the change since the reference frame.
   * `absolute`: the portrait takes over the driving keypoints as they are.
   */
  motion: 'relative' | 'absolute';
  /**
   * Scales relative movement by the sizes of the two faces (square root of the keypoints' convex hulls' areas; in space, as the
   * published code has it, of their volumes), so that a driver who comes near or goes away makes the portrait's head grow or
   * shrink in proportion. A latent code has no size.
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
  /** What moves; by default keypoints in the plane. */
  space?: MotionSpace;
};

/** The default of `mostGrowth` with adapted scale; models have seen little beyond. */
const MOST_ADAPTED = 1.5;

/** A square matrix, row by row. */
type Matrix = ArrayLike<number>;

function multiply(p: Matrix, q: Matrix, size: number): number[] {
  return Array.from({ length: size * size }, (_, i) => {
    const [row, column] = [Math.floor(i / size), i % size];
    let sum = 0;
    for (let k = 0; k < size; k++) sum += p[row * size + k]! * q[k * size + column]!;
    return sum;
  });
}

/** Of a 2x2 or 3x3 matrix: the adjugate over the determinant. */
function inverse(m: Matrix, size: number): readonly number[] {
  if (size === 2) {
    const [a, b, c, d] = [m[0]!, m[1]!, m[2]!, m[3]!];
    const determinant = a * d - b * c;
    return [d / determinant, -b / determinant, -c / determinant, a / determinant];
  }
  return inverseOf(Array.from(m));
}

/** I + s (M - I) */
const partly = (m: readonly number[], s: number, size: number): number[] =>
  m.map((value, i) => (i % (size + 1) === 0 ? 1 + s * (value - 1) : s * value));

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

/** Size of keypoints: their convex hull's area, or in space its volume. */
export const sizeOf = (value: ArrayLike<number>, { dimensions }: MotionSpace): number =>
  dimensions === 3 ? convexHullVolume(value) : convexHullArea(value);

/** How much larger the portrait's face is than the reference's, as a factor on movement, by the keypoints that the reference tells. */
export function movementScale(source: KeypointSet, reference: KeypointSet, space: MotionSpace = PLANE): number {
  const told = ({ value }: KeypointSet): Float32Array => value.filter((_, i) => !Number.isNaN(reference.value[i]!));
  const size = sizeOf(told(reference), space);
  return size > 0 ? Math.sqrt(sizeOf(told(source), space) / size) : 1;
}

/**
 * The keypoints that the portrait should have where `found` are the driving frame's.
 *
 * Relative: p = p_s + scale (p_d - p_r) and J = J_d J_r^-1 J_s, with s the portrait, d the driving frame and r the
 * reference frame of the driving clip. The driving head's growth since the reference frame is bounded first (`withBoundedGrowth`),
 * of keypoints in the plane with their jacobians. Controls change p_d - p_r (`controlledMotion`), and how far J_d J_r^-1 is from
 * the identity. Covariances are the driving frame's. Keypoints in space are first put into the portrait's shape; chosen angles of
 * the head (`controls.angles`) take the place of those that come out.
 */
export function transferKeypoints(
  source: KeypointSet,
  found: KeypointSet,
  reference: KeypointSet,
  options: TransferOptions,
): KeypointSet {
  const [driving, first] = [inShapeOf(source, found), inShapeOf(source, reference)];
  const relative = options.motion === 'relative';
  const told = relative ? repeated(source, driving, first, options) : driving;
  const moved = { ...told, value: withUntold(told.value, source.value, options.names ?? {}) };
  const [own, now, then] = [source, driving, first].map(({ head }) => head);
  const { controls: { angles, strength = 1, parts = {} } = {}, adaptScale, space } = options;
  if (!angles || !own || !now || !then || !choosesAngles(angles)) return moved;
  if (!relative) return withAngles(moved, [[now, 1]], angles);
  const share = strength * (parts.pose ?? 1) * (adaptScale ? movementScale(source, first, space) : 1);
  return withAngles(
    moved,
    [
      [own, 1],
      [now, share],
      [then, -share],
    ],
    angles,
  ); // as the keypoints are summed up
}

/** The portrait with the driver's change since the reference frame. */
function repeated(
  source: KeypointSet,
  found: KeypointSet,
  reference: KeypointSet,
  { adaptScale, mostGrowth = adaptScale ? MOST_ADAPTED : 1, controls = {}, names = {}, space = PLANE }: TransferOptions,
): KeypointSet {
  const inPlane = space.dimensions === 2 && space.matrices === 'jacobians';
  const driving = inPlane ? withBoundedGrowth(found, reference, mostGrowth, names) : found;
  const scale = adaptScale ? movementScale(source, reference, space) : 1;
  const way = controlledMotion(source, reference, driving, controls, names, scale);
  const value = source.value.map((x, i) => x + way[i]!);
  if (space.matrices === 'covariances') return { value, jacobian: driving.jacobian };
  if (!source.jacobian || !driving.jacobian || !reference.jacobian) return { value, jacobian: null };
  const size = space.dimensions;
  const strength = (controls.strength ?? 1) * (controls.parts?.pose ?? 1);
  const jacobian = new Float32Array(source.jacobian.length);
  for (let at = 0; at < jacobian.length; at += size * size) {
    const [s, d, r] = [source, driving, reference].map((set) => set.jacobian!.subarray(at, at + size * size));
    const whole = multiply(d!, inverse(r!, size), size);
    jacobian.set(multiply(partly(whole, strength, size), s!, size), at);
  }
  return { value, jacobian };
}
