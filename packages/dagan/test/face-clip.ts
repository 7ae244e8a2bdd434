// A clip of a face of sorts, drawn by a formula, with landmarks of the face mesh where the face is.
import { readFileSync } from 'node:fs';
import { cat, type Tensor, tensor } from '@dagan/libtorch';
import { faceModelPath } from '../src/face-models.js';
import { FACE_MODELS, readCanonicalFace } from '../src/faces/face-models.js';
import { TRAVELLING_POINTS } from '../src/faces/landmarks.js';
import { createPicture, type Picture } from '../src/media/index.js';
import { pictureToTensor } from '../src/tensors/pictures.js';
import type { FramePair } from '../src/training/animation/pair.js';

/** How the face stands in a frame of 64 x 64: its place, and how far the mouth is open. */
type Stance = readonly [dx: number, dy: number, mouth: number];

/** Of the clip's frames. */
const STANCES: readonly Stance[] = [
  [0, 0, 0.6],
  [6, 2, 1],
  [-5, 0, 1.6],
  [2, -4, 1],
];

/** An oval with two eyes and a mouth before a slope of colours. */
function face([dx, dy, mouth]: Stance, side: number): Picture {
  const picture = createPicture(side, side);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const [u, v] = [((x * 64) / side - 32 - dx) / 18, ((y * 64) / side - 32 - dy) / 24];
      const soft = (distance: number): number => 1 / (1 + Math.exp(8 * (distance - 1)));
      const skin = soft(Math.hypot(u, v));
      const dark = Math.max(
        soft(Math.hypot((Math.abs(u) - 0.4) * 6, (v + 0.25) * 7)),
        soft(Math.hypot(u * 3, ((v - 0.5) * 8) / mouth)),
      );
      const colours = [
        0.8 * skin + (0.2 + (0.2 * x) / side) * (1 - skin),
        0.6 * skin + 0.3 * (1 - skin),
        0.5 * skin + ((0.6 * y) / side) * (1 - skin),
      ];
      for (const [channel, value] of colours.entries()) {
        picture.data[3 * (y * side + x) + channel] = Math.round(255 * value * (1 - 0.8 * dark * skin));
      }
    }
  }
  return picture;
}

/** The clip's frames. */
export const faceClip = (side: number): Picture[] => STANCES.map((stance) => face(stance, side));

/** Lips of the face mesh, which follow the mouth. */
const LOWER_LIP = new Set([14, 17, 84, 87, 88, 91, 95, 146, 178, 181, 314, 317, 318, 321, 324, 375, 402, 405]);

/** Landmarks [P, 3] of the points that travel with pictures, of a mesh that stands as the face does. */
export function landmarksOfFrame(frame: number): number[][] {
  const [dx, dy, mouth] = STANCES[frame]!;
  const { points } = readCanonicalFace(readFileSync(faceModelPath(FACE_MODELS.canonicalFace)));
  return TRAVELLING_POINTS.map((point) => {
    const [x, y] = [points[3 * point]!, points[3 * point + 1]!];
    const open = LOWER_LIP.has(point) ? 0.06 * mouth : 0;
    return [dx / 32 + x / 13, dy / 32 - y / 13 + open, 1];
  });
}

/** Every frame of the clip rebuilt from the one before it. */
export function facePairs(clip: readonly Picture[], { landmarks = false } = {}): FramePair {
  const after = <T>(values: readonly T[]): T[] => [...values.slice(1), values[0]!];
  const frames: Tensor[] = clip.map((picture) => pictureToTensor(picture));
  const pair = { source: cat(frames, 0), driving: cat(after(frames), 0) };
  if (!landmarks) return pair;
  const places = clip.map((_, i) => landmarksOfFrame(i));
  const drivers = after(places);
  return { ...pair, landmarks: tensor(places.map((source, i) => [source, drivers[i]!])) };
}
