// Faces of portraits and clips: the squares that the networks see, and the frame that motion is measured from.

import {
  ClipFace,
  type ClipFraming,
  type ClipRange,
  framesAround,
  lookEvery,
  lookOf,
  MUCH_MISSING,
} from '../animation/clip-face.js';
import {
  centeredSquare,
  cutSquare,
  type Framing,
  frameFace,
  outsideOf,
  padCut,
  planCut,
  type SquareCut,
} from '../animation/crop.js';
import { chooseFace, facesFromLeft } from '../animation/face-track.js';
import { FaceWatch } from '../animation/face-watch.js';
import type { Look } from '../animation/reference-frame.js';
import { DaganError, type InputRole } from '../errors.js';
import { FaceAnalyzer } from '../faces/analyzer.js';
import { ANALYSIS_SIDE, analysisSize, type Square } from '../faces/framing.js';
import { type Box, unionOf } from '../faces/geometry.js';
import type { HeadPose } from '../faces/pose.js';
import { MediaError } from '../media/errors.js';
import { type Picture, rotatePicture } from '../media/pictures/picture.js';
import type { Clip } from '../media/process/clip.js';
import type { Teller } from './events.js';

/** Which square of a picture is used. */
export type CropChoice =
  /** The one around a face: the largest, or the one of this number, counted from the left. */
  | { kind: 'auto'; face?: number }
  /** The largest one around the centre. */
  | { kind: 'none' }
  /** This one. */
  | { kind: 'square'; square: Square };

/** A portrait with its square. */
export type FramedPortrait = { square: Square; look: Look | undefined };

/** A clip with its square. */
export type FramedClip = {
  square: Square;
  /** The face as it was followed; undefined if nobody asked for it. */
  face: ClipFace | undefined;
  /** One of so many frames was looked at. */
  every: number;
};

/** Squares of fewer pixels give a blurred result. */
const SMALL_SQUARE = 128;

/** Degrees from which on a face is not merely tilted. */
const MUCH_TURNED = 60;

/** The detector's score of an upright face, and by how much it is lower for one upside down; measured on portraits. */
const SURE = 0.85;
const SURER = 0.1;

type Options = {
  crop: CropChoice;
  /** Whether how the face looks will be asked for. */
  withLook: boolean;
  signal?: AbortSignal;
  /** What notices and errors call the picture or clip. */
  role?: InputRole;
};

/** Finds faces for any number of pairs. Loads its networks when first needed and remembers what it has found. */
export class FaceFinder implements AsyncDisposable {
  readonly #tell: Teller;
  readonly #roles: { portrait: InputRole; clip: InputRole };
  #analyzer: Promise<FaceAnalyzer> | undefined;
  readonly #portraits = new Map<string, Promise<FramedPortrait>>();
  readonly #clips = new Map<string, Promise<FramedClip>>();

  /** @param roles what notices and errors call pictures and clips */
  constructor(
    tell: Teller,
    roles: { portrait: InputRole; clip: InputRole } = { portrait: 'portrait', clip: 'driving' },
  ) {
    this.#tell = tell;
    this.#roles = roles;
  }

  /**
   * The square of a portrait, and, where `withLook` asks for it, how its face looks (undefined if it has none).
   *
   * @throws DaganError if there is no face, no face of that number, or a square given that lies outside
   */
  portrait(path: string, picture: Picture, options: Options): Promise<FramedPortrait> {
    return remember(this.#portraits, path, () => this.#framePortrait(path, picture, options));
  }

  /**
   * The one square for all frames of a clip, and the face in it.
   *
   * @param clip open, of full size; its frames are read once
   * @throws DaganError as for portraits
   */
  clip(clip: Clip, range: ClipRange, options: Options): Promise<FramedClip> {
    const { role = this.#roles.clip } = options;
    return remember(this.#clips, `${role} ${clip.path}`, () => this.#frameClip(clip, range, options));
  }

  /**
   * The frame of a clip whose face looks most like the portrait's: the nearest of those that were looked at, or one of
   * its neighbours, which are looked at now.
   *
   * @param cut gives the squares of frames
   * @returns the number of the frame, and its square; undefined if no frame that was looked at shows the face
   */
  async nearest(
    clip: Clip,
    portrait: Look,
    { face, every }: FramedClip,
    { range, cut, signal }: { range: ClipRange; cut: SquareCut; signal?: AbortSignal },
  ): Promise<{ frame: number; picture: Picture } | undefined> {
    const best = face?.nearest(portrait);
    if (!best) return undefined;
    const only = { start: best.frame, end: best.frame + 1 };
    const around = every === 1 ? only : framesAround(best.frame, every, range);
    const closer = new ClipFace(await this.analyzer(), { width: cut.size, height: cut.size }, { known: best });
    const squares: Picture[] = [];
    for await (const { picture } of clip.frames({ ...around, transform: cut.transform })) {
      signal?.throwIfAborted();
      const square = padCut(picture, cut);
      squares.push(square);
      if (every > 1) await closer.see(square, around.start + squares.length - 1);
    }
    const { frame } = closer.nearest(portrait) ?? best;
    const picture = squares[frame - around.start];
    if (!picture) throw new MediaError(clip.path, `frame ${frame} cannot be read a second time`);
    return { frame, picture };
  }

  /** Watches the face of a clip through all of its frames; undefined where nobody has asked for it, or there is none. */
  async watch({ face }: FramedClip): Promise<FaceWatch | undefined> {
    return face && face.boxes.length > 0 ? new FaceWatch(await this.analyzer()) : undefined;
  }

  /** Frees the networks. */
  async close(): Promise<void> {
    const analyzer = await this.#analyzer?.catch(() => undefined);
    await analyzer?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What finds the faces, with the refined mesh; it belongs to this object. */
  analyzer(): Promise<FaceAnalyzer> {
    this.#analyzer ??= FaceAnalyzer.load({ mesh: 'refined' });
    return this.#analyzer;
  }

  async #framePortrait(path: string, picture: Picture, { crop, withLook }: Options): Promise<FramedPortrait> {
    const { width, height } = picture;
    const role = this.#roles.portrait;
    if (crop.kind === 'auto') {
      const analyzer = await this.analyzer();
      const faces = await facesFromLeft(analyzer, picture);
      const face = chooseFace(faces, crop.face);
      const boxes = faces.map(({ box }) => box);
      if (!face) throw noSuchFace({ path, role, faces: boxes, number: crop.face });
      this.#tellOfOthers({ path, role, face: faces.indexOf(face) + 1, faces: faces.length }, crop.face);
      const square = this.#squareAround({ path, role, width, height }, frameFace([face.box], width, height), [
        face.box,
      ]);
      await this.#tellOfTurn(path, picture, analyzer.pose(face));
      return { square, look: lookOf(analyzer, face) };
    }
    const square = this.#squareGiven({ path, role, width, height }, crop);
    if (!withLook) return { square, look: undefined };
    const analyzer = await this.analyzer();
    const part = cutSquare(picture, square, Math.min(square.side, ANALYSIS_SIDE));
    const face = chooseFace(await facesFromLeft(analyzer, part));
    if (face) await this.#tellOfTurn(path, part, analyzer.pose(face));
    return { square, look: face && lookOf(analyzer, face) };
  }

  async #frameClip(
    clip: Clip,
    range: ClipRange,
    { crop, withLook, signal, role = this.#roles.clip }: Options,
  ): Promise<FramedClip> {
    const { path, sourceWidth: width, sourceHeight: height } = clip;
    const given = crop.kind === 'auto' ? undefined : this.#squareGiven({ path, role, width, height }, crop);
    const every = lookEvery(clip);
    if (given && !withLook) return { square: given, face: undefined, every };
    const analyzer = await this.analyzer();
    const cut = given && planCut(given, width, height, Math.min(given.side, ANALYSIS_SIDE));
    const transform = cut?.transform ?? { size: analysisSize(width, height) };
    const number = crop.kind === 'auto' ? crop.face : undefined;
    const face = new ClipFace(analyzer, { width, height }, { face: number });
    const progress = this.#tell.progress(`${path}: looking for the face`, clip.frameCount);
    let frame = range.start ?? 0;
    try {
      for await (const { picture } of clip.frames({ every, transform })) {
        signal?.throwIfAborted();
        await face.see(cut ? padCut(picture, cut) : picture, frame);
        frame += every;
        progress.update(frame - (range.start ?? 0));
      }
    } finally {
      progress.end();
    }
    if (given) return { square: given, face, every };
    const framing = face.framing();
    if (!framing) throw noSuchFace({ path, role, faces: face.choice, number, frames: face.looked });
    this.#tellOfOthers({ path, role, ...framing }, number);
    const missing = 1 - framing.seen / framing.of;
    if (missing > MUCH_MISSING) {
      const message = `${path}: the face is missing in ${Math.round(100 * missing)} % of the frames`;
      this.#tell.warn('face-missing', message, { path, missing });
    }
    return { square: this.#squareAround({ path, role, width, height }, framing, face.boxes), face, every };
  }

  /** The networks learn from upright faces, and a picture that lies on its side mostly does so by mistake. */
  async #tellOfTurn(path: string, picture: Picture, { roll }: HeadPose): Promise<void> {
    const upsideDown = Math.abs(roll) > 135 || (await this.#isUpsideDown(picture));
    if (!upsideDown && Math.abs(roll) < MUCH_TURNED) return;
    const degrees = upsideDown ? 180 : Math.round(roll);
    const how = upsideDown ? 'is upside down' : `lies on its side, turned by ${degrees} degrees`;
    const message = `${path}: the face ${how}; turn the picture first, or the result will be odd`;
    this.#tell.warn('turned-face', message, { path, degrees });
  }

  /** In a face that is upside down the networks see an upright one, but the right way round they are surer of it. */
  async #isUpsideDown(picture: Picture): Promise<boolean> {
    const analyzer = await this.analyzer();
    const sureness = async (seen: Picture): Promise<number> =>
      Math.max(0, ...(await analyzer.detect(seen, { closer: false })).map(({ score }) => score));
    const asItIs = await sureness(picture);
    return asItIs < SURE && (await sureness(rotatePicture(picture, 180, false))) > asItIs + SURER;
  }

  /** The square for a face, with a word on what was done. */
  #squareAround(input: Input, { square, kind }: Framing, boxes: readonly Box[]): Square {
    const { path, width, height } = input;
    const { left, top, side } = square;
    if (kind === 'face') {
      const outside = outsideOf(square, width, height);
      const made = outside > 0 ? `; ${Math.ceil(100 * outside)} % of it lies outside, where edges are repeated` : '';
      const message = `${path} is ${width} x ${height}: the face's square, ${side} x ${side} at ${left},${top}, is used${made}`;
      this.#tell.notice('face-square', message, { ...input, square, outside });
    } else {
      this.#tellOfCentre(input, square);
    }
    if (side < SMALL_SQUARE) {
      const face = Math.round(unionOf(boxes).height);
      const message = `${path}: the face is only ${face} pixels high; the result will be blurred`;
      this.#tell.warn('small-face', message, { path, height: face });
    }
    return square;
  }

  #squareGiven(input: Input, crop: Exclude<CropChoice, { kind: 'auto' }>): Square {
    const { path, width, height } = input;
    if (crop.kind === 'none') {
      const square = centeredSquare(width, height);
      this.#tellOfCentre(input, square);
      return square;
    }
    const { square } = crop;
    const outside = outsideOf(square, width, height);
    const name = `the square ${square.left},${square.top},${square.side}`;
    if (outside === 1) {
      const message = `${path}: ${name} lies outside the picture, which is ${width} x ${height}`;
      throw new DaganError('square-outside', message, { ...input, square });
    }
    if (outside > 0) {
      const message = `${path}: ${Math.ceil(100 * outside)} % of ${name} lies outside the ${width} x ${height} picture, where edges are repeated`;
      this.#tell.notice('square-reaches-out', message, { ...input, square, outside });
    }
    return square;
  }

  #tellOfCentre(input: Input, square: Square): void {
    const { path, width, height } = input;
    if (width === height) return;
    const { side } = square;
    const message = `${path} is ${width} x ${height}: its centre, ${side} x ${side}, is used (the networks take squares)`;
    this.#tell.notice('centre-square', message, { ...input, square });
  }

  #tellOfOthers(
    { path, role, face, faces }: Pick<Input, 'path' | 'role'> & Pick<ClipFraming, 'face' | 'faces'>,
    number: number | undefined,
  ): void {
    if (faces < 2 || number !== undefined) return;
    const message = `${path} shows ${faces} faces: the largest, number ${face} from the left, is used`;
    this.#tell.notice('other-faces', message, { path, role, face, faces });
  }
}

/** A picture or clip, of this size. */
type Input = { path: string; role: InputRole; width: number; height: number };

function remember<T>(known: Map<string, Promise<T>>, path: string, find: () => Promise<T>): Promise<T> {
  const found = known.get(path) ?? find();
  known.set(path, found);
  return found;
}

/** @param frames that were looked at, of a clip */
function noSuchFace({
  path,
  role,
  faces,
  number,
  frames,
}: Pick<Input, 'path' | 'role'> & { faces: readonly Box[]; number?: number; frames?: number }): DaganError {
  if (faces.length === 0 || number === undefined) {
    const where = frames === undefined ? 'in it' : `in the ${frames} frames looked at`;
    return new DaganError('no-face', `${path}: no face is found ${where}`, { path, role, frames });
  }
  const list = faces.map((box, i) => {
    const [x, y] = [box.left + box.width / 2, box.top + box.height / 2].map(Math.round);
    return `${i + 1} around (${x}, ${y}), ${Math.round(box.height)} pixels high`;
  });
  const count = faces.length === 1 ? 'one face' : `${faces.length} faces`;
  const message = `${path}: there is no face ${number}, as it shows ${count}, counted from the left: ${list.join('; ')}`;
  return new DaganError('no-such-face', message, { path, role, number, faces });
}
