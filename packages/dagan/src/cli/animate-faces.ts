// What `dagan animate` looks for faces for: the squares of portrait and clip, and the frame that motion is measured from.
import {
  centeredSquare,
  chooseFace,
  cutSquare,
  FaceFollower,
  faceLook,
  facesFromLeft,
  frameFace,
  type Look,
  nearestLook,
  outsideOf,
  padCut,
  planCut,
  type SquareCut,
} from '../animation/index.js';
import { type Box, FaceAnalyzer, type FaceMesh, type Square, unionOf } from '../faces/index.js';
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
  /** Looks of the face in the frames that were looked at and show it, in order; empty if there is none. */
  looks: readonly { frame: number; look: Look }[];
  /** One of so many frames was looked at. */
  every: number;
};

/** The part of a clip that is used. */
export type ClipRange = { start?: number; end?: number };

/** Clips are looked at with their longer side at most this, in pixels. */
const ANALYSIS_SIDE = 640;

/** So many frames of a clip are looked at, but at least two a second. */
const FRAMES_LOOKED_AT = 40;

/** Squares of fewer pixels give a blurred result. */
const SMALL_SQUARE = 128;

/** A face that is missing in more than this part of the frames is worth a warning. */
const MUCH_MISSING = 0.25;

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
   * @returns the number of the frame, and its square
   */
  async nearest(
    path: string,
    portrait: Look,
    { looks, every }: FramedClip,
    { start = 0, end = Infinity }: ClipRange,
    cut: SquareCut,
  ): Promise<{ frame: number; picture: Picture }> {
    const best = looks[nearestOf(portrait, looks)]!;
    const first = Math.max(start, best.frame - every + 1);
    const until = Math.min(end, best.frame + every);
    await using around = await openClip(path, { start: first, end: until, transform: cut.transform });
    const analyzer = await this.load();
    const follower = new FaceFollower(analyzer);
    const found: { frame: number; picture: Picture; look: Look }[] = [];
    let frame = first;
    for await (const square of around.frames()) {
      const picture = padCut(square.picture, cut);
      const mesh = every === 1 ? undefined : await follower.see(picture);
      if (mesh) found.push({ frame, picture, look: lookOf(analyzer, mesh) });
      else if (frame === best.frame) found.push({ frame, picture, look: best.look });
      frame++;
    }
    if (found.length === 0) throw new UserError(`${path}: frame ${best.frame} cannot be read a second time`);
    return found[nearestOf(portrait, found)]!;
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
      if (!face) throw noSuchFace(path, faces, crop.face, this.names.portrait);
      this.tellOfOthers(path, faces, face, crop.face, this.names.portrait);
      const square = this.squareAround(path, [face.box], width, height);
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
    const every = samplingOf(clip);
    if (given && !withLooks) return { square: given, looks: [], every };
    const analyzer = await this.load();
    const cut = given && planCut(given, width, height, Math.min(given.side, ANALYSIS_SIDE));
    const shrink = Math.min(1, ANALYSIS_SIDE / Math.max(width, height));
    const size = [Math.max(1, Math.round(width * shrink)), Math.max(1, Math.round(height * shrink))] as const;
    const transform: PictureTransform = cut?.transform ?? { size };
    const follower = new FaceFollower(analyzer, crop.kind === 'auto' ? crop.face : undefined);
    const looks: FramedClip['looks'][number][] = [];
    await using sampled = await openClip(path, { ...range, every, transform });
    const progress = this.reporter.progress(`${path}: looking for the face`, clip.frameCount);
    let frame = range.start ?? 0;
    for await (const { picture } of sampled.frames()) {
      const mesh = await follower.see(cut ? padCut(picture, cut) : picture);
      if (mesh && withLooks) looks.push({ frame, look: lookOf(analyzer, mesh) });
      frame += every;
      progress.update(frame - (range.start ?? 0));
    }
    progress.end();
    if (given) return { square: given, looks, every };
    const scaleX = width / size[0];
    const scaleY = height / size[1];
    const boxes = follower.boxes.map((box) => scaled(box, scaleX, scaleY));
    const number = crop.kind === 'auto' ? crop.face : undefined;
    const choice = follower.choice.map(({ box }) => ({ box: scaled(box, scaleX, scaleY) }));
    if (boxes.length === 0) throw noSuchFace(path, choice, number, this.names.clip, follower.looked);
    const chosen = choice.find(({ box }) => box.left === boxes[0]!.left && box.top === boxes[0]!.top);
    if (chosen) this.tellOfOthers(path, choice, chosen, number, this.names.clip);
    const missing = 1 - boxes.length / follower.looked;
    if (missing > MUCH_MISSING) {
      this.reporter.warn(
        `${path}: the face is missing in ${Math.round(100 * missing)} % of the frames; --start and --end choose the part that shows it`,
      );
    }
    return { square: this.squareAround(path, boxes, width, height), looks, every };
  }

  /** The square for a face, with a word on what was done. */
  private squareAround(path: string, boxes: readonly Box[], width: number, height: number): Square {
    const { square, kind } = frameFace(boxes, width, height);
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

  private tellOfOthers<Face extends { box: Box }>(
    path: string,
    faces: readonly Face[],
    chosen: Face,
    number: number | undefined,
    names: CropOptionNames,
  ): void {
    if (faces.length < 2 || number !== undefined) return;
    const which = faces.indexOf(chosen) + 1;
    this.reporter.notice(
      `${path} shows ${faces.length} faces: the largest, number ${which} from the left, is used (${names.face} N takes another)`,
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

const nearestOf = (portrait: Look, frames: readonly { look: Look }[]): number =>
  nearestLook(
    portrait,
    frames.map(({ look }) => look),
  );

const lookOf = (analyzer: FaceAnalyzer, mesh: FaceMesh): Look =>
  faceLook(analyzer.pose(mesh), analyzer.expression(mesh));

/** How many frames apart a clip is looked at. */
export function samplingOf({ frameCount, frameRate }: Pick<ClipFacts, 'frameCount' | 'frameRate'>): number {
  const most = Math.max(1, Math.floor(frameRate / 2));
  return frameCount === undefined ? most : Math.max(1, Math.min(most, Math.ceil(frameCount / FRAMES_LOOKED_AT)));
}

const scaled = ({ left, top, width, height }: Box, x: number, y: number): Box => ({
  left: left * x,
  top: top * y,
  width: width * x,
  height: height * y,
});

function noSuchFace(
  path: string,
  faces: readonly { box: Box }[],
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
  const list = faces.map(({ box }, i) => {
    const [x, y] = [box.left + box.width / 2, box.top + box.height / 2].map(Math.round);
    return `${i + 1} around (${x}, ${y}), ${Math.round(box.height)} pixels high`;
  });
  const count = faces.length === 1 ? 'one face' : `${faces.length} faces`;
  return new UserError(
    `${path}: there is no face ${number}, as it shows ${count}, counted from the left: ${list.join('; ')}`,
  );
}
