// The face models as the npm package @mediapipe/face_mesh 0.4.1657299874 ships them: four files in one.
import { BinaryReader, type WireType } from '@bufbuild/protobuf/wire';

/** The models of the file. */
export type FaceAssets = {
  /** Mesh of 478 points with a second look at lips and eyes, TensorFlow Lite. */
  refinedMesh: Uint8Array;
  /** Mesh of 468 points, TensorFlow Lite. */
  mesh: Uint8Array;
  /** Detector of faces that fill a good part of the picture, TensorFlow Lite. */
  detector: Uint8Array;
  /** The face whose pose is zero. */
  canonicalFace: { points: number[]; weights: number[]; triangles: number[] };
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
    throw new TypeError(`the file of face models has ${file.length} bytes, not ${BOUNDS[4]}: it is of another version`);
  }
  return { refinedMesh, mesh, detector, canonicalFace: readCanonicalFace(metadata) };
}

/**
 * Reads the message `GeometryPipelineMetadata`: 1 is the mesh, of which 3 are the vertices and 4 the triangles; 2 are
 * weighted points.
 */
function readCanonicalFace(metadata: Uint8Array): FaceAssets['canonicalFace'] {
  const vertices: number[] = [];
  const triangles: number[] = [];
  const weighted: [index: number, weight: number][] = [];
  readFields(metadata, {
    1: (reader) =>
      readFields(reader.bytes(), {
        3: (inner) => vertices.push(inner.float()),
        4: (inner) => triangles.push(inner.uint32()),
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
  const points = vertices.filter((_, at) => at % VERTEX < 3);
  const weights: number[] = new Array(vertices.length / VERTEX).fill(0);
  for (const [index, weight] of weighted) weights[index] = weight;
  return { points, weights, triangles };
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
