// What `dagan animate` looks for faces for: the squares of portrait and clip, and the frame that motion is measured from.
import {
  analysisSize,
  ClipFace,
  type ClipFraming,
  type ClipRange,
  centeredSquare,
  chooseFace,
  cutSquare,
  type Framing,
  facesFromLeft,
  frameFace,
  framesAround,
  type Look,
  lookEvery,
  lookOf,
  MUCH_MISSING,
  outsideOf,
  padCut,
  planCut,
  type SquareCut,
} from '../animation/index.js';
import { ANALYSIS_SIDE, type Box, FaceAnalyzer, type Square, unionOf } from '../faces/index.js';
import { openClip, type Picture, type PictureTransform } from '../media/index.js';
import { UserError } from './errors.js';
import type { Reporter } from './report.js';

/** Which square of a picture is used. */
export type CropChoice =
  /** The one around a face: the largest, or the one of this number, counted from the left. */
  | { kind: 'auto'; face?: number }
  /** The largest one around the centre. */
  | { kind: 'none' }
  /** This one. */
  | { kind: 'square'; square: Square };

/** The options that say it, for messages. */
export type CropOptionNames = { crop: string; face: string };
export const PORTRAIT_OPTIONS: CropOptionNames = { crop: '--crop', face: '--face' };
export const CLIP_OPTIONS: CropOptionNames = { crop: '--driving-crop', face: '--driving-face' };

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

/** Finds faces for any number of pairs. Loads its networks when first needed and remembers what it has found. */
export class FaceFinder {
  private analyzer: Promise<FaceAnalyzer> | undefined;
  private readonly portraits = new Map<string, Promise<FramedPortrait>>();
  private readonly clips = new Map<string, Promise<FramedClip>>();

  /** @param names of the options that choose squares, by which messages call them */
  constructor(
    private readonly reporter: Reporter,
    private readonly names: { portrait: CropOptionNames; clip: CropOptionNames } = {
      portrait: PORTRAIT_OPTIONS,
      clip: CLIP_OPTIONS,
    },
  ) {}

  /**
   * The square of a portrait, and, where `withLook` asks for it, how its face looks (undefined if it has none).
   *
   * @throws UserError if there is no face, no face of that number, or a square given that lies outside
   */
  portrait(path: string, picture: Picture, crop: CropChoice, withLook: boolean): Promise<FramedPortrait> {
    return remember(this.portraits, path, () => this.framePortrait(path, picture, crop, withLook));
  }

  /**
   * The one square for all frames of a clip, and how the face in it looks.
   *
   * @param size of the clip's pictures, and what else is known of it
   * @throws UserError as for portraits
   */
  clip(path: string, clip: ClipFacts, range: ClipRange, crop: CropChoice, withLooks: boolean): Promise<FramedClip> {
    return remember(this.clips, path, () => this.frameClip(path, clip, range, crop, withLooks));
  }

  /**
   * The frame of a clip whose face looks most like the portrait's: the nearest of those that were looked at, or one of
   * its neighbours, which are looked at now.
   *
   * @param cut gives the squares of frames
   * @returns the number of the frame, and its square; undefined if no frame that was looked at shows the face
   */
  async nearest(
    path: string,
    portrait: Look,
    { face, every }: FramedClip,
    range: ClipRange,
    cut: SquareCut,
  ): Promise<{ frame: number; picture: Picture } | undefined> {
    const best = face?.nearest(portrait);
    if (!best) return undefined;
    const { start, end } =
      every === 1 ? { start: best.frame, end: best.frame + 1 } : framesAround(best.frame, every, range);
    await using around = await openClip(path, { start, end, transform: cut.transform });
    const closer = new ClipFace(await this.load(), { width: cut.size, height: cut.size }, { known: best });
    const squares: Picture[] = [];
    for await (const { picture } of around.frames()) {
      const square = padCut(picture, cut);
      squares.push(square);
      if (every > 1) await closer.see(square, start + squares.length - 1);
    }
    const { frame } = closer.nearest(portrait) ?? best;
    const picture = squares[frame - start];
    if (!picture) throw new UserError(`${path}: frame ${frame} cannot be read a second time`);
    return { frame, picture };
  }

  /** Frees the networks. */
  async close(): Promise<void> {
    const analyzer = await this.analyzer?.catch(() => undefined);
    await analyzer?.close();
  }

  private load(): Promise<FaceAnalyzer> {
    this.analyzer ??= FaceAnalyzer.load({ mesh: 'refined' });
    return this.analyzer;
  }

  private async framePortrait(
    path: string,
    picture: Picture,
    crop: CropChoice,
    withLook: boolean,
  ): Promise<FramedPortrait> {
    const { width, height } = picture;
    if (crop.kind === 'auto') {
      const analyzer = await this.load();
      const faces = await facesFromLeft(analyzer, picture);
      const face = chooseFace(faces, crop.face);
      const boxes = faces.map(({ box }) => box);
      if (!face) throw noSuchFace(path, boxes, crop.face, this.names.portrait);
      const place = { face: faces.indexOf(face) + 1, faces: faces.length };
      this.tellOfOthers(path, place, crop.face, this.names.portrait);
      const square = this.squareAround(path, frameFace([face.box], width, height), [face.box], width, height);
      return { square, look: lookOf(analyzer, face) };
    }
    const square = this.squareGiven(path, crop, width, height, this.names.portrait);
    if (!withLook) return { square, look: undefined };
    const analyzer = await this.load();
    const part = cutSquare(picture, square, Math.min(square.side, ANALYSIS_SIDE));
    const face = chooseFace(await facesFromLeft(analyzer, part));
    return { square, look: face && lookOf(analyzer, face) };
  }

  private async frameClip(
    path: string,
    clip: ClipFacts,
    range: ClipRange,
    crop: CropChoice,
    withLooks: boolean,
  ): Promise<FramedClip> {
    const { width, height } = clip;
    const given = crop.kind === 'auto' ? undefined : this.squareGiven(path, crop, width, height, this.names.clip);
    const every = lookEvery(clip);
    if (given && !withLooks) return { square: given, face: undefined, every };
    const analyzer = await this.load();
    const cut = given && planCut(given, width, height, Math.min(given.side, ANALYSIS_SIDE));
    const transform: PictureTransform = cut?.transform ?? { size: analysisSize(width, height) };
    const number = crop.kind === 'auto' ? crop.face : undefined;
    const face = new ClipFace(analyzer, { width, height }, { face: number });
    await using sampled = await openClip(path, { ...range, every, transform });
    const progress = this.reporter.progress(`${path}: looking for the face`, clip.frameCount);
    let frame = range.start ?? 0;
    for await (const { picture } of sampled.frames()) {
      await face.see(cut ? padCut(picture, cut) : picture, frame);
      frame += every;
      progress.update(frame - (range.start ?? 0));
    }
    progress.end();
    if (given) return { square: given, face, every };
    const framing = face.framing();
    if (!framing) throw noSuchFace(path, face.choice, number, this.names.clip, face.looked);
    this.tellOfOthers(path, framing, number, this.names.clip);
    const missing = 1 - framing.seen / framing.of;
    if (missing > MUCH_MISSING) {
      this.reporter.warn(
        `${path}: the face is missing in ${Math.round(100 * missing)} % of the frames; --start and --end choose the part that shows it`,
      );
    }
    return { square: this.squareAround(path, framing, face.boxes, width, height), face, every };
  }

  /** The square for a face, with a word on what was done. */
  private squareAround(
    path: string,
    { square, kind }: Framing,
    boxes: readonly Box[],
    width: number,
    height: number,
  ): Square {
    const { left, top, side } = square;
    if (kind === 'face') {
      const outside = outsideOf(square, width, height);
      const made = outside > 0 ? `; ${Math.ceil(100 * outside)} % of it lies outside, where edges are repeated` : '';
      this.reporter.notice(
        `${path} is ${width} x ${height}: the face's square, ${side} x ${side} at ${left},${top}, is used${made}`,
      );
    } else {
      this.noticeCentre(path, square, width, height);
    }
    const face = unionOf(boxes);
    if (side < SMALL_SQUARE) {
      this.reporter.warn(
        `${path}: the face is only ${Math.round(face.height)} pixels high; the result will be blurred`,
      );
    }
    return square;
  }

  private squareGiven(
    path: string,
    crop: Exclude<CropChoice, { kind: 'auto' }>,
    width: number,
    height: number,
    names: CropOptionNames,
  ): Square {
    if (crop.kind === 'none') {
      const square = centeredSquare(width, height);
      this.noticeCentre(path, square, width, height);
      return square;
    }
    const outside = outsideOf(crop.square, width, height);
    const { left, top, side } = crop.square;
    if (outside === 1) {
      throw new UserError(
        `${path}: ${names.crop} ${left},${top},${side} lies outside the picture, which is ${width} x ${height}`,
      );
    }
    if (outside > 0) {
      this.reporter.notice(
        `${path}: ${Math.ceil(100 * outside)} % of ${names.crop} ${left},${top},${side} lies outside the ${width} x ${height} picture, where edges are repeated`,
      );
    }
    return crop.square;
  }

  private noticeCentre(path: string, { side }: Square, width: number, height: number): void {
    if (width === height) return;
    this.reporter.notice(
      `${path} is ${width} x ${height}: its centre, ${side} x ${side}, is used (the networks take squares)`,
    );
  }

  private tellOfOthers(
    path: string,
    { face, faces }: Pick<ClipFraming, 'face' | 'faces'>,
    number: number | undefined,
    names: CropOptionNames,
  ): void {
    if (faces < 2 || number !== undefined) return;
    this.reporter.notice(
      `${path} shows ${faces} faces: the largest, number ${face} from the left, is used (${names.face} N takes another)`,
    );
  }
}

/** What must be known of a clip to look through it. */
export type ClipFacts = { width: number; height: number; frameCount: number | undefined; frameRate: number };

function remember<T>(known: Map<string, Promise<T>>, path: string, find: () => Promise<T>): Promise<T> {
  const found = known.get(path) ?? find();
  known.set(path, found);
  return found;
}

function noSuchFace(
  path: string,
  faces: readonly Box[],
  number: number | undefined,
  names: CropOptionNames,
  frames?: number,
): UserError {
  if (faces.length === 0) {
    const where = frames === undefined ? 'in it' : `in the ${frames} frames looked at`;
    return new UserError(
      `${path}: no face is found ${where}; name the square with ${names.crop} x,y,side, or take the centre with ${names.crop} none`,
    );
  }
  const list = faces.map((box, i) => {
    const [x, y] = [box.left + box.width / 2, box.top + box.height / 2].map(Math.round);
    return `${i + 1} around (${x}, ${y}), ${Math.round(box.height)} pixels high`;
  });
  const count = faces.length === 1 ? 'one face' : `${faces.length} faces`;
  return new UserError(
    `${path}: there is no face ${number}, as it shows ${count}, counted from the left: ${list.join('; ')}`,
  );
}
