// Angles of a portrait's head, chosen instead of taken from a driver: they stand still or go from some to others.
import type { HeadAngles } from '../animation/free-view.js';
import type { MotionTemplate } from '../animation/motion-template.js';

/** Yaw, pitch and roll in degrees, each one angle all the time, or two to go from and to; what is left out stays the portrait's. */
export type HeadTurn = { readonly [Angle in keyof HeadAngles]?: number | readonly [from: number, to: number] };

/** Whether any of the angles changes. */
export const isSweep = (turn: HeadTurn): boolean =>
  Object.values(turn).some((angle) => typeof angle === 'object' && angle[0] !== angle[1]);

/** The angles when a turn is as far as `share`, from 0 to 1. It begins and ends gently, as heads do. */
export function anglesAt(turn: HeadTurn, share: number): HeadAngles {
  const gone = (1 - Math.cos(Math.PI * share)) / 2;
  const at = (angle: number | readonly [number, number]): number =>
    typeof angle === 'number' ? angle : angle[0] + gone * (angle[1] - angle[0]);
  const chosen = Object.entries(turn).filter(([, angle]) => angle !== undefined);
  return Object.fromEntries(chosen.map(([name, angle]) => [name, at(angle)]));
}

/** Seconds from the first angles to the last, and frames per second. */
const SECONDS = 2;
const FRAME_RATE = 25;

/** The share of a sweep over time as a template of this one number, which is then played as templates are. */
export const SWEEP: MotionTemplate = {
  frames: [0, 1].map((share) => ({
    keypoints: { value: Float32Array.of(share), jacobian: null },
    timestamp: share * SECONDS,
    hasFace: true,
  })),
  duration: SECONDS + 1 / FRAME_RATE, // the last angles are shown too
  frameRate: FRAME_RATE,
  reference: { value: Float32Array.of(0), jacobian: null },
  names: {},
  model: undefined,
};
