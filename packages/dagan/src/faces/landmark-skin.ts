// Where the landmarks are on a face at rest that looks at the camera, and where the skin around them looks to: from the canonical face of
// @dagan/faces, for models that know whether a landmark is seen.
import type { SkinPoint } from '../models/skin.js';
import type { FaceLandmark } from './landmarks.js';

type Vector = readonly [x: number, y: number, z: number];

/** Places are in centimetres. */
export type LandmarkSkin = Omit<SkinPoint, 'rigid'>;

type Row = readonly [...place: Vector, ...normal: Vector];

/** In the middle of the face. */
const MIDDLE: Readonly<Record<string, Row>> = {
  upperLip: [0, 3.99, -5.22, 0, 0.23, -0.97],
  lowerLip: [0, 4.54, -5.4, 0, -0.42, -0.91],
  noseTip: [0, 1.13, -7.48, 0, 0.32, -0.95],
  chin: [0, 9.4, -4.26, 0, 0.69, -0.72],
  forehead: [0, -8.26, -4.48, 0, -0.33, -0.94],
  upperLipRim: [0, 3.41, -5.98, 0, 0.13, -0.99],
  lowerLipRim: [0, 5.37, -5.54, 0, 0.42, -0.91],
  noseBridge: [0, -3.27, -5.24, 0, -0.4, -0.92],
};

/** On its right side, which the picture has on the left; the other is the same in a mirror. Irises look ahead. */
const RIGHT: Readonly<Record<string, Row>> = {
  mouthCorner: [-2.46, 4.34, -4.28, -0.19, 0.21, -0.96],
  upperLid: [-3.18, -2.96, -3.88, -0.09, 0.4, -0.91],
  temple: [-7.74, -2.36, 2.01, -0.98, 0.03, -0.21],
  lowerLid: [-3.18, -2.29, -3.78, -0.18, 0.09, -0.98],
  brow: [-3.99, -5.11, -4.47, -0.51, -0.17, -0.84],
  upperLip: [-1.02, 3.99, -4.93, -0.49, 0.18, -0.85],
  lowerLip: [-1.1, 4.46, -5.12, -0.42, -0.43, -0.8],
  upperLipRim: [-1.43, 3.5, -5.5, -0.51, 0.08, -0.86],
  lowerLipRim: [-1.33, 5.11, -5.21, -0.53, 0.21, -0.82],
  jaw: [-4.07, 7.99, -1.93, -0.8, 0.4, -0.45],
  cheek: [-3.83, 1.54, -4.14, -0.5, 0, -0.87],
  outerEyeCorner: [-4.45, -2.66, -3.17, -0.38, 0.34, -0.86],
  innerEyeCorner: [-1.86, -2.59, -3.76, -0.45, -0.07, -0.89],
  innerBrow: [-1.22, -4.14, -5.11, -0.22, 0.39, -0.89],
  nostril: [-1.59, 1.26, -5.46, -0.85, 0.45, -0.28],
  cheekbone: [-4.77, 0.7, -3.53, -0.62, -0.02, -0.78],
  outerCheek: [-5.26, -0.95, -2.97, -0.67, -0.09, -0.74],
  forehead: [-3.52, -8.01, -3.73, -0.49, -0.33, -0.81],
  foreheadSide: [-5.13, -7.49, -2.66, -0.7, -0.27, -0.66],
  foreheadCorner: [-6.28, -6.62, -1.43, -0.85, -0.14, -0.52],
  cheekSide: [-7.66, -0.67, 2.44, -0.98, 0.08, -0.16],
  jawCorner: [-5.94, 6.22, 0.63, -0.9, 0.35, -0.26],
  jawAngle: [-6.72, 4.79, 1.75, -0.95, 0.26, -0.2],
  iris: [-3.15, -2.62, -3.47, 0, 0, -1],
};

/** The skin around a landmark. */
export function landmarkSkin(name: FaceLandmark): LandmarkSkin {
  const [, side, rest = ''] = /^(right|left)(.*)$/.exec(name) ?? [];
  const row = side ? RIGHT[rest[0]!.toLowerCase() + rest.slice(1)] : MIDDLE[name];
  if (!row) throw new RangeError(`it is not known where ${name} is on a face`);
  const [x, y, z, ...normal] = row;
  const mirror = side === 'left' ? -1 : 1;
  return { place: [mirror * x, y, z], normal: [mirror * normal[0], normal[1], normal[2]] };
}
