// Faces for the page: the squares of a picture, the square of a clip, and which frame is most like the portrait.
import { ClipFace, chooseFace, FaceWatch, facesFromLeft, frameFace, type Look, lookOf } from 'dagan/animation';
import { ANALYSIS_SIDE, FaceAnalyzer, type FaceMesh, type FaceModelFile } from 'dagan/faces/portable';
import { type ClipFraming, type FoundFaces, type Picture, type PictureInput, StudioEngineError } from './api.js';
import { readPicture, shrink, sizeOf } from './pictures.js';
import type { Runtime } from './runtime.js';
import { FACE_FILES } from './runtime-files.js';

/** The face of a clip, as far as it has been seen. */
type FollowedClip = {
  face: ClipFace;
  /** Size of its frames. */
  size: { width: number; height: number };
};

export class StudioFaces {
  #analyzer: Promise<FaceAnalyzer> | undefined;
  readonly #clips = new Map<number, FollowedClip>();

  readonly #runtime: Runtime;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** The faces of a picture. */
  async find(input: PictureInput): Promise<FoundFaces> {
    const picture = readPicture(input);
    const faces = await facesFromLeft(await this.#load(), picture);
    const largest = chooseFace(faces);
    if (!largest) {
      throw noFace(
        'No face was found in this picture: take one that shows a face from the front, large and in good light, or set the square by hand.',
      );
    }
    const { width, height } = picture;
    const squares = faces.map(({ box }) => frameFace([box], width, height).square);
    return { squares, largest: faces.indexOf(largest) + 1 };
  }

  /** The look of the face nearest to a place of a picture; undefined where there is none. */
  async lookAt(picture: Picture, [x, y]: readonly [number, number]): Promise<Look | undefined> {
    const distance = ({ box }: FaceMesh): number =>
      Math.hypot(box.left + box.width / 2 - x, box.top + box.height / 2 - y);
    const analyzer = await this.#load();
    const faces = await facesFromLeft(analyzer, picture);
    const [mesh] = faces.sort((a, b) => distance(a) - distance(b));
    return mesh && lookOf(analyzer, mesh);
  }

  /** Looks at a frame of the clip of this number. */
  async see(clip: number, input: PictureInput, face: number | undefined): Promise<void> {
    const analyzer = await this.#load();
    const { width, height } = sizeOf(input);
    const known = this.#clips.get(clip) ?? {
      face: new ClipFace(analyzer, { width, height }, { face }),
      size: { width, height },
    };
    this.#clips.set(clip, known);
    if (known.size.width !== width || known.size.height !== height) {
      throw new StudioEngineError(
        'bad-picture',
        `The frames of a clip have one size: this one is ${width} x ${height}, those before ${known.size.width} x ${known.size.height}.`,
      );
    }
    await known.face.see(shrink(readPicture(input), ANALYSIS_SIDE));
  }

  /** One square for all frames of a clip. */
  framing(clip: number): ClipFraming {
    const framing = this.#clips.get(clip)?.face.framing();
    if (!framing) {
      throw noFace(
        'No face was found in this clip: take one that shows a face from the front, large and in good light.',
      );
    }
    const { square, seen, of, face, faces } = framing;
    return { square, seen, of, face, faces };
  }

  /** The number of the clip's frame that is most like a look; null if none shows a face. */
  nearest(clip: number, look: Look): number | null {
    return this.#clips.get(clip)?.face.nearest(look)?.frame ?? null;
  }

  /** What follows a face by the refined mesh. */
  analyzer(): Promise<FaceAnalyzer> {
    return this.#load();
  }

  /** Watches a face from frame to frame. */
  async watch(): Promise<FaceWatch> {
    return new FaceWatch(await this.#load());
  }

  forget(clip: number): void {
    this.#clips.delete(clip);
  }

  #load(): Promise<FaceAnalyzer> {
    this.#analyzer ??= loadAnalyzer(this.#runtime).catch((error: unknown) => {
      this.#analyzer = undefined; // the next call tries again
      throw error;
    });
    return this.#analyzer;
  }
}

const loadAnalyzer = (runtime: Runtime): Promise<FaceAnalyzer> =>
  FaceAnalyzer.load({ mesh: 'refined', models: fetchModel, runtime: runtime.forFaces() });

async function fetchModel(file: FaceModelFile): Promise<Uint8Array> {
  try {
    const response = await fetch(FACE_FILES[file]!);
    if (!response.ok) throw new Error(`status ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    throw new StudioEngineError(
      'offline',
      `The networks that find faces could not be loaded (${(error as Error).message}): check the connection and try again.`,
    );
  }
}

const noFace = (message: string): StudioEngineError => new StudioEngineError('no-face', message);
