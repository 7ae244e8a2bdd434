// Points of the face by name, and the points of the mesh that travel with training's pictures: where lips, lids and brows are.
import { MESH_POINTS } from './mesh.js';

/** Mesh points with a name, on which keypoints may stand; those that a face can least do without first. Left and right are the person's. */
export const FACE_LANDMARKS = {
  upperLip: 13,
  lowerLip: 14,
  rightMouthCorner: 61,
  leftMouthCorner: 291,
  rightUpperLid: 159,
  leftUpperLid: 386,
  noseTip: 1,
  chin: 152,
  rightTemple: 127,
  leftTemple: 356,
  rightLowerLid: 145,
  leftLowerLid: 374,
  rightBrow: 105,
  leftBrow: 334,
  forehead: 10,
  upperLipRim: 0,
  lowerLipRim: 17,
  rightUpperLip: 81,
  leftUpperLip: 311,
  rightLowerLip: 178,
  leftLowerLip: 402,
  rightUpperLipRim: 39,
  leftUpperLipRim: 269,
  rightLowerLipRim: 181,
  leftLowerLipRim: 405,
  rightJaw: 150,
  leftJaw: 379,
  rightCheek: 205,
  leftCheek: 425,
  rightOuterEyeCorner: 33,
  leftOuterEyeCorner: 263,
  rightInnerEyeCorner: 133,
  leftInnerEyeCorner: 362,
  rightInnerBrow: 55,
  leftInnerBrow: 285,
  noseBridge: 168,
  rightNostril: 64,
  leftNostril: 294,
  rightCheekbone: 50,
  leftCheekbone: 280,
  rightOuterCheek: 117,
  leftOuterCheek: 346,
  rightForehead: 67,
  leftForehead: 297,
  rightForeheadSide: 103,
  leftForeheadSide: 332,
  rightForeheadCorner: 54,
  leftForeheadCorner: 284,
  rightCheekSide: 234,
  leftCheekSide: 454,
  rightJawCorner: 172,
  leftJawCorner: 397,
  rightJawAngle: 58,
  leftJawAngle: 288,
  rightIris: 468,
  leftIris: 473,
} as const;

/** Name of a landmark. */
export type FaceLandmark = keyof typeof FACE_LANDMARKS;

/** The inner rim of the lips, around the mouth's opening. */
export const LIP_RIM: readonly FaceLandmark[] = [
  'rightMouthCorner',
  'rightUpperLip',
  'upperLip',
  'leftUpperLip',
  'leftMouthCorner',
  'leftLowerLip',
  'lowerLip',
  'rightLowerLip',
];

/** Of each eye both lids, and its corners from the picture's left to its right. */
export const LIDS: readonly (readonly FaceLandmark[])[] = [
  ['rightUpperLid', 'rightLowerLid', 'rightOuterEyeCorner', 'rightInnerEyeCorner'],
  ['leftUpperLid', 'leftLowerLid', 'leftInnerEyeCorner', 'leftOuterEyeCorner'],
];

/** Of each eye its iris, both lids and its corners. */
export const EYES: readonly (readonly FaceLandmark[])[] = [
  ['rightIris', ...LIDS[0]!],
  ['leftIris', ...LIDS[1]!],
];

/** All names. */
export const FACE_LANDMARK_NAMES = Object.keys(FACE_LANDMARKS) as readonly FaceLandmark[];

/** A part of the face as mesh points: those of the person's right side, each with its counterpart, and those of the middle. */
type Part = { weight: number; pairs: readonly (readonly [right: number, left: number])[]; middle: readonly number[] };

/** Lips and lids are small and move most, so they count more; the outline slides over the cheek as the head turns. */
const PARTS: readonly Part[] = [
  {
    weight: 4, // lips, the outer and the inner rim
    pairs: [
      ...([
        [61, 291],
        [146, 375],
        [91, 321],
        [181, 405],
        [84, 314],
        [185, 409],
        [40, 270],
        [39, 269],
        [37, 267],
      ] as const),
      ...([
        [78, 308],
        [95, 324],
        [88, 318],
        [178, 402],
        [87, 317],
        [191, 415],
        [80, 310],
        [81, 311],
        [82, 312],
      ] as const),
    ],
    middle: [17, 0, 14, 13],
  },
  {
    weight: 4, // lids
    pairs: [
      ...([
        [33, 263],
        [7, 249],
        [163, 390],
        [144, 373],
        [145, 374],
        [153, 380],
        [154, 381],
        [155, 382],
      ] as const),
      ...([
        [133, 362],
        [173, 398],
        [157, 384],
        [158, 385],
        [159, 386],
        [160, 387],
        [161, 388],
        [246, 466],
      ] as const),
    ],
    middle: [],
  },
  {
    weight: 2, // brows
    pairs: [
      ...([
        [46, 276],
        [53, 283],
        [52, 282],
        [65, 295],
        [55, 285],
      ] as const),
      ...([
        [70, 300],
        [63, 293],
        [105, 334],
        [66, 296],
        [107, 336],
      ] as const),
    ],
    middle: [],
  },
  {
    weight: 1, // nose and cheeks
    pairs: [
      [98, 327],
      [64, 294],
      [48, 278],
      [50, 280],
      [205, 425],
      [117, 346],
    ],
    middle: [168, 6, 197, 195, 5, 4, 1, 2],
  },
  {
    weight: 0.5, // outline
    pairs: [
      ...([
        [109, 338],
        [67, 297],
        [103, 332],
        [54, 284],
        [21, 251],
        [162, 389],
        [127, 356],
        [234, 454],
      ] as const),
      ...([
        [93, 323],
        [132, 361],
        [58, 288],
        [172, 397],
        [136, 365],
        [150, 379],
        [149, 378],
        [176, 400],
        [148, 377],
      ] as const),
    ],
    middle: [10, 152],
  },
  {
    weight: 1, // irises; they come last, as they are not on the surface
    pairs: [[468, 473]],
    middle: [],
  },
];

/** A mesh point that travels with pictures. */
type TravellingPoint = { point: number; mirrored: number; weight: number };

const TRAVELLING: readonly TravellingPoint[] = PARTS.flatMap(({ weight, pairs, middle }) => [
  ...pairs.flatMap(([right, left]) => [
    { point: right, mirrored: left, weight },
    { point: left, mirrored: right, weight },
  ]),
  ...middle.map((point) => ({ point, mirrored: point, weight })),
]);

/** The mesh points that travel with pictures, P of them, in the order of tensors of landmarks [.., P, ..]. */
export const TRAVELLING_POINTS: readonly number[] = TRAVELLING.map(({ point }) => point);

/** Those on the face's surface, which come first: all but the irises. */
export const SURFACE_POINTS: readonly number[] = TRAVELLING_POINTS.filter((point) => point < MESH_POINTS);

/** For each point that travels the one that a mirrored picture shows in its place. */
export const MIRRORED_POINTS: readonly number[] = TRAVELLING.map(({ mirrored }) => mirrored);

/** How much each of them counts in the mesh motion loss. */
export const TRAVELLING_WEIGHTS: readonly number[] = TRAVELLING.map(({ weight }) => weight);

/** Where a landmark stands in tensors of landmarks. */
export function landmarkPlace(name: FaceLandmark): number {
  return TRAVELLING_POINTS.indexOf(FACE_LANDMARKS[name]);
}

/** Mouth and eyes: landmarks in their middles, the first two at their ends; and how far they reach from there, in distances of these. */
export const MOUTH_AND_EYES = (
  [
    [0.8, 'rightMouthCorner', 'leftMouthCorner', 'upperLip', 'lowerLip'],
    [1, 'rightOuterEyeCorner', 'rightInnerEyeCorner', 'rightUpperLid', 'rightLowerLid'],
    [1, 'leftOuterEyeCorner', 'leftInnerEyeCorner', 'leftUpperLid', 'leftLowerLid'],
  ] as const
).map(([reach, ...names]) => ({ reach, points: names.map(landmarkPlace) as [number, number, ...number[]] }));
