// Faces for the page: the square of a picture, the square of a clip, and which frame is most like the portrait.
import {
  chooseFace,
  FaceFollower,
  faceLook,
  facesFromLeft,
  frameFace,
  type Look,
  nearestLook,
  outsideOf,
} from 'dagan/animation';
import { FaceAnalyzer, type FaceMesh } from 'dagan/faces';
import { type FoundFace, type Picture, type PictureInput, type SeenFrame, StudioEngineError } from './api.js';
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

  /** The face of a picture. @param number counted from the left; by default the largest */
  async find(input: PictureInput, number: number | undefined): Promise<FoundFace> {
    const picture = readPicture(input);
    const faces = await facesFromLeft(await this.#load(), picture);
    const mesh = chooseFace(faces, number);
    if (!mesh) {
      throw noFace(
        faces.length === 0
          ? 'No face was found in this picture: take one that shows a face from the front, large and in good light, or set the square by hand.'
          : `There is no face ${number} in this picture: it has ${faces.length}, counted from the left.`,
      );
    }
    const { width, height } = picture;
    const { square, kind } = frameFace([mesh.box], width, height);
    const points = new Float32Array((mesh.points.length / 3) * 2);
    for (let i = 0; i < points.length; i++) points[i] = mesh.points[Math.floor(i / 2) * 3 + (i % 2)]!;
    return { square, kind, outside: outsideOf(square, width, height), box: mesh.box, points, faces: faces.length };
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
  async see(clip: number, input: PictureInput, face: number | undefined): Promise<SeenFrame> {
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
    return { index, box: mesh ? enlarged(mesh.box, width / small.width, height / small.height) : null };
  }

  /** One square for all frames of a clip. */
  framing(clip: number): Pick<FoundFace, 'square' | 'kind' | 'outside'> & { seen: number; of: number } {
    const { follower, size } = this.#clips.get(clip) ?? {};
    if (!follower || !size || follower.boxes.length === 0) {
      throw noFace(
        'No face was found in this clip: take one that shows a face from the front, large and in good light.',
      );
    }
    const { width, height } = size;
    const scale = Math.max(1, Math.max(width, height) / ANALYSIS_SIDE);
    const boxes = follower.boxes.map((box) => enlarged(box, scale, scale));
    const { square, kind } = frameFace(boxes, width, height);
    return { square, kind, outside: outsideOf(square, width, height), seen: boxes.length, of: follower.looked };
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

const enlarged = (box: FaceMesh['box'], x: number, y: number): FaceMesh['box'] => ({
  left: box.left * x,
  top: box.top * y,
  width: box.width * x,
  height: box.height * y,
});

const noFace = (message: string): StudioEngineError => new StudioEngineError('no-face', message);
