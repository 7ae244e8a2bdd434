// Everything about the faces of a picture in one object. Runs in Node as it is, and wherever a runtime and the models
// are given to it.
import { defaultRuntime, readFaceModel } from '#faces/defaults';
import type { Picture } from '../media/pictures/picture.js';
import { detectFaces, detectSmallFaces, type FaceBox } from './detector.js';
import { EXPRESSION_SIGNALS, type ExpressionSignals, expressionSignals } from './expression.js';
import { type CanonicalFace, FACE_MODELS, type FaceModelReader, readCanonicalFace } from './face-models.js';
import {
  computeMesh,
  type FaceMesh,
  type MeshNetwork,
  MIN_MESH_SCORE,
  regionOfDetection,
  regionOfMesh,
} from './mesh.js';
import type { MeasuredBy, Network, NetworkRuntime } from './networks.js';
import { type HeadPose, headPose } from './pose.js';

/** What the analysis is made of. */
export type FaceAnalyzerOptions = {
  /**
   * `plain` (default): 468 points, quicker. `refined`: 478, with irises; lips and eyes follow blinks and small
   * movements.
   */
  mesh?: 'plain' | 'refined';
  /** Gives the files: `detector`, `mesh` or `refinedMesh`, `canonicalFace`. Default: those of @dagan/faces (Node). */
  models?: FaceModelReader;
  /** What runs the networks. Default: ONNX Runtime with one thread (Node). */
  runtime?: NetworkRuntime;
};

/** How to look for faces. */
export type DetectOptions = {
  /** Faces of lower score are left out. Default 0.5. */
  minScore?: number;
  /**
   * Whether to look again at overlapping parts of the picture if no face is found in the whole: in this way faces that
   * fill less than about a sixth of it are found. Each is then confirmed by its mesh. Default true.
   */
  closer?: boolean;
};

/** What an analyzer measures. */
export type FaceMeasurement = 'detector' | 'mesh' | 'pose' | 'expression';

/** The package that the networks of @dagan/faces were made from. */
const version = '@mediapipe/face_mesh 0.4.1657299874';

/** The names of what measures. */
function measurements(refined: boolean): Record<FaceMeasurement, MeasuredBy> {
  const mesh = refined ? 'MediaPipe attention mesh, 478 points' : 'MediaPipe face mesh, 468 points';
  return {
    detector: { name: 'MediaPipe BlazeFace, short range', version },
    mesh: { name: mesh, version },
    pose: { name: `rigid fit of the canonical face to the ${mesh}`, version },
    expression: { name: `${EXPRESSION_SIGNALS.length} lengths on the ${mesh}, turned to the front`, version },
  };
}

/** Finds faces, their meshes and poses. Loaded once, used for any number of pictures. */
export class FaceAnalyzer implements AsyncDisposable {
  readonly #detector: Network;
  readonly #meshNetwork: MeshNetwork;
  readonly #canonicalFace: CanonicalFace;

  private constructor(
    detector: Network,
    meshNetwork: MeshNetwork,
    canonicalFace: CanonicalFace,
    /** What measures, for reports. */
    readonly measuredBy: Readonly<Record<FaceMeasurement, MeasuredBy>>,
  ) {
    this.#detector = detector;
    this.#meshNetwork = meshNetwork;
    this.#canonicalFace = canonicalFace;
  }

  /** Loads the networks. Throws what `models` throws. */
  static async load(options: FaceAnalyzerOptions = {}): Promise<FaceAnalyzer> {
    const runtime = options.runtime ?? (await defaultRuntime());
    const refined = options.mesh === 'refined';
    const names = [FACE_MODELS.detector, refined ? FACE_MODELS.refinedMesh : FACE_MODELS.mesh] as const;
    const files = [...names, FACE_MODELS.canonicalFace].map(options.models ?? readFaceModel);
    const [detector, mesh, canonical] = (await Promise.all(files)) as [Uint8Array, Uint8Array, Uint8Array];
    const face = readCanonicalFace(canonical);
    const meshNetwork = { network: await runtime.load(mesh), regions: refined ? face.regions : undefined };
    return new FaceAnalyzer(await runtime.load(detector), meshNetwork, face, measurements(refined));
  }

  /** The faces in a picture, the largest first; none is an empty list. */
  async detect(picture: Picture, { minScore = 0.5, closer = true }: DetectOptions = {}): Promise<FaceBox[]> {
    const faces = await detectFaces(this.#detector, picture, minScore);
    if (faces.length > 0 || !closer) return faces;
    const confirmed: FaceBox[] = [];
    for (const face of await detectSmallFaces(this.#detector, picture, minScore)) {
      const { score } = await computeMesh(this.#meshNetwork, picture, regionOfDetection(face));
      if (score >= MIN_MESH_SCORE) confirmed.push(face);
    }
    return confirmed;
  }

  /**
   * The mesh of a face. After a detection the network looks twice, the second time with its own result to go by, which
   * makes the points independent of the detector; from a mesh, of this picture or of the one before it, once.
   */
  async mesh(picture: Picture, near: FaceBox | FaceMesh): Promise<FaceMesh> {
    if ('points' in near) return computeMesh(this.#meshNetwork, picture, regionOfMesh(near));
    const first = await computeMesh(this.#meshNetwork, picture, regionOfDetection(near));
    return computeMesh(this.#meshNetwork, picture, regionOfMesh(first));
  }

  /**
   * Follows a face: the mesh near that of the picture before, or, if there is none or it is lost, that of the largest
   * face in the picture. Undefined where there is no face.
   */
  async track(picture: Picture, previous?: FaceMesh): Promise<FaceMesh | undefined> {
    if (previous) {
      const followed = await this.mesh(picture, previous);
      if (followed.score >= MIN_MESH_SCORE) return followed;
    }
    for (const face of await this.detect(picture)) {
      const found = await this.mesh(picture, face);
      if (found.score >= MIN_MESH_SCORE) return found;
    }
    return undefined;
  }

  /** The pose of the head that a mesh shows. */
  pose({ points }: Pick<FaceMesh, 'points'>): HeadPose {
    return headPose(points, this.#canonicalFace);
  }

  /** What the face of a mesh does. Throws a `TypeError` unless the mesh is a refined one. */
  expression(mesh: Pick<FaceMesh, 'points'>): ExpressionSignals {
    return expressionSignals(mesh, this.pose(mesh));
  }

  /** Frees the networks. */
  async close(): Promise<void> {
    await this.#detector.release();
    await this.#meshNetwork.network.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
