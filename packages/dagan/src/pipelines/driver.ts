// What moves a portrait: a clip, a single picture, or a motion template, which needs no network to look at it.
import { batches, type DrivenFrame, type DrivingOptions, drivenBy } from '../animation/animate.js';
import { type ClipRange, lookEvery } from '../animation/clip-face.js';
import { padCut, planCut, type SquareCut } from '../animation/crop.js';
import type { Analysis, Engine } from '../animation/engine.js';
import { type Absence, type FaceWatch, tellAbsences } from '../animation/face-watch.js';
import {
  type MotionTemplate,
  type Playback,
  partOf,
  playbackLength,
  playbackRate,
  played,
  type TemplateFrame,
  templateFor,
} from '../animation/motion-template.js';
import { keypointLook, type Look, nearestLook } from '../animation/reference-frame.js';
import { DaganError } from '../errors.js';
import { createPicture, type Picture } from '../media/pictures/picture.js';
import { type Clip, type ClipFrame, openClip } from '../media/process/clip.js';
import type { KeypointSet } from '../tensors/keypoint-set.js';
import { PLANE } from '../tensors/motion-space.js';
import { NETWORK_SIZE } from './choose-model.js';
import type { Teller } from './events.js';
import type { CropChoice, FaceFinder } from './find-faces.js';
import { atRate, expectedFrames, once, type Timed } from './frame-rate.js';
import { driverFile, isMotionName, readMotion } from './motion-file.js';

/** A driving frame: the square that the networks see, when it is shown and how often. */
export type DriverFrame = Timed<ClipFrame>;

/** The frame that shows the portrait's own pose. */
export type ReferenceFrame = 'auto' | 'first' | number;

export type DriverOptions = ClipRange &
  Playback & {
    crop: CropChoice;
    motion?: 'relative' | 'absolute';
    referenceFrame?: ReferenceFrame;
    signal?: AbortSignal;
  };

/** What moves a portrait, ready to be read. */
export type Driver = AsyncDisposable & {
  readonly path: string;
  /** How motion is to be taken over where nobody has said it: a single picture shows no change that could be repeated. */
  readonly motion: 'relative' | 'absolute';
  /** Frames per second of what comes out; undefined where frames keep times of their own. */
  readonly frameRate: number | undefined;
  /** Frames to come, as far as known. */
  readonly frameCount: number | undefined;
  /** The clip whose sound goes along. */
  readonly sound: Clip | undefined;
  /** Whether it is one picture. */
  readonly isStill: boolean;
  /** Whether how the portrait looks decides which frame motion is measured from. */
  readonly searches: boolean;
  /** Frames so far that do not show the face. */
  readonly absences: readonly Absence[];
  /** Finds the face that drives. @param portrait how the portrait's face looks, where that is known */
  look(portrait: Look | undefined): Promise<void>;
  /** The keypoints from which motion is measured; undefined for those of the first frame. */
  anchor(engine: Engine, portrait: Analysis, model: string | undefined): Promise<KeypointSet | undefined>;
  /** What drives, frame by frame, in batches; after `look` and `anchor`. */
  frames(engine: Engine, options: Pick<DrivingOptions, 'withDisparity'>): AsyncGenerator<DrivenFrame<DriverFrame>[]>;
};

/** What a driver finds faces with, and tells of it. */
export type DriverTools = { faces: FaceFinder; tell: Teller; onWarning: (text: string) => void };

/**
 * Opens what moves a portrait.
 *
 * @param path a clip, a picture, a folder of frames, a template's file or the name of one that comes with the package
 * @throws MediaError, CheckpointError or DaganError, naming the file
 */
export async function openDriver(path: string, options: DriverOptions, tools: DriverTools): Promise<Driver> {
  const { direction = 'forward', loops = 1, speed = 1 } = options;
  const file = driverFile(path);
  if (isMotionName(file)) return new TemplateDriver(path, readMotion(file), options);
  if (direction !== 'forward' || loops !== 1 || speed !== 1) {
    throw new DaganError('not-a-template', `${path}: only motion templates are reversed, repeated or slowed`, { path });
  }
  return ClipDriver.open(path, options, tools);
}

/** The square of frame `index` of a whole clip. */
export async function squareOf(clip: Clip, index: number, cut: SquareCut): Promise<Picture> {
  for await (const { picture } of clip.frames({ start: index, end: index + 1, transform: cut.transform })) {
    return padCut(picture, cut);
  }
  throw noFrame(clip.path, index);
}

const noFrame = (path: string, frame: number): DaganError =>
  new DaganError('no-frame', `${path}: there is no frame ${frame} to be the reference`, { path, frame });

/** A clip whose frames the networks look at. */
class ClipDriver implements Driver {
  readonly #clip: Clip;
  readonly #options: DriverOptions;
  readonly #tools: DriverTools;
  /** Told of what is wrong with the clip while it is read: not while it is looked through, so that it is told once. */
  readonly #reading: { now: boolean };
  #square: { cut: SquareCut; reference?: Picture; watch?: FaceWatch } | undefined;

  private constructor(clip: Clip, options: DriverOptions, tools: DriverTools, reading: { now: boolean }) {
    this.#clip = clip;
    this.#options = options;
    this.#tools = tools;
    this.#reading = reading;
  }

  static async open(path: string, options: DriverOptions, tools: DriverTools): Promise<ClipDriver> {
    const { start, end, frameRate } = options;
    const reading = { now: true };
    const onWarning = (text: string): void => void (reading.now && tools.onWarning(text));
    const clip = await openClip(path, { start, end, frameRate, onWarning });
    reading.now = false;
    return new ClipDriver(clip, options, tools, reading);
  }

  get path(): string {
    return this.#clip.path;
  }

  get isStill(): boolean {
    return this.#clip.kind === 'image' || (this.#clip.kind === 'folder' && this.#clip.frameCount === 1);
  }

  get motion(): 'relative' | 'absolute' {
    return this.#options.motion ?? (this.isStill ? 'absolute' : 'relative');
  }

  get frameRate(): number | undefined {
    return this.#options.frameRate ?? (this.#clip.constantFrameRate ? this.#clip.frameRate : undefined);
  }

  get frameCount(): number | undefined {
    return expectedFrames(this.#clip, this.frameRate);
  }

  get sound(): Clip | undefined {
    return this.#clip.hasAudio ? this.#clip : undefined;
  }

  get searches(): boolean {
    return this.motion === 'relative' && (this.#options.referenceFrame ?? 'auto') === 'auto';
  }

  get absences(): readonly Absence[] {
    return this.#square?.watch?.absences ?? [];
  }

  async look(portrait: Look | undefined): Promise<void> {
    if (this.isStill && this.#options.motion === 'relative') {
      const message = `${this.path}: a single picture shows no motion that could be taken over relative to it`;
      throw new DaganError('still-driver', message, { path: this.path });
    }
    const { faces, tell } = this.#tools;
    const { crop, referenceFrame = 'auto', start, end, signal } = this.#options;
    const [clip, range] = [this.#clip, { start, end }];
    const followed = await faces.clip(clip, range, { crop, withLook: this.searches, signal });
    const cut = planCut(followed.square, clip.sourceWidth, clip.sourceHeight, NETWORK_SIZE);
    this.#square = { cut, watch: await faces.watch(followed) };
    if (this.motion === 'absolute' || referenceFrame === 'first') return;
    if (referenceFrame !== 'auto') {
      this.#square.reference = await squareOf(clip, referenceFrame, cut);
      return;
    }
    const found = portrait && (await faces.nearest(clip, portrait, followed, { range, cut, signal }));
    if (!found) return;
    const message = `${clip.path}: frame ${found.frame} is most like the portrait; motion is measured from it`;
    tell.notice('reference-frame', message, { path: clip.path, frame: found.frame, by: 'face' });
    this.#square.reference = found.picture;
  }

  async anchor(engine: Engine, { keypoints }: Analysis): Promise<KeypointSet | undefined> {
    const { reference } = this.#square!;
    if (reference) return (await engine.drive([reference]))[0]!.keypoints;
    if (!this.searches) return undefined;
    const nearest = await this.#nearestKeypoints(engine, keypoints);
    const message =
      `no face to compare poses by: frame ${nearest.frame} of ${this.path} has the keypoints most like the portrait's; ` +
      'motion is measured from it';
    this.#tools.tell.notice('reference-frame', message, { path: this.path, frame: nearest.frame, by: 'keypoints' });
    return nearest.keypoints;
  }

  async *frames(
    engine: Engine,
    { withDisparity }: Pick<DrivingOptions, 'withDisparity'>,
  ): AsyncGenerator<DrivenFrame<DriverFrame>[]> {
    this.#reading.now = true;
    const { cut, watch } = this.#square!;
    const squares = padded(this.#clip.frames({ transform: cut.transform }), { cut, start: this.#options.start });
    const frames = this.frameRate === undefined ? once(squares) : atRate(squares, this.frameRate);
    yield* drivenBy(engine, frames, { withDisparity, watch });
    const rested = tellAbsences(this.absences);
    if (rested === undefined) return;
    const values = { path: this.path, absences: this.absences };
    this.#tools.tell.warn('face-absent', `${this.path}: ${rested}`, values);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#clip.close();
  }

  /** Of the frames, one in so many, that whose keypoints are most like the portrait's. */
  async #nearestKeypoints(engine: Engine, portrait: KeypointSet): Promise<{ frame: number; keypoints: KeypointSet }> {
    const { cut } = this.#square!;
    const every = lookEvery(this.#clip);
    const seen: KeypointSet[] = [];
    const squares = padded(this.#clip.frames({ every, transform: cut.transform }), { cut });
    for await (const frames of batches(squares, engine.batchSize)) {
      this.#options.signal?.throwIfAborted();
      const found = await engine.drive(frames.map(({ picture }) => picture));
      seen.push(...found.map(({ keypoints }) => keypoints));
    }
    const best = nearestLook(
      keypointLook(portrait.value, engine.motion),
      seen.map(({ value }) => keypointLook(value, engine.motion)),
    );
    return { frame: (this.#options.start ?? 0) + best * every, keypoints: seen[best]! };
  }
}

/** Squares of frames with their numbers in the clip. */
export async function* padded(
  frames: AsyncIterable<ClipFrame>,
  { cut, start: number = 0 }: { cut: SquareCut; start?: number },
): AsyncGenerator<ClipFrame & { number: number }> {
  for await (const frame of frames) yield { ...frame, picture: padCut(frame.picture, cut), number: number++ };
}

/** A template, which was looked at before. */
class TemplateDriver implements Driver {
  readonly absences = [];
  readonly sound = undefined;
  readonly isStill = false;
  readonly searches = false;
  readonly frameRate: number;
  readonly frameCount: number;
  readonly motion: 'relative' | 'absolute';
  readonly #options: DriverOptions;
  /** With the model's keypoints, once the model is known. */
  #template: MotionTemplate;

  constructor(
    readonly path: string,
    template: MotionTemplate,
    options: DriverOptions,
  ) {
    this.#options = options;
    this.#template = chosenOf(path, template, options);
    this.motion = options.motion ?? 'relative';
    this.frameRate = playbackRate(template, options);
    this.frameCount = playbackLength(this.#template, options);
  }

  async look(): Promise<void> {}

  async anchor(
    { keypointNames: names = {}, motion = PLANE }: Engine,
    { keypoints }: Analysis,
    model: string | undefined,
  ): Promise<KeypointSet> {
    const user = { count: keypoints.value.length / 2, hasJacobians: keypoints.jacobian !== null, names, model };
    const fitting = motion.dimensions === 2 ? templateFor(this.#template, user) : undefined;
    if (!fitting) {
      const message = `${this.path}: was made with another model, and not all keypoints of this one have names that it knows`;
      throw new DaganError('other-model', message, { path: this.path });
    }
    this.#template = fitting;
    return fitting.reference;
  }

  async *frames({ batchSize }: Engine): AsyncGenerator<DrivenFrame<DriverFrame>[]> {
    const duration = 1 / this.frameRate;
    const picture = createPicture(NETWORK_SIZE, NETWORK_SIZE); // a template has none
    async function* driven(frames: Iterable<TemplateFrame>): AsyncGenerator<DrivenFrame<DriverFrame>> {
      for (const { keypoints, hasFace, timestamp } of frames) {
        const input = { picture, timestamp, duration, times: 1 };
        yield { input, driving: { keypoints, disparity: null }, hasFace };
      }
    }
    yield* batches(driven(played(this.#template, this.#options)), batchSize);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** The frames of the range, and the reference that is asked for. @throws DaganError if they are not there */
function chosenOf(
  path: string,
  template: MotionTemplate,
  { start = 0, end, referenceFrame = 'auto' }: DriverOptions,
): MotionTemplate {
  const part = partOf(template, start, end);
  if (!part) {
    const message = `${path}: has ${template.frames.length} frames, and none from ${start} on`;
    throw new DaganError('no-frame', message, { path, frame: start });
  }
  if (referenceFrame === 'auto') return part;
  const index = referenceFrame === 'first' ? start : referenceFrame;
  const frame = template.frames[index];
  if (!frame) throw noFrame(path, index);
  return { ...part, reference: frame.keypoints };
}
