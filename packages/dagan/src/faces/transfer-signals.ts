// The six signals by which it is judged whether an animation moves as its driver: how far mouth, corners, lids, brows and irises are.
import { FrontalFace } from './frontal-face.js';
import type { HeadPose } from './pose.js';

/**
 * The signals. Lengths count in distances between the outer corners of the face's own eyes, on the refined mesh turned to the
 * front: they change neither with the picture's size nor with the head's pose, and from face to face they are of one scale.
 *
 * - `mouthOpening`: distance between the lips (mesh points 13 and 14)
 * - `mouthWidth`: distance between the corners of the mouth (61 and 291)
 * - `smile`: height of these corners, seen from the root of the upper lip (2), which the jaw does not move
 * - `lids`: distance between the lids (159 and 145, 386 and 374), the mean of both eyes
 * - `brows`: height of the brows above the corners of the eyes, the mean of both sides
 * - `gaze`: how far irises are from the middles of their eyes towards the right of the picture, the mean of both eyes
 */
export const TRANSFER_SIGNALS = ['mouthOpening', 'mouthWidth', 'smile', 'lids', 'brows', 'gaze'] as const;

/** The name of a signal. */
export type TransferSignal = (typeof TRANSFER_SIGNALS)[number];

/** All signals of one face in one picture. */
export type TransferSignals = Record<TransferSignal, number>;

/** The signals in words. */
export const TRANSFER_SIGNAL_LABELS: Readonly<Record<TransferSignal, string>> = {
  mouthOpening: 'mouth opening',
  mouthWidth: 'mouth width',
  smile: 'smile',
  lids: 'lids',
  brows: 'brows',
  gaze: 'gaze',
};

/** Corners of each eye, points of the brow above it, and the iris. */
const EYES = [
  { corners: [33, 133], brow: [55, 107, 46, 70, 53, 63], iris: [468, 469, 470, 471, 472] },
  { corners: [263, 362], brow: [285, 336, 276, 300, 283, 293], iris: [473, 474, 475, 476, 477] },
] as const;

/**
 * Measures the signals of a face.
 *
 * @param mesh a refined mesh (478 points)
 * @param pose its pose, which is taken out
 * @throws TypeError if the mesh is the plain one
 */
export function transferSignals(
  { points }: { points: Float64Array },
  { rotation }: Pick<HeadPose, 'rotation'>,
): TransferSignals {
  const face = new FrontalFace(points, rotation);
  const height = (...indices: readonly number[]): number => face.mean(...indices)[1] / face.unit;
  const meanOf = (values: readonly number[]): number => values.reduce((sum, each) => sum + each, 0) / values.length;
  return {
    mouthOpening: face.apart([13], [14]),
    mouthWidth: face.apart([61], [291]),
    smile: height(61, 291) - height(2),
    lids: (face.apart([159], [145]) + face.apart([386], [374])) / 2,
    brows: meanOf(EYES.map(({ corners, brow }) => height(...brow) - height(...corners))),
    gaze: meanOf(EYES.map(({ corners, iris }) => (face.mean(...iris)[0] - face.mean(...corners)[0]) / face.unit)),
  };
}
