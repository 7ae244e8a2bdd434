// PRMSE: the error of the head's pose (Ha et al., "MarioNETte", 2020).
import type { HeadPose } from '../../faces/pose.js';
import { median } from '../statistics.js';

/** A pose's angles in degrees. */
export type PoseAngles = Pick<HeadPose, 'yaw' | 'pitch' | 'roll'>;

/**
 * `sqrt(mean of the squared differences of yaw, pitch and roll)` in degrees; 0 for the same pose. The root mean square over
 * frames is the PRMSE of a clip.
 *
 * A person's features shift the pitch that is read off by up to some ten degrees, always the same way. It cancels where both
 * faces are one person's; across persons see `withoutMedianPitch`.
 */
export function poseError(a: PoseAngles, b: PoseAngles): number {
  const square = (x: number, y: number): number => (((((x - y + 180) % 360) + 360) % 360) - 180) ** 2;
  return Math.sqrt((square(a.yaw, b.yaw) + square(a.pitch, b.pitch) + square(a.roll, b.roll)) / 3);
}

/**
 * The poses of a clip with the median of its pitches taken off, which is the person's features' share (and the camera's).
 * A constant error of the pitch goes with it.
 */
export function withoutMedianPitch(poses: readonly PoseAngles[]): PoseAngles[] {
  const middle = median(poses.map(({ pitch }) => pitch));
  return poses.map(({ yaw, pitch, roll }) => ({ yaw, pitch: pitch - middle, roll }));
}
