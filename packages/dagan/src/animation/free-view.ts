// Heads whose keypoints stand in space (`KeypointSet.head`): a driver's motion in the portrait's own shape, and angles of the head
// of one's choice in place of the driver's (Wang et al., "One-Shot Free-View Neural Talking-Head Synthesis", CVPR 2021).
import { headRotation } from '../geometry/head-rotation.js';
import type { Matrix3 } from '../geometry/rotation.js';
import type { HeadStance, KeypointSet } from '../tensors/keypoint-set.js';

/**
 * Degrees: yaw, pitch and roll of the portrait's head in place of the driver's; those that are left out stay the driver's, or without
 * a driver the portrait's own.
 */
export type HeadAngles = { yaw?: number; pitch?: number; roll?: number };

const ANGLES = ['yaw', 'pitch', 'roll'] as const;

/** R k of point k. */
const turned = (rotation: Matrix3, points: Float32Array, at: number, axis: number): number =>
  rotation[3 * axis]! * points[at]! +
  rotation[3 * axis + 1]! * points[at + 1]! +
  rotation[3 * axis + 2]! * points[at + 2]!;

/** Keypoints with something added to each coordinate. @param at of the keypoint's x */
function moved(value: Float32Array, by: (at: number, axis: number) => number): Float32Array {
  return value.map((x, i) => x + by(i - (i % 3), i % 3));
}

/**
 * A driver's keypoints as the portrait would have them: its canonical keypoints in place of the driver's. Keypoints without a head,
 * and those that were already found for this portrait, come back as they are.
 */
export function inShapeOf(portrait: KeypointSet, driving: KeypointSet): KeypointSet {
  const [own, other] = [portrait.head?.canonical, driving.head?.canonical];
  if (!own || !other || own.every((x, i) => x === other[i])) return driving;
  const rotation = headRotation(driving.head!.angles);
  const difference = own.map((x, i) => x - other[i]!);
  return {
    ...driving,
    value: moved(driving.value, (at, axis) => turned(rotation, difference, at, axis)),
    head: { ...driving.head!, canonical: own },
  };
}

/** A rotation that keypoints have, as a sum of heads' rotations with shares: relative motion adds and takes away keypoints. */
export type HeadSum = readonly (readonly [head: HeadStance, share: number])[];

/**
 * Keypoints with angles of one's choice: what the heads have turned is taken off, and the new rotation put in its place. Expression
 * and place stay, and jacobians as they are.
 *
 * @param heads of which the keypoints are made, all of the portrait's shape
 */
export function withAngles(found: KeypointSet, heads: HeadSum, wanted: HeadAngles): KeypointSet {
  const sum = (of: (head: HeadStance) => ArrayLike<number>, i: number): number =>
    heads.reduce((total, [head, share]) => total + share * of(head)[i]!, 0);
  const angles = ANGLES.map((name, i) => wanted[name] ?? sum((head) => head.angles, i));
  const rotations = new Map(heads.map(([head]) => [head, headRotation(head.angles)]));
  const rotation = headRotation(angles);
  const change = rotation.map((x, i) => x - sum((head) => rotations.get(head)!, i));
  const { canonical } = heads[0]![0];
  return {
    ...found,
    value: moved(found.value, (at, axis) => turned(change, canonical, at, axis)),
    head: { canonical, angles: Float32Array.from(angles) },
  };
}

/** Whether any angle is chosen. */
export const choosesAngles = (angles: HeadAngles = {}): boolean => ANGLES.some((name) => angles[name] !== undefined);
