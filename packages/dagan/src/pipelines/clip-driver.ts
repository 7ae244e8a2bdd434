// A driver whose frames the networks look at: a clip, a folder of frames or a single picture.
import { batches, type DrivenFrame, type DrivingOptions, drivenBy } from '../animation/animate.js';
import { lookEvery } from '../animation/clip-face.js';
import { planCut, type SquareCut } from '../animation/crop.js';
import type { Analysis, Engine } from '../animation/engine.js';
import { type Absence, type FaceWatch, tellAbsences } from '../animation/face-watch.js';
import { keypointLook, type Look, nearestLook } from '../animation/reference-frame.js';
import { DaganError } from '../errors.js';
import type { Picture } from '../media/pictures/picture.js';
import { type Clip, openClip } from '../media/process/clip.js';
import type { KeypointSet } from '../tensors/keypoint-set.js';
import { NETWORK_SIZE } from './choose-model.js';
import { padded, squareOf } from './clip-squares.js';
import type { AnchorChoice, Driver, DriverFrame, DriverOptions, DriverTools } from './driver.js';
import type { FramedClip } from './find-faces.js';
import { atRate, expectedFrames, once } from './frame-rate.js';

export class ClipDriver implements Driver {
  readonly #clip: Clip;
  readonly #options: DriverOptions;
  readonly #tools: DriverTools;
  /** Told of what is wrong with the clip while it is read: not while it is looked through, so that it is told once. */
  readonly #reading: { now: boolean };
  #square: { cut: SquareCut; watch?: FaceWatch } | undefined;

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

  async search(signal?: AbortSignal): Promise<void> {
    await this.#followed(signal);
  }

  async look(portrait: Look | undefined): Promise<Picture | undefined> {
    if (this.isStill && this.#options.motion === 'relative') {
      const message = `${this.path}: a single picture shows no motion that could be taken over relative to it`;
      throw new DaganError('still-driver', message, { path: this.path });
    }
    const { faces, tell } = this.#tools;
    const { referenceFrame = 'auto', start, end, signal } = this.#options;
    const [clip, range] = [this.#clip, { start, end }];
    const followed = await this.#followed(signal);
    const cut = planCut(followed.square, clip.sourceWidth, clip.sourceHeight, NETWORK_SIZE);
    this.#square ??= { cut, watch: await faces.watch(followed) };
    if (this.motion === 'absolute' || referenceFrame === 'first') return undefined;
    if (referenceFrame !== 'auto') return squareOf(clip, referenceFrame, cut);
    const found = portrait && (await faces.nearest(clip, portrait, followed, { range, cut, signal }));
    if (!found) return undefined;
    const message = `${clip.path}: frame ${found.frame} is most like the portrait; motion is measured from it`;
    tell.notice('reference-frame', message, { path: clip.path, frame: found.frame, by: 'face' });
    return found.picture;
  }

  async anchor(engine: Engine, { keypoints }: Analysis, { reference }: AnchorChoice): Promise<KeypointSet | undefined> {
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

  /** The face, looked for once: the finder remembers it. */
  #followed(signal: AbortSignal | undefined): Promise<FramedClip> {
    const { crop, start, end } = this.#options;
    return this.#tools.faces.clip(this.#clip, { start, end }, { crop, withLook: this.searches, signal });
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
