// Faces turned to the front and back again, in the axes of pictures, and what is measured on them.
import type { Matrix3 } from '../../geometry/rotation.js';
import { EYE_CORNERS, EYES } from './face-surface.js';

/**
 * The rotation that takes a face seen from the front to that of a picture: y down, z away from the viewer.
 *
 * @param rotation of a `HeadPose`, in canonical axes: y up, z towards the viewer
 */
export function pictureRotation(rotation: Matrix3): Matrix3 {
  return rotation.map((value, at) => (at === 0 || (at % 3 > 0 && at > 3) ? value : -value));
}

/** Distance between the outer corners of the eyes, the unit of length of a face seen from the front. */
export function eyeDistance(points: ArrayLike<number>): number {
  return distance(points, ...EYE_CORNERS);
}

/** How far either eye is open: the mean distance of its lids, in the unit of the face. */
export function eyesOpen(points: ArrayLike<number>): [right: number, left: number] {
  const unit = eyeDistance(points);
  const open = EYES.map(({ upper, lower }) => {
    const sum = upper.reduce((total, index, i) => total + distance(points, index, lower[i]!), 0);
    return sum / (upper.length - 2) / unit; // the corners are both lids'
  });
  return open as [number, number];
}

function distance(points: ArrayLike<number>, a: number, b: number): number {
  return Math.hypot(points[a * 3]! - points[b * 3]!, points[a * 3 + 1]! - points[b * 3 + 1]!);
}

/** From 0 to 1 as `value` goes from 0 to 1, smoothly. */
export function rising(value: number): number {
  const t = Math.min(1, Math.max(0, value));
  return t * t * (3 - 2 * t);
}
