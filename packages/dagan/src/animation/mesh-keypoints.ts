// Named keypoints from the face mesh: models whose keypoints stand on landmarks of the face can be driven by the mesh itself, which
// is more exact than any detector that has learned to find them, and needs no network of the model's per frame.
import { FACE_LANDMARKS, type FaceLandmark } from '../faces/landmarks.js';
import type { FaceMesh } from '../faces/mesh.js';
import type { Picture } from '../media/pictures/picture.js';
import type { KeypointSet } from '../tensors/keypoint-set.js';
import type { Analysis, DriveOptions, Engine, Inspection, SourceOptions } from './engine.js';

/** Which keypoint stands on which landmark (`ModelConfig.semanticKeypoints`). */
export type KeypointNames = Readonly<Record<string, number>>;

/** Follows a face: `FaceAnalyzer` with the refined mesh does. */
export type MeshFinder = {
  track(picture: Picture, previous?: FaceMesh): Promise<FaceMesh | undefined>;
};

/** Pixels (from the corner of the first) as keypoints have them: -1 and 1 are the centres of the outermost ones. */
const coordinate = (pixels: number, side: number): number => (2 * (pixels - 0.5)) / (side - 1) - 1;

/** Where the named keypoints of a face are; the others are not numbers. */
export function keypointsOfMesh(
  { points }: Pick<FaceMesh, 'points'>,
  { width, height }: Pick<Picture, 'width' | 'height'>,
  names: KeypointNames,
  count: number,
): Float32Array {
  const value = new Float32Array(2 * count).fill(Number.NaN);
  for (const [name, keypoint] of Object.entries(names)) {
    const point = FACE_LANDMARKS[name as FaceLandmark];
    value[2 * keypoint] = coordinate(points[3 * point]!, width);
    value[2 * keypoint + 1] = coordinate(points[3 * point + 1]!, height);
  }
  return value;
}

/** Whether every keypoint of a set is known. */
const isWhole = (value: Float32Array | undefined): value is Float32Array =>
  value !== undefined && value.length > 0 && !value.some(Number.isNaN);

/** Keypoints with others in place of those that are numbers. */
function placed({ value, jacobian }: KeypointSet, others: Float32Array): KeypointSet {
  return { value: value.map((found, i) => (Number.isNaN(others[i]) ? found : others[i]!)), jacobian };
}

/**
 * An engine that puts named keypoints on the face mesh, wherever there is a face; where there is none they are the network's. It
 * disposes of the engine that it stands before.
 */
export class MeshGuidedEngine implements Engine {
  readonly description: string;
  readonly size: number;
  readonly batchSize: number;
  readonly keypointNames: KeypointNames;
  /** The face in the frame before. */
  #mesh: FaceMesh | undefined;
  /** In a set; 0 until the network has found one. */
  #count = 0;

  constructor(
    readonly engine: Engine,
    readonly faces: MeshFinder,
  ) {
    const names = engine.keypointNames ?? {};
    if (Object.keys(names).length === 0) {
      throw new TypeError('the keypoints of this model have no names, so the mesh cannot say where they are');
    }
    this.keypointNames = names;
    this.description = `${engine.description}, keypoints of the face mesh`;
    this.size = engine.size;
    this.batchSize = engine.batchSize;
  }

  async setSource(portrait: Picture, { face }: SourceOptions = {}): Promise<Analysis> {
    this.#mesh = undefined;
    const mesh = await this.faces.track(portrait, face);
    if (!mesh) return this.engine.setSource(portrait);
    // Of the portraits after the first it is known whether the mesh tells all keypoints; then no network needs to find any.
    const told = keypointsOfMesh(mesh, portrait, this.keypointNames, this.#count);
    if (isWhole(told)) return this.engine.setSource(portrait, { keypoints: { value: told, jacobian: null } });
    const [seen] = await this.engine.drive([portrait]);
    this.#count = seen!.keypoints.value.length / 2;
    const keypoints = placed(seen!.keypoints, keypointsOfMesh(mesh, portrait, this.keypointNames, this.#count));
    return this.engine.setSource(portrait, { keypoints });
  }

  async drive(frames: readonly Picture[], { faces, withDisparity }: DriveOptions = {}): Promise<Analysis[]> {
    const meshes = await (faces ?? this.#follow(frames));
    this.#mesh = meshes.at(-1);
    const find = () =>
      meshes.map((mesh, i) => mesh && keypointsOfMesh(mesh, frames[i]!, this.keypointNames, this.#count));
    if (!withDisparity) {
      const found = find();
      if (found.every(isWhole))
        return found.map((value) => ({ keypoints: { value, jacobian: null }, disparity: null }));
    }
    const analyses = await this.engine.drive(frames, { withDisparity });
    this.#count = analyses[0]!.keypoints.value.length / 2;
    const found = find();
    return analyses.map((analysis, i) =>
      found[i] ? { ...analysis, keypoints: placed(analysis.keypoints, found[i]) } : analysis,
    );
  }

  /** The face of each frame, from one to the next. */
  async #follow(frames: readonly Picture[]): Promise<(FaceMesh | undefined)[]> {
    const meshes: (FaceMesh | undefined)[] = [];
    let mesh = this.#mesh;
    for (const frame of frames) {
      mesh = await this.faces.track(frame, mesh);
      meshes.push(mesh);
    }
    return meshes;
  }

  generate(keypoints: readonly KeypointSet[]): Promise<Picture[]> {
    return this.engine.generate(keypoints);
  }

  inspect(keypoints: KeypointSet, options?: { withTensors?: boolean }): Promise<Inspection> {
    return this.engine.inspect(keypoints, options);
  }

  twin(): MeshGuidedEngine {
    return new MeshGuidedEngine(this.engine.twin(), this.faces);
  }

  dispose(): void {
    this.engine.dispose();
  }
}
