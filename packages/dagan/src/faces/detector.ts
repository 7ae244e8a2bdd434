// Finds faces: MediaPipe's short-range detector (Bazarevsky et al., "BlazeFace", 2019) with blended suppression.
import type { Picture } from '../media/pictures/picture.js';
import { type Box, overlap } from './geometry.js';
import type { Network } from './networks.js';
import { fromRegion, type Region, sampleRegion } from './sampling.js';

/** A face that was found. */
export type FaceBox = {
  /** From brows to chin, ear to ear, roughly; in pixels. It may reach outside the picture. */
  box: Box;
  /** How sure the detector is, 0 to 1. */
  score: number;
  /**
   * x, y of the right eye, left eye (of the person), nose tip, mouth, right and left ear, in pixels: 6 x 2.
   */
  keypoints: Float64Array;
};

const SIZE = 128;
const KEYPOINTS = 6;
/** Numbers per candidate: centre, size, keypoints. */
const VALUES = 4 + 2 * KEYPOINTS;
/** Candidates that overlap more than this are the same face. */
const SAME_FACE = 0.3;

/** Centres of the 896 candidates, in the order of the outputs: two per cell of 16 x 16, six per cell of 8 x 8. */
const ANCHORS: readonly (readonly [number, number])[] = [
  [16, 2],
  [8, 6],
].flatMap(([cells, each]) =>
  Array.from({ length: cells! * cells! * each! }, (_, index) => {
    const cell = Math.floor(index / each!);
    return [((cell % cells!) + 0.5) / cells!, (Math.floor(cell / cells!) + 0.5) / cells!] as const;
  }),
);

/** Faces that fill about a sixth of the picture or more, the largest first. */
export async function detectFaces(network: Network, picture: Picture, minScore: number): Promise<FaceBox[]> {
  const { width, height } = picture;
  const whole: Region = { centerX: width / 2, centerY: height / 2, side: Math.max(width, height), angle: 0 };
  return largestFirst(await lookAt(network, picture, whole, minScore));
}

/**
 * Smaller faces, down to about a twelfth of the picture, from a look at overlapping parts of it. Patterns that are no
 * face pass here now and then, with scores up to 0.65.
 */
export async function detectSmallFaces(network: Network, picture: Picture, minScore: number): Promise<FaceBox[]> {
  const found: FaceBox[] = [];
  for (const part of partsOf(picture.width, picture.height)) {
    found.push(...(await lookAt(network, picture, part, minScore)));
  }
  return largestFirst(suppress(found));
}

function largestFirst(faces: FaceBox[]): FaceBox[] {
  return faces.sort((a, b) => b.box.width * b.box.height - a.box.width * a.box.height);
}

/** Squares of half the picture's long side, each half over its neighbours. */
function partsOf(width: number, height: number): Region[] {
  const side = Math.max(width, height) / 2;
  const centers = (length: number): number[] => {
    if (length <= side) return [length / 2];
    const steps = Math.ceil((length - side) / (side / 2));
    return Array.from({ length: steps + 1 }, (_, index) => side / 2 + ((length - side) * index) / steps);
  };
  return centers(height).flatMap((centerY) => centers(width).map((centerX) => ({ centerX, centerY, side, angle: 0 })));
}

async function lookAt(network: Network, picture: Picture, region: Region, minScore: number): Promise<FaceBox[]> {
  const data = sampleRegion(picture, region, SIZE, { scale: 1 / 127.5, offset: -1, border: 'black' });
  const { regressors, classificators } = await network.run({ input: { shape: [1, 3, SIZE, SIZE], data } });
  const found: FaceBox[] = [];
  for (const [index, [anchorX, anchorY]] of ANCHORS.entries()) {
    const score = 1 / (1 + Math.exp(-classificators!.data[index]!));
    if (!(score >= minScore)) continue;
    const values = regressors!.data.subarray(index * VALUES, (index + 1) * VALUES);
    const place = (at: number) => fromRegion(region, anchorX + values[at]! / SIZE, anchorY + values[at + 1]! / SIZE);
    const [x, y] = place(0);
    const [width, height] = [(values[2]! / SIZE) * region.side, (values[3]! / SIZE) * region.side];
    const keypoints = new Float64Array(KEYPOINTS * 2);
    for (let k = 0; k < KEYPOINTS; k++) keypoints.set(place(4 + 2 * k), 2 * k);
    found.push({ box: { left: x - width / 2, top: y - height / 2, width, height }, score, keypoints });
  }
  return suppress(found);
}

/** Joins candidates for the same face into their mean, weighted by score; the surest gives the score. */
function suppress(candidates: readonly FaceBox[]): FaceBox[] {
  const left = [...candidates].sort((a, b) => b.score - a.score);
  const faces: FaceBox[] = [];
  while (left.length > 0) {
    const best = left[0]!;
    const same = left.filter((other) => other === best || overlap(best.box, other.box) > SAME_FACE);
    for (const one of same) left.splice(left.indexOf(one), 1);
    const total = same.reduce((sum, { score }) => sum + score, 0);
    const mean = (value: (face: FaceBox) => number) =>
      same.reduce((sum, face) => sum + face.score * value(face), 0) / total;
    faces.push({
      box: {
        left: mean(({ box }) => box.left),
        top: mean(({ box }) => box.top),
        width: mean(({ box }) => box.width),
        height: mean(({ box }) => box.height),
      },
      score: best.score,
      keypoints: best.keypoints.map((_, index) => mean(({ keypoints }) => keypoints[index]!)),
    });
  }
  return faces;
}
