// A portrait and what drives it in, an animated clip out, from files to a file: find the faces, decode, animate, compose,
// encode, frame by frame. All that `animate` of the command line does, for any program.

import { animateBy } from '../animation/animate.js';
import type { Analysis, Engine } from '../animation/engine.js';
import { InnerMouth, type InnerMouthChoice } from '../animation/inner-mouth.js';
import type { Playback } from '../animation/motion-template.js';
import type { TransferOptions } from '../animation/transfer.js';
import type { Square } from '../faces/framing.js';
import type { Picture } from '../media/pictures/picture.js';
import { openSetup, type Setup, type StageTimes, tellOfWidth, timedEngine } from './animation-setup.js';
import { Background, type BackgroundChoice } from './background.js';
import { Beside } from './beside.js';
import type { EngineChoice } from './choose-engine.js';
import type { KeypointSource } from './choose-keypoints.js';
import { NETWORK_SIZE } from './choose-model.js';
import { type Composer, sideBySideComposer, squareComposer, wholeComposer } from './compose.js';
import type { Driver, ReferenceFrame } from './driver.js';
import { type PipelineEvent, Teller } from './events.js';
import { FaceFinder } from './find-faces.js';
import { expectedFrames } from './frame-rate.js';
import type { HeadTurn } from './head-turn.js';
import { requireMerging } from './merging.js';
import { beside, type SeenFrame } from './moving-portrait.js';
import { namingPortraits } from './naming-portraits.js';
import { openDriver } from './open-driver.js';
import { checkOutput, createOutput, isVideoOutput } from './output.js';
import { checkTarget, guardInputs, type Pair } from './pairs.js';
import { Portrait } from './portrait.js';
import type { CropChoice } from './told-squares.js';

/** How a portrait is animated. */
export type ClipSettings = Partial<TransferOptions> &
  Omit<Playback, 'frameRate'> & {
    /** Which square of the portrait the networks see. Default: that of the largest face. */
    crop?: CropChoice;
    /** Instead of a driver: how the head turns, for models whose keypoints stand in space. */
    turn?: HeadTurn;
    /** Further portraits of the same person, for models that merge several. */
    portraits?: readonly string[];
    /** The same of the clip, one for all its frames. Default: that of the largest face, or the centre if `crop` is. */
    drivingCrop?: CropChoice;
    /**
     * The frame that shows the portrait's own pose: the most alike of the range (default), the first of the range, or one of
     * the whole clip by its number.
     */
    referenceFrame?: ReferenceFrame;
    /**
     * Where named keypoints come from: the face mesh, which is exact, or the model's own network. Default `auto`: the mesh for models
     * that have such keypoints.
     */
    keypoints?: KeypointSource;
    /** What a mouth shows that the portrait has shut, of models with keypoints around the lips. Default `auto`. */
    innerMouth?: InnerMouthChoice;
    /** Strength of the smoothing, from 0 to 1; none if left out. */
    smoothing?: number;
    /** First frame, and the frame before which to stop. */
    start?: number;
    end?: number;
    /** Puts the animated square back into the whole portrait. */
    pasteBack?: boolean;
    /** What stands behind the person; default what the networks make of it. */
    background?: BackgroundChoice;
    /** Side of the output in pixels, default 256; with `pasteBack` the most that its longer side may have. */
    size?: number;
    /** Frames per second; by default the clip's own. */
    frameRate?: number;
    /** Shows portrait, driving frame, depth, keypoints and result beside each other. */
    sideBySide?: boolean;
    /** Takes the clip's sound over; default true. */
    sound?: boolean;
    /** Says in the output that it is synthetic and what made it; default true. */
    provenance?: boolean;
    /** PEM files of a certificate and its private key; signs the output with content credentials (C2PA). */
    signing?: { certificate: string; key: string };
  };

/** Who is told of the work, and may stop it. */
export type Listening = {
  /** Stops the work: nothing half-written is left. */
  signal?: AbortSignal;
  onEvent?: (event: PipelineEvent) => void;
};

export type AnimateClipOptions = Pair & ClipSettings & EngineChoice & Listening;

/** An animation that was made. */
export type AnimationResult = {
  frames: number;
  width: number;
  height: number;
  /** Seconds from the first frame to the finished file. */
  seconds: number;
  /** Seconds before that in which faces were looked for, while the model was loaded. */
  faceSeconds: number;
  /** Seconds that the networks took: once for the portrait, and for all frames. */
  stages: StageTimes;
};

/**
 * Animates one portrait by one clip, or by `turn` alone. Nothing is written unless it is complete.
 *
 * @throws DaganError, MediaError, CheckpointError or ExportedModelError, which name file and problem; the signal's reason if
 *   it was aborted
 */
export async function animateClip(options: AnimateClipOptions): Promise<AnimationResult> {
  const { portrait, driving, output, ...rest } = options;
  guardInputs(output, [portrait, ...(driving === undefined ? [] : [driving]), ...(rest.portraits ?? [])]);
  await checkTarget(output);
  await using animator = new ClipAnimator(rest);
  return await animator.animate({ portrait, driving, output }); // before it is closed
}

/** Animates any number of pairs, with one engine that is made when the first of them needs it. */
export class ClipAnimator implements AsyncDisposable {
  readonly #settings: ClipSettings;
  readonly #choice: EngineChoice;
  readonly #signal: AbortSignal | undefined;
  readonly #hear: (event: PipelineEvent) => void;
  readonly #tell: Teller;
  readonly #faces: FaceFinder;
  #setup: Promise<Setup> | undefined;
  #failed = false;
  /** Nobody is told of an engine that is still being loaded when an animation has failed. */
  #closed = false;
  /** What was told of faces before the model was there: it is told then, so that what is wrong with the model is told alone. */
  #early: PipelineEvent[] | undefined = [];

  constructor({ signal, onEvent, ...options }: ClipSettings & EngineChoice & Listening) {
    this.#settings = options;
    this.#choice = options;
    this.#signal = signal;
    this.#hear = (event) => this.#closed || onEvent?.(event);
    this.#tell = new Teller(this.#hear);
    this.#faces = new FaceFinder(new Teller((event) => this.#tellOfFaces(event)));
  }

  /** Whether there is no engine to be had: then no pair can succeed. */
  get engineFailed(): boolean {
    return this.#failed;
  }

  /**
   * Makes one animation. Nothing is written unless it is complete.
   *
   * @param label what its progress is told under
   */
  async animate({ portrait, driving, output }: Pair, label = output): Promise<AnimationResult> {
    const { sideBySide = false, pasteBack = false, sound = true, ...settings } = this.#settings;
    const signal = this.#signal;
    signal?.throwIfAborted();
    const onWarning = (text: string): void => this.#tell.warn('codec', text, {});
    const { crop = { kind: 'auto' } } = settings;
    // Who wants no faces to be looked for means it of both.
    const { drivingCrop = crop.kind === 'none' ? crop : { kind: 'auto' } } = settings;
    // The model, the face networks, portrait and clip are opened beside each other.
    const opening = this.#open();
    opening.catch(() => {}); // thrown below, unless portrait or clip cannot be opened
    if (crop.kind === 'auto') this.#faces.analyzer().catch(() => {}); // thrown where it is used
    await using face = await Portrait.open(portrait, onWarning);
    if (face.clip) {
      const more = driving === undefined ? 'and its head turns' : `and that of ${driving} is added to it`;
      const message = `${portrait} is a clip: its own motion goes on, ${more}`;
      this.#tell.notice('moving-portrait', message, { path: portrait });
    }
    const tools = { faces: this.#faces, tell: this.#tell, onWarning };
    const asked = settings.frameRate ?? face.clip?.frameRate; // a portrait that moves keeps its own time
    await using driver = await openDriver(driving, { ...settings, frameRate: asked, crop: drivingCrop, signal }, tools);
    const transparent = settings.background?.kind === 'transparent';
    checkOutput(output, { isOne: driver.isStill && !face.clip, transparent });

    // What takes time is begun as soon as what it needs is there, and awaited in the order in which errors are told: model,
    // portrait, clip, output.
    await using parts = new Beside(signal);
    const looked = this.#faces.seconds;
    const loaded = async (): Promise<Engine> => (await opening).engine;
    const framing = { crop, whole: pasteBack, most: settings.size, withLook: driver.searches, engine: loaded };
    const looking = parts.begin((until) => face.ready(this.#faces, { ...framing, signal: until }));
    parts.begin((until) => driver.search(until));
    const { engine, metadataOf, signer, model } = await opening;
    signal?.throwIfAborted();
    const ready = await looking;
    const { square: source, canvas, face: mesh } = ready.first;
    const stages: StageTimes = { source: 0, drive: 0, generate: 0 };
    const timed = timedEngine(engine, stages);
    const isVideo = isVideoOutput(output);
    const staging = parts.begin(async (): Promise<Staged> => {
      const others = await this.#others(onWarning);
      const paths = [portrait, ...(settings.portraits ?? [])];
      const analysis = await namingPortraits(paths, timed.setSource(source, { others, face: mesh }));
      const compose = await this.#composer(engine, { canvas, square: ready.place, source, analysis, isVideo });
      return { analysis, compose };
    });
    const behind = parts.open(() => Background.open(settings.background ?? { kind: 'moving' }));
    const { frameRate } = driver;
    const showsMouths = InnerMouth.of(engine.keypointNames ?? {}, settings.innerMouth) !== undefined;
    const metadata = metadataOf(this.#isComposite || showsMouths);
    const writing = parts.open(async () => {
      const { width, height } = (await staging).compose;
      return createOutput(output, {
        ...{ width, height, frameRate, metadata, signer, onWarning, alpha: transparent },
        sound: sound && isVideo ? [driver.sound, face.clip].find((clip) => clip?.hasAudio) : undefined,
      });
    });
    const reference = await driver.look(ready.look);
    const faceSeconds = this.#faces.seconds - looked;
    const { analysis, compose } = await staging;
    const anchor = await driver.anchor(engine, analysis, { reference, model });
    const background = await behind;
    const writer = await writing;
    const { width, height } = compose;

    const started = performance.now();
    const progress = this.#tell.progress(label, expected(driver, face, frameRate));
    try {
      const { adaptScale, controls, smoothing, innerMouth } = settings;
      const driven = driver.frames(timed, { withDisparity: sideBySide });
      const both = ready.frames
        ? beside(driven, ready.frames(frameRate!), { frameRate: frameRate!, isStill: driver.isStill })
        : driven;
      const frames = animateBy<SeenFrame>(timed, analysis, both, {
        ...{ motion: driver.motion, adaptScale, controls, reference: anchor, innerMouth },
        smoothing: smoothing !== undefined && { strength: smoothing },
      });
      for await (const { input, driving: seen, picture } of frames) {
        signal?.throwIfAborted();
        const made = compose.frame({ ...input, driving: input.picture, seen, result: picture });
        const result = background ? await background.behind(made, input.canvas ?? (pasteBack ? canvas : source)) : made;
        for (let i = 0; i < input.times; i++) await writer.add(result, input.timestamp, input.duration);
        progress.update(writer.frameCount);
      }
    } finally {
      progress.end();
    }
    signal?.throwIfAborted();
    await writer.finish();
    const absences = ready.held?.absences ?? [];
    if (absences.length > 0)
      this.#tell.warn('face-absent', `${portrait}: ${ready.held!.told}`, { path: portrait, absences });
    const seconds = (performance.now() - started) / 1000;
    return { frames: writer.frameCount, width, height, seconds, faceSeconds, stages };
  }

  /** Frees engine and face networks. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#dropEngine();
    await this.#faces.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The engine and what goes with it, opened once. */
  #open(): Promise<Setup> {
    this.#setup ??= this.#openEngine().catch((error: unknown) => {
      this.#failed = true;
      throw error;
    });
    return this.#setup;
  }

  async #openEngine(): Promise<Setup> {
    const { portraits } = this.#settings;
    const setup = await openSetup(this.#choice, this.#settings, { faces: this.#faces, tell: this.#tell });
    try {
      if (portraits) requireMerging(setup.engine);
      for (const event of this.#early ?? []) this.#hear(event);
      this.#early = undefined;
      return setup;
    } catch (error) {
      setup.engine.dispose();
      throw error;
    }
  }

  /** Whether outputs show more than the square that was painted. */
  get #isComposite(): boolean {
    const { sideBySide, pasteBack, background } = this.#settings;
    return Boolean(sideBySide || pasteBack || (background && background.kind !== 'moving'));
  }

  #tellOfFaces(event: PipelineEvent): void {
    if (this.#early) this.#early.push(event);
    else this.#hear(event);
  }

  /** Frees the engine; one that is still being loaded is freed once it has been, which nobody waits for. */
  #dropEngine(): void {
    this.#setup?.then(
      ({ engine }) => engine.dispose(),
      () => {},
    );
    this.#setup = undefined;
  }

  /** The squares of the further portraits. */
  async #others(onWarning: (text: string) => void): Promise<Picture[]> {
    const { portraits = [], crop = { kind: 'auto' } } = this.#settings;
    const own: CropChoice = crop.kind === 'none' ? crop : { kind: 'auto' }; // a square in pixels is the first portrait's
    const squares: Picture[] = [];
    for (const path of portraits) {
      await using portrait = await Portrait.open(path, onWarning);
      const { first } = await portrait.ready(this.#faces, { crop: own, whole: false, withLook: false });
      squares.push(first.square);
    }
    return squares;
  }

  async #composer(engine: Engine, { canvas, square, source, analysis, isVideo }: Composed): Promise<Composer> {
    const { size = NETWORK_SIZE, pasteBack, sideBySide } = this.#settings;
    if (pasteBack) {
      if (isVideo) tellOfWidth(canvas, this.#tell);
      const [still] = await engine.generate([analysis.keypoints]);
      return wholeComposer(canvas, square, still!);
    }
    return sideBySide ? sideBySideComposer(source, analysis, size, engine.motion) : squareComposer(size);
  }
}

/** A portrait that the engine has: what was found in it, and what makes frames of the output. */
type Staged = { analysis: Analysis; compose: Composer };

/** The same: whole, its square in it, that square at the networks' size, and what was found in it. */
type Composed = { canvas: Picture; square: Square; source: Picture; analysis: Analysis; isVideo: boolean };

/** How many frames come out, as far as known. */
function expected(driver: Driver, { clip }: Portrait, frameRate: number | undefined): number | undefined {
  const own = clip && expectedFrames(clip, frameRate);
  if (driver.isStill && clip) return own;
  const known = [own, driver.frameCount].filter((count) => count !== undefined);
  return known.length > 0 ? Math.min(...known) : undefined;
}
