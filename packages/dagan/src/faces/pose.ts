// The pose of the head: the rotation that takes the canonical face to a mesh.
import type { CanonicalFace } from './assets.js';
import { type Matrix3, nearestRotation } from './geometry.js';

/** Angles in degrees; all are 0 for a face that looks straight at the camera. */
export type HeadPose = {
  /** Positive where the face turns towards the right edge of the picture. */
  yaw: number;
  /** Positive where it looks down. A person's face shape shifts it by up to about 10 degrees, always the same way. */
  pitch: number;
  /** Positive where the picture is turned clockwise. */
  roll: number;
  /** Takes canonical axes (x right, y up, z towards the viewer) to those of the face: Rz(-roll) Ry(yaw) Rx(pitch). */
  rotation: Matrix3;
  /** Pixels per centimetre of the canonical face. */
  scale: number;
};

/**
 * Fits the canonical face to a mesh by rotation, translation and scale, with the canonical face's weights (Kabsch
 * 1976). Seen without perspective: the mesh's depth is in pixels too.
 */
export function headPose(points: Float64Array, canonical: CanonicalFace): HeadPose {
  const { weights } = canonical;
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const meanOf = (source: Float64Array): number[] =>
    [0, 1, 2].map((axis) => weights.reduce((sum, w, i) => sum + w * source[i * 3 + axis]!, 0) / total);
  const [from, to] = [meanOf(canonical.points), meanOf(points)];
  const covariance = new Array<number>(9).fill(0);
  let spread = 0;
  for (const [i, weight] of weights.entries()) {
    if (weight === 0) continue;
    const a = [0, 1, 2].map((axis) => canonical.points[i * 3 + axis]! - from[axis]!);
    // Pictures have y down and depth away from the viewer.
    const b = [0, 1, 2].map((axis) => (axis === 0 ? 1 : -1) * (points[i * 3 + axis]! - to[axis]!));
    for (let row = 0; row < 3; row++) {
      for (let column = 0; column < 3; column++) {
        covariance[row * 3 + column] = covariance[row * 3 + column]! + weight * b[row]! * a[column]!;
      }
    }
    spread += weight * (a[0]! ** 2 + a[1]! ** 2 + a[2]! ** 2);
  }
  const rotation = nearestRotation(covariance);
  const scale = rotation.reduce((sum, value, index) => sum + value * covariance[index]!, 0) / spread;
  const degrees = 180 / Math.PI;
  return {
    yaw: -Math.asin(Math.min(1, Math.max(-1, rotation[6]!))) * degrees,
    pitch: Math.atan2(rotation[7]!, rotation[8]!) * degrees,
    roll: Math.atan2(-rotation[3]!, rotation[0]!) * degrees,
    rotation,
    scale,
  };
}
