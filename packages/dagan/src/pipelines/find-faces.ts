// Faces of portraits and clips: the squares that the networks see, and the frame that motion is measured from.

import { ClipFace, type ClipRange, framesAround, lookEvery, lookOf, MUCH_MISSING } from '../animation/clip-face.js';
import { cutSquare, frameFace, padCut, planCut, type SquareCut } from '../animation/crop.js';
import { chooseFace, facesFromLeft } from '../animation/face-track.js';
import { FaceWatch } from '../animation/face-watch.js';
import type { Look } from '../animation/reference-frame.js';
import type { InputRole } from '../errors.js';
import { FaceAnalyzer } from '../faces/analyzer.js';
import { ANALYSIS_SIDE, analysisSize, type Square } from '../faces/framing.js';
import type { FaceMesh } from '../faces/mesh.js';
import type { HeadPose } from '../faces/pose.js';
import { MediaError } from '../media/errors.js';
import { type Picture, rotatePicture } from '../media/pictures/picture.js';
import type { Clip } from '../media/process/clip.js';
import type { Teller } from './events.js';
import { noSuchFace } from './no-such-face.js';
import { type CropChoice, ToldSquares } from './told-squares.js';

/** A portrait with its square. */
export type FramedPortrait = {
  square: Square;
  look: Look | undefined;
  /** The face that the square is around; undefined where another square was asked for. */
  mesh: FaceMesh | undefined;
};

/** Which faces of a picture: all, or those of these numbers, counted from the left. */
export type FaceSelection = 'all' | readonly number[];

/** A clip with its square. */
export type FramedClip = {
  square: Square;
  /** The face as it was followed; undefined if nobody asked for it. */
  face: ClipFace | undefined;
  /** One of so many frames was looked at. */
  every: number;
};

/** Which frames of a clip are looked at, and what gives their squares. */
export type ClipPart = { range: ClipRange; cut: SquareCut; signal?: AbortSignal };

/** A frame by its number, and its square. */
export type NearestFrame = { frame: number; picture: Picture };

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
  readonly #squares: ToldSquares;
  readonly #roles: { portrait: InputRole; clip: InputRole };
  #analyzer: Promise<FaceAnalyzer> | undefined;
  readonly #portraits = new Map<string, Promise<FramedPortrait>>();
  readonly #clips = new Map<string, Promise<FramedClip>>();
  /** Searches that are running, since when any is, and how long any was before. */
  #running = 0;
  #since = 0;
  #seconds = 0;

  /** @param roles what notices and errors call pictures and clips */
  constructor(
    tell: Teller,
    roles: { portrait: InputRole; clip: InputRole } = { portrait: 'portrait', clip: 'driving' },
  ) {
    this.#tell = tell;
    this.#squares = new ToldSquares(tell);
    this.#roles = roles;
  }

  /**
   * The square of a portrait, and, where `withLook` asks for it, how its face looks (undefined if it has none).
   *
   * @throws DaganError if there is no face, no face of that number, or a square given that lies outside
   */
  portrait(path: string, picture: Picture, options: Options): Promise<FramedPortrait> {
    return this.#remember(this.#portraits, path, options, () => this.#framePortrait(path, picture, options));
  }

  /**
   * The squares of several faces of a portrait, all from left to right, or in the order of their numbers.
   *
   * @throws DaganError if there is no face, or none of a number
   */
  faces(path: string, picture: Picture, selection: FaceSelection): Promise<FramedPortrait[]> {
    return this.#timed(this.#frameFaces(path, picture, selection));
  }

  async #frameFaces(path: string, picture: Picture, selection: FaceSelection): Promise<FramedPortrait[]> {
    const { width, height } = picture;
    const role = this.#roles.portrait;
    const analyzer = await this.analyzer();
    const all = await facesFromLeft(analyzer, picture);
    if (all.length === 0) throw noSuchFace({ path, role, faces: [] });
    const numbers = selection === 'all' ? all.map((_, i) => i + 1) : selection;
    const chosen = numbers.map((number) => {
      const face = chooseFace(all, number);
      if (!face) throw noSuchFace({ path, role, faces: all.map(({ box }) => box), number });
      return face;
    });
    await this.#tellOfTurn(path, picture, analyzer.pose(chosen[0]!));
    return chosen.map((mesh) => {
      const framing = frameFace([mesh.box], width, height);
      const square = this.#squares.around({ path, role, width, height }, framing, [mesh.box]);
      return { square, look: lookOf(analyzer, mesh), mesh };
    });
  }

  /**
   * The one square for all frames of a clip, and the face in it.
   *
   * @param clip open, of full size; its frames are read once
   * @throws DaganError as for portraits
   */
  clip(clip: Clip, range: ClipRange, options: Options): Promise<FramedClip> {
    const { role = this.#roles.clip } = options;
    const number = options.crop.kind === 'auto' ? (options.crop.face ?? '') : ''; // each face of a clip may drive another
    const key = `${role} ${number} ${clip.path}`;
    return this.#remember(this.#clips, key, options, () => this.#frameClip(clip, range, options));
  }

  /**
   * The frame of a clip whose face looks most like the portrait's: the nearest of those that were looked at, or one of
   * its neighbours, which are looked at now.
   *
   * @returns the number of the frame, and its square; undefined if no frame that was looked at shows the face
   */
  nearest(clip: Clip, portrait: Look, framed: FramedClip, part: ClipPart): Promise<NearestFrame | undefined> {
    return this.#timed(this.#findNearest(clip, portrait, framed, part));
  }

  async #findNearest(
    clip: Clip,
    portrait: Look,
    { face, every }: FramedClip,
    { range, cut, signal }: ClipPart,
  ): Promise<NearestFrame | undefined> {
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

  /** Seconds so far in which faces were looked for. */
  get seconds(): number {
    return this.#seconds;
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
      this.#squares.tellOfOthers({ path, role, face: faces.indexOf(face) + 1, faces: faces.length }, crop.face);
      const square = this.#squares.around({ path, role, width, height }, frameFace([face.box], width, height), [
        face.box,
      ]);
      await this.#tellOfTurn(path, picture, analyzer.pose(face));
      return { square, look: lookOf(analyzer, face), mesh: face };
    }
    const square = this.#squares.given({ path, role, width, height }, crop);
    if (!withLook) return { square, look: undefined, mesh: undefined };
    const analyzer = await this.analyzer();
    const part = cutSquare(picture, square, Math.min(square.side, ANALYSIS_SIDE));
    const face = chooseFace(await facesFromLeft(analyzer, part));
    if (face) await this.#tellOfTurn(path, part, analyzer.pose(face));
    return { square, look: face && lookOf(analyzer, face), mesh: undefined };
  }

  async #frameClip(
    clip: Clip,
    range: ClipRange,
    { crop, withLook, signal, role = this.#roles.clip }: Options,
  ): Promise<FramedClip> {
    const { path, sourceWidth: width, sourceHeight: height } = clip;
    const given = crop.kind === 'auto' ? undefined : this.#squares.given({ path, role, width, height }, crop);
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
    this.#squares.tellOfOthers({ path, role, ...framing }, number);
    const missing = 1 - framing.seen / framing.of;
    if (missing > MUCH_MISSING) {
      const message = `${path}: the face is missing in ${Math.round(100 * missing)} % of the frames`;
      this.#tell.warn('face-missing', message, { path, missing });
    }
    return { square: this.#squares.around({ path, role, width, height }, framing, face.boxes), face, every };
  }

  /** What was found before, or is being looked for, or else what is found now. A search that was stopped has found nothing. */
  #remember<T>(known: Map<string, Promise<T>>, key: string, { signal }: Options, find: () => Promise<T>): Promise<T> {
    const found = known.get(key);
    if (found) return found;
    const finding = this.#timed(find());
    known.set(key, finding);
    finding.catch(() => signal?.aborted && known.delete(key));
    return finding;
  }

  /** Adds the time of a search up, that of several at once as one. */
  async #timed<T>(search: Promise<T>): Promise<T> {
    if (this.#running++ === 0) this.#since = performance.now();
    try {
      return await search;
    } finally {
      if (--this.#running === 0) this.#seconds += (performance.now() - this.#since) / 1000;
    }
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
}
