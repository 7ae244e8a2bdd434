// The files of the package @dagan/faces, and what reads them.

/** What each is: networks as ONNX, and the face whose pose is zero. */
export const FACE_MODELS = {
  /** BlazeFace, short range. */
  detector: 'face-detector.onnx',
  /** Mesh of 468 points. */
  mesh: 'face-mesh.onnx',
  /** Mesh of 478 points, with a second look at lips and eyes. */
  refinedMesh: 'face-mesh-refined.onnx',
  canonicalFace: 'canonical-face.json',
  /** Which pixels show a person. */
  personMask: 'person-mask.onnx',
  /** Whose face it is. */
  identity: 'face-identity.onnx',
} as const;

/** The name of a file. */
export type FaceModelFile = (typeof FACE_MODELS)[keyof typeof FACE_MODELS];

/** Gives the bytes of a file. */
export type FaceModelReader = (file: FaceModelFile) => Promise<Uint8Array>;

/** A mean face in centimetres: x to the right as it is seen, y up, z towards the viewer. */
export type CanonicalFace = {
  /** 468 x 3. */
  points: Float64Array;
  /** How much each of the 468 points counts in finding the pose; most are 0. */
  weights: Float64Array;
  /** The surface between the points, eyes and mouth included: three points for each of the 898 triangles. */
  triangles: Uint16Array;
  /** Points that the refined mesh computes again from a closer look: of the lips, the right and the left eye. */
  regions: readonly (readonly number[])[];
};

/**
 * Reads the file `canonicalFace`.
 *
 * @throws TypeError if it is something else
 */
export function readCanonicalFace(file: Uint8Array): CanonicalFace {
  let lists: Record<keyof CanonicalFace, unknown>;
  try {
    lists = JSON.parse(new TextDecoder().decode(file));
  } catch (error) {
    throw new TypeError(`${FACE_MODELS.canonicalFace}: is not JSON`, { cause: error });
  }
  // Single precision, as the numbers were before they were written in decimals.
  const singles = (list: readonly number[]): Float64Array => Float64Array.from(Float32Array.from(list));
  const { points, weights, triangles, regions } = lists;
  if (![points, weights, triangles, regions].every(Array.isArray)) {
    throw new TypeError(`${FACE_MODELS.canonicalFace}: lacks points, weights, triangles or regions`);
  }
  return {
    points: singles(points as number[]),
    weights: singles(weights as number[]),
    triangles: Uint16Array.from(triangles as number[]),
    regions: regions as number[][],
  };
}
