// The face mesh: 468 points on the face's surface (Kartynnik et al., "Real-time Facial Surface Geometry", 2019), or
// 478 with irises and finer lips and eyes (Grishchenko et al., "Attention Mesh", 2020).
import type { Picture } from '../media/pictures/picture.js';
import type { FaceBox } from './detector.js';
import type { Square } from './framing.js';
import { type Box, boundsOf } from './geometry.js';
import type { Network } from './networks.js';
import { fromRegion, type Region, sampleRegion } from './sampling.js';

/** The mesh of a face. */
export type FaceMesh = {
  /**
   * 468 or 478 points x 3: x, y in pixels of the picture ((0, 0) is the corner of the first pixel); z, smaller
   * towards the viewer, in the same unit, relative to the head.
   */
  points: Float64Array;
  /** How sure the network is that it sees a face, 0 to 1. */
  score: number;
  /** Around the points. */
  box: Box;
  /** The part of the picture that was looked at. */
  region: Region;
};

/** A mesh of a lower score is not of a face. */
export const MIN_MESH_SCORE = 0.5;

/** Points of the mesh of every face, without irises. */
export const MESH_POINTS = 468;

/** Outer corners of the right and the left eye (of the person): the line between them is level in the region. */
const [RIGHT_EYE, LEFT_EYE] = [33, 263];

const SIZE = 192;

/** The region is this much larger than what is known of the face. */
const MARGIN = 1.5;

/** A loaded mesh network. */
export type MeshNetwork = {
  network: Network;
  /** Of a network with attention, the mesh points that its outputs for lips and eyes replace. */
  regions?: readonly (readonly number[])[];
};

/** The region for a detected face: turned with the line through its eyes. */
export function regionOfDetection({ box, keypoints }: FaceBox): Region {
  const angle = Math.atan2(keypoints[3]! - keypoints[1]!, keypoints[2]! - keypoints[0]!);
  return regionAround(box, angle);
}

/** The region for the next look at a face whose mesh is known, in this picture or the next one: so much larger. */
export function regionOfMesh({ points, box }: Pick<FaceMesh, 'points' | 'box'>, margin = MARGIN): Region {
  const at = (index: number): [number, number] => [points[index * 3]!, points[index * 3 + 1]!];
  const [rightX, rightY] = at(RIGHT_EYE);
  const [leftX, leftY] = at(LEFT_EYE);
  return regionAround(box, Math.atan2(leftY - rightY, leftX - rightX), margin);
}

function regionAround({ left, top, width, height }: Box, angle: number, margin = MARGIN): Region {
  const side = margin * Math.max(width, height);
  return { centerX: left + width / 2, centerY: top + height / 2, side, angle };
}

/** Names of the outputs: of the plain network by its own, of the one with attention by what they are. */
const OUTPUT = {
  plain: { mesh: 'conv2d_21', score: 'conv2d_31' },
  refined: { mesh: 'output_mesh_identity', score: 'conv_faceflag' },
} as const;

/** Computes the mesh of the face in a region. */
export async function computeMesh(
  { network, regions }: MeshNetwork,
  picture: Picture,
  region: Region,
): Promise<FaceMesh> {
  const data = sampleRegion(picture, region, SIZE, { scale: 1 / 255, offset: 0, border: 'edge' });
  const outputs = await network.run({ input_1: { shape: [1, 3, SIZE, SIZE], data } });
  const name = regions ? OUTPUT.refined : OUTPUT.plain;
  const raw = regions ? refine(outputs[name.mesh]!.data, outputs, regions) : outputs[name.mesh]!.data;
  const points = new Float64Array(raw.length);
  for (let at = 0; at < raw.length; at += 3) {
    const [x, y] = fromRegion(region, raw[at]! / SIZE, raw[at + 1]! / SIZE);
    points.set([x, y, (raw[at + 2]! / SIZE) * region.side], at);
  }
  const score = 1 / (1 + Math.exp(-outputs[name.score]!.data[0]!));
  return { points, score, box: boundsOf(points, 3, MESH_POINTS), region };
}

/**
 * Puts the second look at lips and eyes in place of the mesh's points there, which keep their depth, and adds two
 * irises of five points, as deep as their eye on average.
 */
function refine(
  mesh: Float32Array,
  outputs: Awaited<ReturnType<Network['run']>>,
  [lips, rightEye, leftEye]: readonly (readonly number[])[],
): Float32Array {
  const points = new Float32Array(mesh.length + 2 * 5 * 3);
  points.set(mesh);
  const replace = (region: readonly number[], values: Float32Array): void => {
    for (const [at, index] of region.entries()) points.set(values.subarray(2 * at, 2 * at + 2), index * 3);
  };
  replace(lips!, outputs.output_lips!.data);
  // The network names the eyes as they are seen.
  replace(rightEye!, outputs.output_left_eye!.data);
  replace(leftEye!, outputs.output_right_eye!.data);
  const irises = [
    [rightEye!, outputs.output_left_iris!.data],
    [leftEye!, outputs.output_right_iris!.data],
  ] as const;
  for (const [which, [eye, values]] of irises.entries()) {
    const contour = eye.slice(0, EYE_CONTOUR);
    const depth = contour.reduce((sum, index) => sum + mesh[index * 3 + 2]!, 0) / contour.length;
    for (let k = 0; k < 5; k++) {
      points.set([values[2 * k]!, values[2 * k + 1]!, depth], mesh.length + (which * 5 + k) * 3);
    }
  }
  return points;
}

/** The first points of an eye's list are the rim of its opening. */
const EYE_CONTOUR = 16;

/** The mesh as it lies in a square that is cut out of its picture and brought to `size` x `size` pixels. */
export function meshInSquare(
  { points, score, box, region }: FaceMesh,
  { left, top, side }: Square,
  size: number,
): FaceMesh {
  const scale = size / side;
  const x = (value: number): number => (value - left) * scale;
  const y = (value: number): number => (value - top) * scale;
  return {
    points: points.map((value, i) => [x, y, (z: number): number => z * scale][i % 3]!(value)),
    score,
    box: { left: x(box.left), top: y(box.top), width: box.width * scale, height: box.height * scale },
    region: { ...region, centerX: x(region.centerX), centerY: y(region.centerY), side: region.side * scale },
  };
}
