// How a head's yaw, pitch and roll turn what belongs to it, as the published code of OSFV (face-vid2vid) has it.
import type { Matrix3 } from './rotation.js';

/** Radians in half a turn: the published code writes 3.14 for pi, and its weights have learned to be turned so. */
export const HALF_TURN = 3.14;

/** R = Rx(pitch) Ry(yaw) Rz(roll) of yaw, pitch and roll in degrees. */
export function headRotation(angles: ArrayLike<number>): Matrix3 {
  const [yaw, pitch, roll] = Array.from(angles, (degrees) => (degrees / 180) * HALF_TURN) as [number, number, number];
  const [cy, sy, cp, sp, cr, sr] = [yaw, pitch, roll].flatMap((angle) => [Math.cos(angle), Math.sin(angle)]) as [
    ...[number, number, number, number, number, number],
  ];
  return [
    ...[cy * cr, -cy * sr, sy],
    ...[cp * sr + sp * sy * cr, cp * cr - sp * sy * sr, -sp * cy],
    ...[sp * sr - cp * sy * cr, sp * cr + cp * sy * sr, cp * cy],
  ];
}
