// The three operations that MediaPipe's mesh with attention has of its own, in ONNX's terms: lips and eyes are cut out of the
// feature map, looked at closely, and the points that are found put back into the mesh.
import { toObject } from 'flatbuffers/js/flexbuffers.js';
import type { OnnxParts } from './onnx-parts.js';
import { readTflite, type TfliteOperator } from './tflite-reader.js';

/** A tensor of the ONNX model. */
type SizedTensor = { name: string; shape: readonly number[] };

/**
 * The points of the mesh that a network with attention computes again from a close look at a region: in the order of
 * its operations `Landmarks2TransformMatrix` (lips, one eye, the other eye), the indices of the mesh points.
 */
export function regionPoints(bytes: Uint8Array): number[][] {
  return readTflite(bytes)
    .operators.filter(({ kind }) => kind === 'Landmarks2TransformMatrix')
    .map((operator) => regionOptions(operator).subset_idxs);
}

type RegionOptions = {
  left_rotation_idx: number;
  right_rotation_idx: number;
  output_width: number;
  output_height: number;
  scale_x: number;
  scale_y: number;
  /** Absent or null for 0. */
  target_rotation_radians?: number | null;
  subset_idxs: number[];
};

function regionOptions({ customOptions }: TfliteOperator): RegionOptions {
  return toObject(new Uint8Array(customOptions).buffer) as RegionOptions;
}

/**
 * The matrix `[1, 4, 4]` from pixels of a region's close-up to pixels of the feature map: the region is the box
 * around the points, in the frame that the line from one of them to another is level in, scaled.
 *
 *     M = T(centre) R S T(-output / 2),   u = R e_x = direction of the line,   S = scale * box / output
 */
export function addRegionMatrix(parts: OnnxParts, mesh: string, operator: TfliteOperator, target: string): void {
  const options = regionOptions(operator);
  if (options.target_rotation_radians) throw new TypeError('regions of the mesh must be level');
  const points = parts.op('Slice', [mesh, parts.integers([0]), parts.integers([2]), parts.integers([2])]); // (1, 468, 2)
  const pick = (indices: number[]): string =>
    parts.op('Gather', [points, parts.integers(indices)], { axis: { int: 1 } });
  const line = parts.op('Sub', [pick([options.right_rotation_idx]), pick([options.left_rotation_idx])]); // (1, 1, 2)
  const u = parts.op('Div', [line, parts.op('ReduceL2', [line], { axes: { ints: [2] } })]);
  // (x, y) to (-y, x), written for rows.
  const v = parts.op('MatMul', [u, parts.constant([1, 2, 2], Float32Array.of(0, 1, -1, 0))]);
  const rotation = parts.op('Concat', [u, v], { axis: { int: 1 } }); // rows u, v: (1, 2, 2)
  const across = parts.op('Transpose', [rotation], { perm: { ints: [0, 2, 1] } });
  const level = parts.op('MatMul', [pick(options.subset_idxs), across]); // (1, n, 2) in the frame of u, v
  const least = parts.op('ReduceMin', [level], { axes: { ints: [1] } });
  const most = parts.op('ReduceMax', [level], { axes: { ints: [1] } });
  const middle = parts.op('Mul', [parts.op('Add', [least, most]), parts.constant([1], Float32Array.of(0.5))]);
  const centre = parts.op('MatMul', [middle, rotation]); // (1, 1, 2)
  const extent = parts.op('Mul', [
    parts.op('Sub', [most, least]),
    parts.constant(
      [1, 1, 2],
      Float32Array.of(options.scale_x / options.output_width, options.scale_y / options.output_height),
    ),
  ]);
  // Rows S u, S v.
  const steps = parts.op('Mul', [rotation, parts.op('Transpose', [extent], { perm: { ints: [0, 2, 1] } })]);
  const half = parts.constant([1, 1, 2], Float32Array.of(options.output_width / 2, options.output_height / 2));
  const origin = parts.op('Sub', [centre, parts.op('MatMul', [half, steps])]);
  const zero = parts.constant([1, 1, 2], new Float32Array(2));
  const columns = parts.op('Concat', [steps, zero, origin], { axis: { int: 1 } }); // (1, 4, 2)
  const upper = parts.op('Transpose', [columns], { perm: { ints: [0, 2, 1] } });
  const lower = parts.constant([1, 2, 4], Float32Array.of(0, 0, 1, 0, 0, 0, 0, 1));
  parts.node('Concat', [upper, lower], target, { axis: { int: 1 } });
}

/**
 * Cuts a region out of the feature map, bilinearly: pixel centres are at halves, and what would reach for a pixel
 * outside the map is 0.
 */
export function addCutOut(parts: OnnxParts, map: SizedTensor, matrix: string, target: SizedTensor): void {
  const [, , mapHeight, mapWidth] = map.shape as [number, number, number, number];
  const [, , height, width] = target.shape as [number, number, number, number];
  const centres = new Float32Array(height * width * 4);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) centres.set([x + 0.5, y + 0.5, 0, 1], (y * width + x) * 4);
  }
  const rows = affineRows(parts, matrix);
  const places = parts.op('MatMul', [parts.constant([1, height * width, 4], centres), rows]);
  const unit = parts.op('Sub', [
    parts.op('Mul', [places, parts.constant([1, 1, 2], Float32Array.of(2 / mapWidth, 2 / mapHeight))]),
    parts.constant([1], Float32Array.of(1)),
  ]); // the map's edges are -1 and 1
  const grid = parts.op('Reshape', [unit, parts.integers([1, height, width, 2])]);
  const sampled = parts.op('GridSample', [map.name, grid], {
    mode: { text: 'bilinear' },
    padding_mode: { text: 'zeros' },
    align_corners: { int: 0 },
  });
  const limit = parts.constant([1, 1, 1, 2], Float32Array.of(1 - 1 / mapWidth, 1 - 1 / mapHeight));
  const beyond = parts.op('Relu', [parts.op('Sub', [parts.op('Abs', [grid]), limit])]);
  const outside = parts.op('ReduceMax', [beyond], { axes: { ints: [3] }, keepdims: { int: 0 } });
  const inside = parts.op('Sub', [parts.constant([1], Float32Array.of(1)), parts.op('Sign', [outside])]);
  const mask = parts.op('Unsqueeze', [inside, parts.integers([1])]);
  parts.node('Mul', [sampled, mask], target.name);
}

/** Points `[1, n, 2]` through the first two rows of a matrix `[1, 4, 4]`. */
export function addTransformedPoints(parts: OnnxParts, points: SizedTensor, matrix: string, target: string): void {
  const count = points.shape[1]!;
  const rest = new Float32Array(count * 2);
  for (let at = 1; at < rest.length; at += 2) rest[at] = 1;
  const lifted = parts.op('Concat', [points.name, parts.constant([1, count, 2], rest)], {
    axis: { int: 2 },
  });
  parts.node('MatMul', [lifted, affineRows(parts, matrix)], target);
}

/** The first two rows of a matrix `[1, 4, 4]`, as columns `[1, 4, 2]`. */
function affineRows(parts: OnnxParts, matrix: string): string {
  const rows = parts.op('Slice', [matrix, parts.integers([0]), parts.integers([2]), parts.integers([1])]);
  return parts.op('Transpose', [rows], { perm: { ints: [0, 2, 1] } });
}
