// The frame of a driving clip from which relative motion is measured: the one whose face is most like the portrait's in
// pose and expression, as in the best-frame search of the first-order motion model's demo (Siarohin et al., 2019).
import type { ExpressionSignals } from '../faces/expression.js';
import type { HeadPose } from '../faces/pose.js';
import { type MotionSpace, PLANE } from '../tensors/motion-space.js';
import { sizeOf } from './transfer.js';

/** What a frame looks like to the search: numbers whose differences count alike. */
export type Look = readonly number[];

/** Pose and expression of a face, in steps that are about equally conspicuous. */
const STEPS = {
  // Degrees. Pitch depends on the shape of a person's face, so it says less.
  yaw: 6,
  pitch: 12,
  roll: 6,
  eyeOpen: 0.05,
  eyesApart: 0.06,
  gazeSide: 0.3,
  browInner: 0.08,
  browGap: 0.08,
  lipsParted: 0.06,
  jawDrop: 0.1,
  mouthWidth: 0.08,
  mouthCorners: 0.05,
} as const;

/** Eyes that are open further are simply open: how far differs from person to person. */
const OPEN = 0.22;

/**
 * The look of a face. The published search compares landmarks, in which people's features count as much as what they
 * do: it then takes winking and frowning frames for smiling portraits. This one compares pose, eyes, brows and mouth.
 */
export function faceLook(
  { yaw, pitch, roll }: Pick<HeadPose, 'yaw' | 'pitch' | 'roll'>,
  signals: ExpressionSignals,
): Look {
  const { eyeOpenRight, eyeOpenLeft } = signals;
  return [
    yaw / STEPS.yaw,
    pitch / STEPS.pitch,
    roll / STEPS.roll,
    Math.min(eyeOpenRight, OPEN) / STEPS.eyeOpen,
    Math.min(eyeOpenLeft, OPEN) / STEPS.eyeOpen,
    (eyeOpenRight - eyeOpenLeft) / STEPS.eyesApart,
    signals.gazeSide / STEPS.gazeSide,
    signals.browInnerRight / STEPS.browInner,
    signals.browInnerLeft / STEPS.browInner,
    signals.browGap / STEPS.browGap,
    signals.lipsParted / STEPS.lipsParted,
    signals.jawDrop / STEPS.jawDrop,
    signals.mouthWidth / STEPS.mouthWidth,
    signals.mouthCorners / STEPS.mouthCorners,
  ];
}

/**
 * The look of a model's keypoints, for pictures without a human face: their places relative to their middle, in units
 * of the square root of their convex hull's area (the published search's normalisation). A latent code is taken as it is.
 *
 * @param value of every keypoint: [K, D]
 */
export function keypointLook(value: ArrayLike<number>, space: MotionSpace = PLANE): Look {
  const { dimensions } = space;
  if (dimensions === 1) return Array.from(value);
  const count = value.length / dimensions;
  const middle = new Array<number>(dimensions).fill(0);
  for (let i = 0; i < value.length; i++) middle[i % dimensions] = middle[i % dimensions]! + value[i]! / count;
  const unit = Math.sqrt(sizeOf(value, space)) || 1;
  return Array.from(value, (coordinate, i) => (coordinate - middle[i % dimensions]!) / unit);
}

/** Which look is nearest to the portrait's: the first of those with the least sum of squared differences. */
export function nearestLook(portrait: Look, frames: readonly Look[]): number {
  let [best, least] = [-1, Infinity];
  for (const [index, look] of frames.entries()) {
    if (look.length !== portrait.length) throw new RangeError('looks of different kinds cannot be compared');
    const distance = look.reduce((sum, value, at) => sum + (value - portrait[at]!) ** 2, 0);
    if (distance < least || best < 0) [best, least] = [index, distance];
  }
  if (best < 0) throw new RangeError('there are no frames to choose from');
  return best;
}
