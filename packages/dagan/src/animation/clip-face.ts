// The face of a driving clip: which frames to look at, the one square that holds it in all of them, and the frame in which
// it is most like the portrait's. Runs wherever a face analyzer does.
import type { FaceAnalyzer } from '../faces/analyzer.js';
import { EXPRESSION_SIGNALS, type ExpressionSignal, type ExpressionSignals } from '../faces/expression.js';
import type { Square } from '../faces/framing.js';
import { type Box, scaleBox } from '../faces/geometry.js';
import type { FaceMesh } from '../faces/mesh.js';
import type { Picture } from '../media/pictures/picture.js';
import { type Framing, frameFace } from './crop.js';
import { FaceFollower, type FaceLooker } from './face-track.js';
import { faceLook, type Look, nearestLook } from './reference-frame.js';

/** What is asked of a face analyzer here. */
export type FaceReader = FaceLooker & Pick<FaceAnalyzer, 'pose' | 'expression'>;

/** The part of a clip that is used: from a frame to before another. */
export type ClipRange = { start?: number; end?: number };

/** So many frames of a clip are looked at, but at least so many a second. */
const LOOKED_AT = { frames: 40, perSecond: 2 } as const;

/** A face that is missing in more than this part of the frames is worth a word. */
export const MUCH_MISSING = 0.25;

/** A clip is looked at in one of so many frames. */
export function lookEvery({ frameCount, frameRate }: { frameCount?: number; frameRate: number }): number {
  const most = Math.max(1, Math.floor(frameRate / LOOKED_AT.perSecond));
  return frameCount === undefined ? most : Math.max(1, Math.min(most, Math.ceil(frameCount / LOOKED_AT.frames)));
}

/** The frames around one of those that were looked at, as far as the next ones: one of them may be more alike still. */
export function framesAround(
  frame: number,
  every: number,
  { start = 0, end = Infinity }: ClipRange = {},
): {
  start: number;
  end: number;
} {
  return { start: Math.max(start, frame - every + 1), end: Math.min(end, frame + every) };
}

/** How the face of a mesh looks. */
export const lookOf = (reader: FaceReader, mesh: FaceMesh): Look =>
  faceLook(reader.pose(mesh), reader.expression(mesh));

/** A frame that shows the face. */
export type SeenFace = { frame: number; mesh: FaceMesh };

/** How the face of a clip is framed. */
export type ClipFraming = Framing & {
  square: Square;
  /** In how many frames it was seen, and how many were looked at. */
  seen: number;
  of: number;
  /** Its number from the left, and how many faces there were beside each other when it was first seen. */
  face: number;
  faces: number;
};

export type ClipFaceOptions = {
  /** Which face to follow: 1 for the leftmost, ...; default the largest. */
  face?: number;
  /** A face that was seen before, for its frame if it is not found there again. */
  known?: SeenFace;
};

/** The face of one clip, followed through frames that need not be neighbours. */
export class ClipFace {
  readonly #reader: FaceReader;
  readonly #follower: FaceFollower;
  readonly #size: { width: number; height: number };
  readonly #known: SeenFace | undefined;
  readonly #seen: SeenFace[] = [];
  #scale: readonly [x: number, y: number] = [1, 1];

  /** @param size of the clip's frames; those that are looked at may be smaller */
  constructor(reader: FaceReader, size: { width: number; height: number }, { face, known }: ClipFaceOptions = {}) {
    this.#reader = reader;
    this.#size = size;
    this.#known = known;
    this.#follower = new FaceFollower(reader, face);
  }

  /**
   * Looks at a frame. All of a clip are of one size.
   *
   * @param frame its number; by default the next one
   */
  async see(picture: Picture, frame = this.#follower.looked): Promise<void> {
    this.#scale = [this.#size.width / picture.width, this.#size.height / picture.height];
    const found = await this.#follower.see(picture);
    const mesh = found ?? (this.#known?.frame === frame ? this.#known.mesh : undefined);
    if (mesh) this.#seen.push({ frame, mesh });
  }

  /** Frames that were looked at. */
  get looked(): number {
    return this.#follower.looked;
  }

  /** Around the face, in the clip's pixels, in every frame in which it was seen. */
  get boxes(): Box[] {
    return this.#follower.boxes.map((box) => scaleBox(box, ...this.#scale));
  }

  /** The faces beside each other where the one was chosen, from left to right, in the clip's pixels. */
  get choice(): Box[] {
    return this.#follower.choice.map(({ box }) => scaleBox(box, ...this.#scale));
  }

  /** One square for all frames of the clip; undefined if the face was not seen. */
  framing(): ClipFraming | undefined {
    const { boxes, choice, looked: of } = this.#follower;
    if (boxes.length === 0) return undefined;
    const { width, height } = this.#size;
    const face = choice.findIndex(({ box }) => box === boxes[0]) + 1;
    return { ...frameFace(this.boxes, width, height), seen: boxes.length, of, face, faces: choice.length };
  }

  /** How the face looks where it is first seen; undefined if it was not. */
  firstLook(): Look | undefined {
    const first = this.#seen[0];
    return first && lookOf(this.#reader, first.mesh);
  }

  /** How this face looks at rest and straight ahead, as far as the frames tell: its features are those of its middle frames. */
  restingLook(): Look | undefined {
    if (this.#seen.length === 0) return undefined;
    const poses = this.#seen.map(({ mesh }) => this.#reader.pose(mesh));
    const signals = this.#seen.map(({ mesh }) => this.#reader.expression(mesh));
    const middle = mapSignals((name) => median(signals.map((each) => each[name])));
    const pitch = median(poses.map((pose) => pose.pitch)); // depends on the shape of the face
    const atRest = { eyeOpenRight: 1, eyeOpenLeft: 1, gazeSide: 0, lipsParted: 0 };
    return faceLook({ yaw: 0, pitch, roll: 0 }, { ...middle, ...atRest });
  }

  /** The frame in which the face is most like a look; undefined if it was not seen. */
  nearest(look: Look): SeenFace | undefined {
    if (this.#seen.length === 0) return undefined;
    const best = nearestLook(
      look,
      this.#seen.map(({ mesh }) => lookOf(this.#reader, mesh)),
    );
    return this.#seen[best];
  }
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

const mapSignals = (value: (name: ExpressionSignal) => number): ExpressionSignals =>
  Object.fromEntries(EXPRESSION_SIGNALS.map((name) => [name, value(name)])) as ExpressionSignals;
