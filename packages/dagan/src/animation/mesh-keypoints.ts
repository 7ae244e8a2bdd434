// Keypoints from the face mesh: models whose keypoints stand on landmarks of the face can be driven by the mesh itself, which is more
// exact than any detector that has learned to find them, and needs no network of the model's per frame. Models that points of the mesh
// move (`MotionSpace.meshPoints`) have no such network and are driven so alone.

import { DaganError } from '../errors.js';
import { FACE_LANDMARKS, type FaceLandmark } from '../faces/landmarks.js';
import type { FaceMesh } from '../faces/mesh.js';
import type { Picture } from '../media/pictures/picture.js';
import type { KeypointSet } from '../tensors/keypoint-set.js';
import type { MotionSpace } from '../tensors/motion-space.js';
import type { Analysis, DriveOptions, Engine, Inspection, InspectOptions, SourceOptions } from './engine.js';

/** Which keypoint stands on which landmark (`ModelConfig.semanticKeypoints`). */
export type KeypointNames = Readonly<Record<string, number>>;

/** Follows a face: `FaceAnalyzer` with the refined mesh does. */
export type MeshFinder = {
  track(picture: Picture, previous?: FaceMesh): Promise<FaceMesh | undefined>;
};

/** Pixels (from the corner of the first) as keypoints have them: -1 and 1 are the centres of the outermost ones. */
const coordinate = (pixels: number, side: number): number => (2 * (pixels - 0.5)) / (side - 1) - 1;

/** On which point of the mesh keypoints stand; of those that stand on none it is undefined. */
type MeshPlaces = readonly (number | undefined)[];

/** Where the keypoints of a face are that stand on points of the mesh; the others are not numbers. */
function placesOfMesh(
  { points }: Pick<FaceMesh, 'points'>,
  { width, height }: Pick<Picture, 'width' | 'height'>,
  places: MeshPlaces,
): Float32Array {
  return Float32Array.from({ length: 2 * places.length }, (_, i) => {
    const point = places[i >> 1];
    if (point === undefined) return Number.NaN;
    return i % 2 === 0 ? coordinate(points[3 * point]!, width) : coordinate(points[3 * point + 1]!, height);
  });
}

/** How deep the keypoints are, in the unit of `placesOfMesh`. */
function depthsOfMesh(
  { points }: Pick<FaceMesh, 'points'>,
  { width }: Pick<Picture, 'width'>,
  places: MeshPlaces,
): Float32Array {
  return Float32Array.from(places, (point) =>
    point === undefined ? Number.NaN : (2 * points[3 * point + 2]!) / (width - 1),
  );
}

/** Where the named keypoints of a face are, and how deep; the others are not numbers. */
export function keypointsOfMesh(
  mesh: Pick<FaceMesh, 'points'>,
  picture: Pick<Picture, 'width' | 'height'>,
  names: KeypointNames,
  count: number,
): Required<Pick<KeypointSet, 'value' | 'depth'>> {
  const places = namedPlaces(names, count);
  return { value: placesOfMesh(mesh, picture, places), depth: depthsOfMesh(mesh, picture, places) };
}

function namedPlaces(names: KeypointNames, count: number): MeshPlaces {
  const points = new Map(
    Object.entries(names).map(([name, keypoint]) => [keypoint, FACE_LANDMARKS[name as FaceLandmark]]),
  );
  return Array.from({ length: count }, (_, keypoint) => points.get(keypoint));
}

/** What a mesh tells of keypoints. */
type Told = ReturnType<typeof keypointsOfMesh>;

/** Whether every keypoint of a set is known. */
const isWhole = (told: Told | undefined): told is Told =>
  told !== undefined && told.value.length > 0 && !told.value.some(Number.isNaN);

/** Keypoints with others in place of those that are told. */
function placed({ value, jacobian }: KeypointSet, { value: others, depth }: Told): KeypointSet {
  return { value: value.map((found, i) => (Number.isNaN(others[i]) ? found : others[i]!)), jacobian, depth };
}

/**
 * An engine that puts keypoints on the face mesh, wherever there is a face: named ones, or those of a model that points of the mesh
 * move. Where there is none they are the network's; a model that has no network for it stays as it was in the frame before. It disposes
 * of the engine that it stands before.
 */
export class MeshGuidedEngine implements Engine {
  readonly description: string;
  readonly size: number;
  readonly batchSize: number;
  readonly keypointNames: KeypointNames;
  readonly motion?: MotionSpace;
  readonly mergesPortraits?: boolean;
  /** The face in the frame before. */
  #mesh: FaceMesh | undefined;
  /** Named keypoints in a set; 0 until the network has found one. */
  #count = 0;
  /** Where the mesh points were that moved the frame before, or else the portrait's. */
  #last: Float32Array | undefined;

  constructor(
    readonly engine: Engine,
    readonly faces: MeshFinder,
  ) {
    const { keypointNames: names = {}, motion, mergesPortraits } = engine;
    if (Object.keys(names).length === 0 && !motion?.meshPoints) {
      throw new TypeError('the keypoints of this model have no names, so the mesh cannot say where they are');
    }
    this.keypointNames = names;
    this.description = `${engine.description}, keypoints of the face mesh`;
    this.size = engine.size;
    this.batchSize = engine.batchSize;
    if (motion) this.motion = motion;
    if (mergesPortraits !== undefined) this.mergesPortraits = mergesPortraits;
  }

  /** @throws DaganError if points of the mesh move the model and a portrait shows no face */
  async setSource(portrait: Picture, { others = [], face }: SourceOptions = {}): Promise<Analysis> {
    this.#mesh = undefined;
    const { meshPoints } = this.motion ?? {};
    if (meshPoints) {
      const sets: KeypointSet[] = [];
      for (const [number, picture] of [portrait, ...others].entries()) {
        const mesh = number === 0 ? await this.#faceOf(picture, face) : await this.faces.track(picture);
        if (!mesh) {
          throw new DaganError('no-mesh', 'there is no face in a portrait whose landmarks move it', {
            portrait: number,
          });
        }
        sets.push({ value: placesOfMesh(mesh, picture, meshPoints), jacobian: null });
      }
      const [keypoints, ...othersKeypoints] = sets;
      this.#last = keypoints!.value;
      return this.engine.setSource(portrait, { keypoints: keypoints!, others, othersKeypoints });
    }
    const mesh = await this.#faceOf(portrait, face);
    if (!mesh) return this.engine.setSource(portrait, { others });
    // Of the portraits after the first it is known whether the mesh tells all keypoints; then no network needs to find any.
    const told = keypointsOfMesh(mesh, portrait, this.keypointNames, this.#count);
    if (isWhole(told)) return this.#withSource(portrait, others, { ...told, jacobian: null });
    const [seen] = await this.engine.drive([portrait]);
    this.#count = seen!.keypoints.value.length / 2;
    const whole = keypointsOfMesh(mesh, portrait, this.keypointNames, this.#count);
    return this.#withSource(portrait, others, placed(seen!.keypoints, whole));
  }

  async #withSource(portrait: Picture, others: readonly Picture[], keypoints: KeypointSet): Promise<Analysis> {
    const analysis = await this.engine.setSource(portrait, { others, keypoints });
    return { ...analysis, keypoints };
  }

  /** The face of a portrait, looked at closely; the one that is known where that finds none. */
  async #faceOf(portrait: Picture, known?: FaceMesh): Promise<FaceMesh | undefined> {
    return (await this.faces.track(portrait, known)) ?? known;
  }

  async drive(frames: readonly Picture[], { faces, withDisparity }: DriveOptions = {}): Promise<Analysis[]> {
    const meshes = await (faces ?? this.#follow(frames));
    this.#mesh = meshes.at(-1);
    const { meshPoints } = this.motion ?? {};
    if (meshPoints) return meshes.map((mesh, i) => this.#told(mesh, frames[i]!, meshPoints));
    const find = () =>
      meshes.map((mesh, i) => mesh && keypointsOfMesh(mesh, frames[i]!, this.keypointNames, this.#count));
    if (!withDisparity) {
      const found = find();
      if (found.every(isWhole))
        return found.map((told) => ({ keypoints: { ...told, jacobian: null }, disparity: null }));
    }
    const analyses = await this.engine.drive(frames, { withDisparity });
    this.#count = analyses[0]!.keypoints.value.length / 2;
    const found = find();
    return analyses.map((analysis, i) =>
      found[i] ? { ...analysis, keypoints: placed(analysis.keypoints, found[i]) } : analysis,
    );
  }

  /** @throws DaganError for a first frame without a face where there is no portrait either */
  #told(mesh: FaceMesh | undefined, frame: Picture, points: readonly number[]): Analysis {
    if (mesh) this.#last = placesOfMesh(mesh, frame, points);
    if (!this.#last) throw new DaganError('no-mesh', 'there is no face whose landmarks could be found', {});
    return { keypoints: { value: this.#last, jacobian: null }, disparity: null };
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

  inspect(keypoints: KeypointSet, options?: InspectOptions): Promise<Inspection> {
    return this.engine.inspect(keypoints, options);
  }

  twin(): MeshGuidedEngine {
    return new MeshGuidedEngine(this.engine.twin(), this.faces);
  }

  dispose(): void {
    this.engine.dispose();
  }
}
