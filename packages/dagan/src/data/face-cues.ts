// What training is told of the faces in a clip, from meshes that were found once: where landmarks are in every frame, and
// how much two frames differ in expression and turn.
import { TRAVELLING_POINTS } from '../faces/landmarks.js';
import { type ClipMeshes, REFINED_POINTS } from './face-meshes.js';

/** Landmarks of all frames of a clip. It lies in memory that threads share. */
export type ClipLandmarks = {
  frames: number;
  /** x, y of the `TRAVELLING_POINTS` in parts of the frame's side, [frames, P, 2]; NaN in frames without a face. */
  places: Float32Array<SharedArrayBuffer>;
};

/** Takes the landmarks out of a clip's meshes. */
export function landmarksOf({ frames, points }: ClipMeshes): ClipLandmarks {
  const count = TRAVELLING_POINTS.length;
  const places = new Float32Array(new SharedArrayBuffer(frames * count * 2 * 4));
  for (let frame = 0; frame < frames; frame++) {
    for (const [i, point] of TRAVELLING_POINTS.entries()) {
      const from = (frame * REFINED_POINTS + point) * 3;
      const to = (frame * count + i) * 2;
      places[to] = points[from]!;
      places[to + 1] = points[from + 1]!;
    }
  }
  return { frames, places };
}

/** How far two points of the mesh are from each other. */
type Distance = (first: number, second: number) => number;

/**
 * Lengths on the face that change with its expression and as the head turns, each with the change that counts as one: speech,
 * smiles, blinks, and some ten degrees, which uncover what is to be painted.
 */
const SIGNALS: readonly { length: (apart: Distance) => number; unit: number }[] = [
  { length: (apart) => apart(13, 14), unit: 0.03 }, // mouth opening
  { length: (apart) => apart(61, 291), unit: 0.04 }, // mouth width
  { length: (apart) => (apart(159, 145) + apart(386, 374)) / 2, unit: 0.015 }, // lids
  { length: (apart) => (apart(105, 159) + apart(334, 386)) / 2, unit: 0.02 }, // brows over lids
  { length: (apart) => apart(1, 234) - apart(1, 454), unit: 0.15 }, // nose between the cheeks' sides
];

/** How many they are. */
export const EXPRESSION_SIGNALS = SIGNALS.length;

/** Forehead to chin, in which the lengths are measured. */
const FACE_HEIGHT = [10, 152] as const;

/** Expression and turn of every frame, [frames, 5], in units of noticeable change; NaN in frames without a face. */
export function expressionsOf({ frames, places }: ClipLandmarks): Float32Array {
  const count = TRAVELLING_POINTS.length;
  const place = new Map(TRAVELLING_POINTS.map((point, i) => [point, i]));
  const result = new Float32Array(frames * SIGNALS.length);
  for (let frame = 0; frame < frames; frame++) {
    const apart: Distance = (first, second) => {
      const [from, to] = [(frame * count + place.get(first)!) * 2, (frame * count + place.get(second)!) * 2];
      return Math.hypot(places[from]! - places[to]!, places[from + 1]! - places[to + 1]!);
    };
    const height = apart(...FACE_HEIGHT);
    for (const [i, { length, unit }] of SIGNALS.entries()) {
      result[frame * SIGNALS.length + i] = length(apart) / height / unit;
    }
  }
  return result;
}

/** How much two frames of a clip differ in expression and turn: Euclidean, in units of noticeable change; 0 without a face. */
export function expressionDistance(expressions: Float32Array, first: number, second: number): number {
  const length = SIGNALS.length;
  let sum = 0;
  for (let i = 0; i < length; i++) sum += (expressions[first * length + i]! - expressions[second * length + i]!) ** 2;
  return Number.isNaN(sum) ? 0 : Math.sqrt(sum);
}
