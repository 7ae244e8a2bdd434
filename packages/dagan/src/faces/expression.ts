// What a face does, from the refined mesh alone: lids, brows, gaze, mouth and jaw as lengths on the face turned to the
// front, and which of them are away from rest. A stand-in for action units (Ekman and Friesen, 1978) that needs no
// classifier; figures made with it compare with each other, not with those of OpenFace.
import { FrontalFace } from './frontal-face.js';
import type { HeadPose } from './pose.js';

/**
 * The signals. Sides are the person's; lengths count in distances between the outer corners of the eyes, on the face
 * turned to the front, so that they do not change with the picture's size or the head's pose.
 *
 * - `eyeOpenRight`, `eyeOpenLeft`: distance of the lids over the width of that eye; about 0.3 open, below 0.1 closed
 * - `browInnerRight`, `browInnerLeft`, `browOuterRight`, `browOuterLeft`: height of that part of the brow above the eye
 * - `browGap`: distance between the brows
 * - `gazeSide`: place of the irises between the corners of the eyes, from -1 (the person's right) to 1 (left)
 * - `gazeUp`: height of the irises above the line through the corners of their eye, over the eye's width
 * - `lipsParted`: distance between the lips
 * - `jawDrop`: distance from the root of the nose to the chin
 * - `mouthWidth`: distance between the corners of the mouth
 * - `mouthCorners`: height of the corners of the mouth above the middle of the lips
 * - `upperLip`: distance between nose and upper lip
 * - `noseWrinkle`: distance from the inner corners of the eyes to the wings of the nose
 */
export const EXPRESSION_SIGNALS = [
  'eyeOpenRight',
  'eyeOpenLeft',
  'browInnerRight',
  'browInnerLeft',
  'browOuterRight',
  'browOuterLeft',
  'browGap',
  'gazeSide',
  'gazeUp',
  'lipsParted',
  'jawDrop',
  'mouthWidth',
  'mouthCorners',
  'upperLip',
  'noseWrinkle',
] as const;

/** The name of a signal. */
export type ExpressionSignal = (typeof EXPRESSION_SIGNALS)[number];

/** All signals of one face in one picture. */
export type ExpressionSignals = Record<ExpressionSignal, number>;

/**
 * Measures the signals of a face.
 *
 * @param mesh a refined mesh (478 points)
 * @param pose its pose, which is taken out: `FaceAnalyzer.pose(mesh)`, or `headPose`
 * @throws TypeError if the mesh is the plain one, which follows neither blinks nor frowns
 */
export function expressionSignals(
  { points }: { points: Float64Array },
  { rotation }: Pick<HeadPose, 'rotation'>,
): ExpressionSignals {
  const face = new FrontalFace(points, rotation);
  const eyes = [
    { outer: 33, inner: 133, lids: [160, 144, 159, 145, 158, 153], iris: 468 },
    { outer: 263, inner: 362, lids: [387, 373, 386, 374, 385, 380], iris: 473 },
  ].map(({ outer, inner, lids, iris }) => {
    const width = face.distance(outer, inner);
    const openings = [0, 2, 4].map((k) => face.distance(lids[k]!, lids[k + 1]!));
    const middle = face.mean(outer, inner);
    const [irisX, irisY] = face.mean(iris, iris + 1, iris + 2, iris + 3, iris + 4);
    return {
      height: middle[1],
      openness: openings.reduce((sum, opening) => sum + opening, 0) / 3 / width,
      side: (irisX - middle[0]) / (width / 2),
      up: (irisY - middle[1]) / width,
    };
  });
  const [right, left] = eyes as [(typeof eyes)[number], (typeof eyes)[number]];
  const brow = (eye: typeof right, ...indices: number[]): number => (face.mean(...indices)[1] - eye.height) / face.unit;
  return {
    eyeOpenRight: right.openness,
    eyeOpenLeft: left.openness,
    browInnerRight: brow(right, 55, 107),
    browInnerLeft: brow(left, 285, 336),
    browOuterRight: brow(right, 46, 70, 53, 63),
    browOuterLeft: brow(left, 276, 300, 283, 293),
    browGap: face.apart([55, 107], [285, 336]),
    gazeSide: (right.side + left.side) / 2,
    gazeUp: (right.up + left.up) / 2,
    lipsParted: face.apart([13, 82, 312], [14, 87, 317]),
    jawDrop: face.apart([6, 168], [152, 148, 377]),
    mouthWidth: face.apart([61], [291]),
    mouthCorners: (face.mean(61, 291)[1] - face.mean(0, 13, 14, 17)[1]) / face.unit,
    upperLip: face.apart([2], [0]),
    noseWrinkle: (face.apart([133], [64, 48]) + face.apart([362], [294, 278])) / 2,
  };
}

/** What a face can be doing: a signal that is further from rest than a threshold, up or down. */
export type ExpressionUnit = {
  name: string;
  signal: ExpressionSignal;
  /** Change of the signal from rest beyond which the unit is on; negative where it must fall. */
  threshold: number;
  /** The action unit of the Facial Action Coding System whose stand-in this is. */
  actionUnit: string;
};

/**
 * The units, in the order of the results of `expressionUnits`. Each threshold is at least what turning a picture by 10
 * degrees and scaling it by 0.92 changes the signal by in nine faces of ten, and is passed in 4 to 19 of 100 frames of
 * talking people. Where an eye is closed, its gaze is a guess of the mesh.
 */
export const EXPRESSION_UNITS: readonly ExpressionUnit[] = [
  { name: 'rightEyeClosed', signal: 'eyeOpenRight', threshold: -0.1, actionUnit: 'AU45' },
  { name: 'leftEyeClosed', signal: 'eyeOpenLeft', threshold: -0.1, actionUnit: 'AU45' },
  { name: 'rightEyeWide', signal: 'eyeOpenRight', threshold: 0.06, actionUnit: 'AU5' },
  { name: 'leftEyeWide', signal: 'eyeOpenLeft', threshold: 0.06, actionUnit: 'AU5' },
  { name: 'rightInnerBrowRaised', signal: 'browInnerRight', threshold: 0.02, actionUnit: 'AU1' },
  { name: 'leftInnerBrowRaised', signal: 'browInnerLeft', threshold: 0.02, actionUnit: 'AU1' },
  { name: 'rightOuterBrowRaised', signal: 'browOuterRight', threshold: 0.02, actionUnit: 'AU2' },
  { name: 'leftOuterBrowRaised', signal: 'browOuterLeft', threshold: 0.02, actionUnit: 'AU2' },
  { name: 'rightBrowLowered', signal: 'browInnerRight', threshold: -0.015, actionUnit: 'AU4' },
  { name: 'leftBrowLowered', signal: 'browInnerLeft', threshold: -0.015, actionUnit: 'AU4' },
  { name: 'browsDrawnTogether', signal: 'browGap', threshold: -0.012, actionUnit: 'AU4' },
  { name: 'gazeRight', signal: 'gazeSide', threshold: -0.1, actionUnit: 'AU62' },
  { name: 'gazeLeft', signal: 'gazeSide', threshold: 0.1, actionUnit: 'AU61' },
  { name: 'gazeUp', signal: 'gazeUp', threshold: 0.03, actionUnit: 'AU63' },
  { name: 'gazeDown', signal: 'gazeUp', threshold: -0.03, actionUnit: 'AU64' },
  { name: 'lipsParted', signal: 'lipsParted', threshold: 0.04, actionUnit: 'AU25' },
  { name: 'lipsClosed', signal: 'lipsParted', threshold: -0.04, actionUnit: 'AU24' },
  { name: 'jawDropped', signal: 'jawDrop', threshold: 0.04, actionUnit: 'AU26' },
  { name: 'mouthStretched', signal: 'mouthWidth', threshold: 0.04, actionUnit: 'AU20' },
  { name: 'mouthNarrowed', signal: 'mouthWidth', threshold: -0.04, actionUnit: 'AU18' },
  { name: 'cornersRaised', signal: 'mouthCorners', threshold: 0.02, actionUnit: 'AU12' },
  { name: 'cornersLowered', signal: 'mouthCorners', threshold: -0.02, actionUnit: 'AU15' },
  { name: 'upperLipRaised', signal: 'upperLip', threshold: -0.02, actionUnit: 'AU10' },
  { name: 'noseWrinkled', signal: 'noseWrinkle', threshold: -0.015, actionUnit: 'AU9' },
];

/** The clip's face at rest: the median of every signal over its frames. `frames` must not be empty. */
export function neutralExpression(frames: readonly ExpressionSignals[]): ExpressionSignals {
  if (frames.length === 0) throw new RangeError('there are no frames to find the face at rest in');
  const median = (signal: ExpressionSignal): number => {
    const values = frames.map((frame) => frame[signal]).sort((a, b) => a - b);
    const middle = values.length >> 1;
    return values.length % 2 === 1 ? values[middle]! : (values[middle - 1]! + values[middle]!) / 2;
  };
  return Object.fromEntries(EXPRESSION_SIGNALS.map((signal) => [signal, median(signal)])) as ExpressionSignals;
}

/**
 * Which units are on in every frame of a clip: `[frames][EXPRESSION_UNITS]`.
 *
 * @param frames the signals of the clip's frames, of one person
 * @param neutral the face at rest, by default that of these frames: a person's features then do not count, only what
 *   they do
 */
export function expressionUnits(
  frames: readonly ExpressionSignals[],
  neutral: ExpressionSignals = neutralExpression(frames),
): boolean[][] {
  return frames.map((frame) =>
    EXPRESSION_UNITS.map(({ signal, threshold }) => {
      const change = frame[signal] - neutral[signal];
      return threshold > 0 ? change > threshold : change < threshold;
    }),
  );
}
