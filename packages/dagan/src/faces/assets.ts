// The face models as the npm package @mediapipe/face_mesh 0.4.1657299874 ships them: four files in one.
import { BinaryReader, type WireType } from '@bufbuild/protobuf/wire';

/** The package and file that hold the models; it is read as data. */
export const FACE_ASSETS = {
  package: '@mediapipe/face_mesh',
  version: '0.4.1657299874',
  file: 'face_mesh_solution_packed_assets.data',
} as const;

/** The models of the file. */
export type FaceAssets = {
  /** Mesh of 478 points with a second look at lips and eyes, TensorFlow Lite. */
  refinedMesh: Uint8Array;
  /** Mesh of 468 points, TensorFlow Lite. */
  mesh: Uint8Array;
  /** Detector of faces that fill a good part of the picture, TensorFlow Lite. */
  detector: Uint8Array;
  /** The face whose pose is zero. */
  canonicalFace: CanonicalFace;
};

/** A mean face in centimetres: x to the right as it is seen, y up, z towards the viewer. */
export type CanonicalFace = {
  /** 468 x 3. */
  points: Float64Array;
  /** How much each of the 468 points counts in finding the pose; most are 0. */
  weights: Float64Array;
  /** The surface between the points, eyes and mouth included: three points for each of the 898 triangles. */
  triangles: Uint16Array;
};

/** Where each model begins in the file, as its loader script says; the last number is the file's length. */
const BOUNDS = [0, 2_495_952, 3_737_848, 3_757_224, 3_986_256] as const;

/** Numbers per vertex of the canonical face: position and texture coordinates. */
const VERTEX = 5;

/**
 * Takes the file apart.
 *
 * @throws TypeError if it is not the file of this version
 */
export function splitFaceAssets(file: Uint8Array): FaceAssets {
  const [refinedMesh, mesh, metadata, detector] = BOUNDS.slice(0, -1).map((start, index) =>
    file.subarray(start, BOUNDS[index + 1]),
  ) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  if (file.length !== BOUNDS[4]) {
    const { package: name, version, file: path } = FACE_ASSETS;
    throw new TypeError(`${path} of ${name} has ${file.length} bytes, not the ${BOUNDS[4]} of version ${version}`);
  }
  return { refinedMesh, mesh, detector, canonicalFace: readCanonicalFace(metadata) };
}

/**
 * Reads the message `GeometryPipelineMetadata`: 1 is the mesh, of which 3 are the vertices and 4 the triangles; 2 are
 * weighted points.
 */
function readCanonicalFace(metadata: Uint8Array): CanonicalFace {
  const vertices: number[] = [];
  const corners: number[] = [];
  const weighted: [index: number, weight: number][] = [];
  readFields(metadata, {
    1: (reader) =>
      readFields(reader.bytes(), {
        3: (inner) => vertices.push(inner.float()),
        4: (inner) => corners.push(inner.uint32()),
      }),
    2: (reader) => {
      const point: [number, number] = [0, 0];
      readFields(reader.bytes(), {
        1: (inner) => {
          point[0] = inner.uint32();
        },
        2: (inner) => {
          point[1] = inner.float();
        },
      });
      weighted.push(point);
    },
  });
  const count = vertices.length / VERTEX;
  const points = new Float64Array(count * 3);
  for (let i = 0; i < count; i++) points.set(vertices.slice(i * VERTEX, i * VERTEX + 3), i * 3);
  const weights = new Float64Array(count);
  for (const [index, weight] of weighted) weights[index] = weight;
  return { points, weights, triangles: Uint16Array.from(corners) };
}

function readFields(bytes: Uint8Array, fields: Record<number, (reader: BinaryReader, wire: WireType) => void>): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    const read = fields[field];
    if (read) read(reader, wire);
    else reader.skip(wire, field);
  }
}
