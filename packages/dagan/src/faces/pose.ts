// The pose of the head: the rotation that takes the canonical face to a mesh.
import { rigidFit } from '../geometry/rigid-fit.js';
import type { Matrix3 } from '../geometry/rotation.js';
import type { CanonicalFace } from './face-models.js';

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
  // Pictures have y down and depth away from the viewer.
  const turned = Float64Array.from({ length: canonical.points.length }, (_, i) => (i % 3 === 0 ? 1 : -1) * points[i]!);
  const { rotation, scale } = rigidFit(canonical.points, turned, canonical.weights);
  const degrees = 180 / Math.PI;
  return {
    yaw: -Math.asin(Math.min(1, Math.max(-1, rotation[6]!))) * degrees,
    pitch: Math.atan2(rotation[7]!, rotation[8]!) * degrees,
    roll: Math.atan2(-rotation[3]!, rotation[0]!) * degrees,
    rotation,
    scale,
  };
}
