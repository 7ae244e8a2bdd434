// Which keypoints go along with the head. Landmarks of the face do; of the others, some are on hair and ears, some on shoulders.
import { type Affine, affineBetween, carried, type Point } from './affine.js';
import type { KeypointNames } from './mesh-keypoints.js';

/** Landmarks that only the head moves. */
const HEAD = ['noseTip', 'rightTemple', 'leftTemple', 'forehead'] as const;

export const pointAt = (value: Float32Array, keypoint: number): Point => [
  value[2 * keypoint]!,
  value[2 * keypoint + 1]!,
];

/** Where the landmarks are that only the head moves, [K, 2]; undefined if not all of them have keypoints. */
export function headPoints(value: Float32Array, names: KeypointNames): Point[] | undefined {
  const keypoints = HEAD.map((name) => names[name]);
  return keypoints.every((keypoint) => keypoint !== undefined)
    ? keypoints.map((keypoint) => pointAt(value, keypoint))
    : undefined;
}

/** How far a map takes a point. */
export function wayOf(map: Affine, from: Point): Point {
  const to = carried(map, from);
  return [to[0] - from[0], to[1] - from[1]];
}

/**
 * How much each keypoint has gone along with the head, 0 to 1: those with a name 1 (all, if none has one), of the others how much of
 * their way lies along that on which the head would have taken them; 0 where their way is not told (`withUntold`).
 *
 * @param byHead how far the head takes a point from the reference to the driving frame
 */
export function headShares(
  reference: Float32Array,
  driving: Float32Array,
  names: KeypointNames,
  byHead: (point: Point) => Point,
): Float32Array {
  const named = new Set(Object.values(names));
  return Float32Array.from({ length: reference.length / 2 }, (_, keypoint) => {
    if (named.size === 0 || named.has(keypoint)) return 1;
    const from = pointAt(reference, keypoint);
    const [x, y] = byHead(from);
    const square = x ** 2 + y ** 2;
    const [toX, toY] = pointAt(driving, keypoint);
    const along = square > 0 ? ((toX - from[0]) * x + (toY - from[1]) * y) / square : 0;
    return along > 0 ? Math.min(1, along) : 0; // not a number where it is not told
  });
}

/** Below the chin, in heights of the face, where nothing goes along any more. */
const SHOULDERS = 0.35;

/**
 * Keypoints of a portrait of which the driver told only some: those that are not numbers go along with the head, if they are on it.
 *
 * @param portrait all of them, where the portrait has them
 */
export function withUntold(moved: Float32Array, portrait: Float32Array, names: KeypointNames): Float32Array {
  if (!moved.some(Number.isNaN)) return moved;
  const [from, to] = [headPoints(portrait, names), headPoints(moved, names)];
  const [top, chin] = [names.forehead, names.chin].map((keypoint) => pointAt(portrait, keypoint!)) as [Point, Point];
  const carry = affineBetween(from!, to!);
  const [x, y] = [chin[0] - top[0], chin[1] - top[1]];
  const square = x ** 2 + y ** 2;
  const named = new Set(Object.values(names));
  return moved.map((value, i) => {
    if (!Number.isNaN(value)) return value;
    const keypoint = i >> 1;
    const point = pointAt(portrait, keypoint);
    const below = ((point[0] - chin[0]) * x + (point[1] - chin[1]) * y) / square;
    const share = named.has(keypoint) ? 1 : Math.min(1, Math.max(0, 1 - below / SHOULDERS));
    return point[i % 2]! + share * wayOf(carry, point)[i % 2]!;
  });
}
