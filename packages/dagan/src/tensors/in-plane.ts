// What moves, as it is drawn on pictures.
import type { KeypointSet } from './keypoint-set.js';
import { type MotionSpace, PLANE } from './motion-space.js';

/** What is seen of what moves in the plane, for pictures: of keypoints in space x and y, of a code nothing. */
export function inPlane({ value, jacobian }: KeypointSet, { dimensions, matrices }: MotionSpace = PLANE): KeypointSet {
  const shown = matrices === 'jacobians' ? jacobian : null;
  if (dimensions === 2) return { value, jacobian: shown };
  if (dimensions === 1) return { value: new Float32Array(0), jacobian: null };
  return {
    value: value.filter((_, i) => i % 3 < 2),
    jacobian: shown?.filter((_, i) => i % 9 < 5 && i % 3 < 2) ?? null, // the upper left 2x2 of each 3x3
  };
}
