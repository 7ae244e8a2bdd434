// Faces for the page: the squares of a picture, the square of a clip, and which frame is most like the portrait.
import { chooseFace, FaceFollower, faceLook, facesFromLeft, frameFace, type Look, nearestLook } from 'dagan/animation';
import { FaceAnalyzer, type FaceMesh } from 'dagan/faces';
import { type ClipFraming, type FoundFaces, type Picture, type PictureInput, StudioEngineError } from './api.js';
import { readPicture, shrink, sizeOf } from './pictures.js';
import type { Runtime } from './runtime.js';
import { FACE_ASSETS_URL } from './runtime-files.js';

/** Frames of clips are looked at with their longer side at most this, in pixels. */
const ANALYSIS_SIDE = 640;

/** The face of a clip, as far as it has been seen. */
type FollowedClip = {
  follower: FaceFollower;
  /** Size of its frames. */
  size: { width: number; height: number } | undefined;
  looks: { index: number; look: Look }[];
};

export class FaceFinder {
  #analyzer: Promise<FaceAnalyzer> | undefined;
  readonly #clips = new Map<number, FollowedClip>();

  constructor(private readonly runtime: Runtime) {}

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
    let known = this.#clips.get(clip);
    if (!known) {
      known = { follower: new FaceFollower(analyzer, face), size: undefined, looks: [] };
      this.#clips.set(clip, known);
    }
    const { width, height } = sizeOf(input);
    known.size ??= { width, height };
    if (known.size.width !== width || known.size.height !== height) {
      throw new StudioEngineError(
        'bad-picture',
        `The frames of a clip have one size: this one is ${width} x ${height}, those before ${known.size.width} x ${known.size.height}.`,
      );
    }
    const small = shrink(readPicture(input), ANALYSIS_SIDE);
    const index = known.follower.looked;
    const mesh = await known.follower.see(small);
    if (mesh) known.looks.push({ index, look: lookOf(analyzer, mesh) });
  }

  /** One square for all frames of a clip. */
  framing(clip: number): ClipFraming {
    const { follower, size } = this.#clips.get(clip) ?? {};
    const [first] = follower?.boxes ?? [];
    if (!follower || !size || !first) {
      throw noFace(
        'No face was found in this clip: take one that shows a face from the front, large and in good light.',
      );
    }
    const { width, height } = size;
    const scale = Math.max(1, Math.max(width, height) / ANALYSIS_SIDE);
    const { boxes, choice, looked: of } = follower;
    const { square } = frameFace(
      boxes.map((box) => enlarged(box, scale)),
      width,
      height,
    );
    const face = choice.findIndex(({ box }) => box === first) + 1;
    return { square, seen: boxes.length, of, face, faces: choice.length };
  }

  /** The number of the clip's frame that is most like a look; null if none shows a face. */
  nearest(clip: number, look: Look): number | null {
    const looks = this.#clips.get(clip)?.looks ?? [];
    if (looks.length === 0) return null;
    const best = nearestLook(
      look,
      looks.map((each) => each.look),
    );
    return looks[best]!.index;
  }

  forget(clip: number): void {
    this.#clips.delete(clip);
  }

  #load(): Promise<FaceAnalyzer> {
    this.#analyzer ??= loadAnalyzer(this.runtime).catch((error: unknown) => {
      this.#analyzer = undefined; // the next call tries again
      throw error;
    });
    return this.#analyzer;
  }
}

async function loadAnalyzer(runtime: Runtime): Promise<FaceAnalyzer> {
  let assets: Uint8Array;
  try {
    const response = await fetch(FACE_ASSETS_URL);
    if (!response.ok) throw new Error(`status ${response.status}`);
    assets = new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    throw new StudioEngineError(
      'offline',
      `The networks that find faces could not be loaded (${(error as Error).message}): check the connection and try again.`,
    );
  }
  return FaceAnalyzer.load({ mesh: 'refined', assets, runtime: runtime.forFaces() });
}

const lookOf = (analyzer: FaceAnalyzer, mesh: FaceMesh): Look =>
  faceLook(analyzer.pose(mesh), analyzer.expression(mesh));

const enlarged = ({ left, top, width, height }: FaceMesh['box'], scale: number): FaceMesh['box'] => ({
  left: left * scale,
  top: top * scale,
  width: width * scale,
  height: height * scale,
});

const noFace = (message: string): StudioEngineError => new StudioEngineError('no-face', message);
