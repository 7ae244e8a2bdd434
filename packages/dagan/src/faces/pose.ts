// The pose of the head: the rotation that takes the canonical face to a mesh.
import type { CanonicalFace } from './face-models.js';
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
  // Pictures have y down and depth away from the viewer.
  const signs = [1, -1, -1] as const;
  let total = 0;
  const [from, to] = [
    [0, 0, 0],
    [0, 0, 0],
  ];
  for (const [i, weight] of weights.entries()) {
    if (weight === 0) continue;
    total += weight;
    for (let axis = 0; axis < 3; axis++) {
      from[axis]! += weight * canonical.points[i * 3 + axis]!;
      to[axis]! += weight * points[i * 3 + axis]!;
    }
  }
  const covariance = new Array<number>(9).fill(0);
  let spread = 0;
  for (const [i, weight] of weights.entries()) {
    if (weight === 0) continue;
    for (let column = 0; column < 3; column++) {
      const a = canonical.points[i * 3 + column]! - from[column]! / total;
      for (let row = 0; row < 3; row++) {
        covariance[row * 3 + column]! += weight * signs[row]! * (points[i * 3 + row]! - to[row]! / total) * a;
      }
      spread += weight * a ** 2;
    }
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
