// What training is told of the faces in a clip, from meshes that were found once: where landmarks are in every frame, and
// how much the expressions of two frames differ.
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

/** Lengths on the face that change with its expression, each with the change that counts as one: speech, smiles, blinks. */
const SIGNALS: readonly { points: readonly (readonly [number, number])[]; unit: number }[] = [
  { points: [[13, 14]], unit: 0.03 }, // mouth opening
  { points: [[61, 291]], unit: 0.04 }, // mouth width
  {
    points: [
      [159, 145],
      [386, 374],
    ],
    unit: 0.015,
  }, // lids
  {
    points: [
      [105, 159],
      [334, 386],
    ],
    unit: 0.02,
  }, // brows over lids
];

/** Forehead to chin, in which the lengths are measured. */
const FACE_HEIGHT = [10, 152] as const;

/** The expression of every frame, [frames, 4], in units of noticeable change; NaN in frames without a face. */
export function expressionsOf({ frames, places }: ClipLandmarks): Float32Array {
  const count = TRAVELLING_POINTS.length;
  const place = new Map(TRAVELLING_POINTS.map((point, i) => [point, i]));
  const result = new Float32Array(frames * SIGNALS.length);
  for (let frame = 0; frame < frames; frame++) {
    const distance = ([a, b]: readonly [number, number]): number => {
      const [from, to] = [(frame * count + place.get(a)!) * 2, (frame * count + place.get(b)!) * 2];
      return Math.hypot(places[from]! - places[to]!, places[from + 1]! - places[to + 1]!);
    };
    const height = distance(FACE_HEIGHT);
    for (const [i, { points, unit }] of SIGNALS.entries()) {
      const mean = points.reduce((sum, pair) => sum + distance(pair), 0) / points.length;
      result[frame * SIGNALS.length + i] = mean / height / unit;
    }
  }
  return result;
}

/** How much the expressions of two frames of a clip differ: Euclidean, in units of noticeable change; 0 without a face. */
export function expressionDistance(expressions: Float32Array, first: number, second: number): number {
  const length = SIGNALS.length;
  let sum = 0;
  for (let i = 0; i < length; i++) sum += (expressions[first * length + i]! - expressions[second * length + i]!) ** 2;
  return Number.isNaN(sum) ? 0 : Math.sqrt(sum);
}
