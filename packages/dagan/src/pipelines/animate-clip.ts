// A portrait and a driving clip in, an animated clip out, from files to a file: find the faces, decode, animate, compose,
// encode, frame by frame. All that `animate` of the command line does, for any program.

import { animate, batches } from '../animation/animate.js';
import { type ClipRange, lookEvery } from '../animation/clip-face.js';
import { cutSquare, padCut, planCut, type SquareCut } from '../animation/crop.js';
import type { Analysis, Engine } from '../animation/engine.js';
import { type FaceWatch, tellAbsences } from '../animation/face-watch.js';
import { keypointLook, nearestLook } from '../animation/reference-frame.js';
import type { TransferOptions } from '../animation/transfer.js';
import { DaganError } from '../errors.js';
import type { Square } from '../faces/framing.js';
import { readPicture } from '../media/pictures/images.js';
import type { Picture } from '../media/pictures/picture.js';
import { resizePicture } from '../media/pictures/resize.js';
import { type Clip, type ClipFrame, openClip } from '../media/process/clip.js';
import { containerOf, createClipWriter } from '../media/process/clip-writer.js';
import { type ContentSigner, openContentSigner } from '../media/provenance/content-credentials.js';
import type { MediaMetadata } from '../media/provenance/provenance.js';
import type { KeypointSet } from '../tensors/keypoint-set.js';
import { chooseEngine, type EngineChoice } from './choose-engine.js';
import { type KeypointSource, requireControls, withKeypointsOf } from './choose-keypoints.js';
import { NETWORK_SIZE } from './choose-model.js';
import { type Composer, sideBySideComposer, squareComposer, wholeComposer } from './compose.js';
import { type PipelineEvent, Teller } from './events.js';
import { type CropChoice, FaceFinder } from './find-faces.js';
import { atRate, expectedFrames, once } from './frame-rate.js';
import { checkTarget, guardInputs, isClipName, type Pair } from './pairs.js';
import { provenance } from './provenance.js';

/** How a portrait is animated. */
export type ClipSettings = Partial<TransferOptions> & {
  /** Which square of the portrait the networks see. Default: that of the largest face. */
  crop?: CropChoice;
  /** Further portraits of the same person, for models that merge several. */
  portraits?: readonly string[];
  /** The same of the clip, one for all its frames. Default: that of the largest face, or the centre if `crop` is. */
  drivingCrop?: CropChoice;
  /**
   * The frame that shows the portrait's own pose: the most alike of the range (default), the first of the range, or one of
   * the whole clip by its number.
   */
  referenceFrame?: 'auto' | 'first' | number;
  /**
   * Where named keypoints come from: the face mesh, which is exact, or the model's own network. Default `auto`: the mesh for models
   * that have such keypoints.
   */
  keypoints?: KeypointSource;
  /** Strength of the smoothing, from 0 to 1; none if left out. */
  smoothing?: number;
  /** First frame, and the frame before which to stop. */
  start?: number;
  end?: number;
  /** Puts the animated square back into the whole portrait. */
  pasteBack?: boolean;
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
  /** Seconds before that in which faces were looked for. */
  faceSeconds: number;
  /** Seconds that the networks took: once for the portrait, and for all frames. */
  stages: StageTimes;
};

export type StageTimes = { source: number; drive: number; generate: number };

/**
 * Animates one portrait by one clip. Nothing is written unless it is complete.
 *
 * @throws DaganError, MediaError, CheckpointError or ExportedModelError, which name file and problem; the signal's reason if
 *   it was aborted
 */
export async function animateClip(options: AnimateClipOptions): Promise<AnimationResult> {
  const { portrait, driving, output, ...rest } = options;
  guardInputs(output, [portrait, driving, ...(rest.portraits ?? [])]);
  await checkTarget(output);
  await using animator = new ClipAnimator(rest);
  return animator.animate({ portrait, driving, output });
}

/** An engine, and what its outputs say of their origin. */
type Studio = { engine: Engine; metadata?: MediaMetadata; signer?: ContentSigner };

/** The longer side up to which players and graphics processors decode H.264, in pixels. */
const WIDEST = 4096;

/** Animates any number of pairs, with one engine that is made when the first of them needs it. */
export class ClipAnimator implements AsyncDisposable {
  readonly #settings: ClipSettings;
  readonly #choice: EngineChoice;
  readonly #signal: AbortSignal | undefined;
  readonly #tell: Teller;
  readonly #faces: FaceFinder;
  #studio: Studio | undefined;
  #failed = false;

  constructor({ signal, onEvent, ...options }: ClipSettings & EngineChoice & Listening) {
    this.#settings = options;
    this.#choice = options;
    this.#signal = signal;
    this.#tell = new Teller(onEvent);
    this.#faces = new FaceFinder(this.#tell);
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
    const { start, end, frameRate, sideBySide = false, pasteBack = false, sound = true, ...settings } = this.#settings;
    const signal = this.#signal;
    signal?.throwIfAborted();
    const onWarning = (text: string): void => this.#tell.warn('codec', text, {});
    const original = await readPortrait(portrait, onWarning);
    const canvas = pasteBack ? atMost(original, settings.size) : original;
    let reading = true; // not while the clip is looked through: what is wrong with it is told once
    await using clip = await openClip(driving, {
      ...{ start, end, frameRate },
      onWarning: (text) => reading && onWarning(text),
    });
    reading = false;
    // Before faces are looked for, which takes time: what is wrong with the model comes up at once.
    const { engine, metadata, signer } = await this.#open();
    signal?.throwIfAborted();
    let started = performance.now();
    const { square, cut, reference, watch } = await this.#look({ portrait, canvas, clip, range: { start, end } });
    const faceSeconds = (performance.now() - started) / 1000;

    const stages: StageTimes = { source: 0, drive: 0, generate: 0 };
    const timed = timedEngine(engine, stages);
    const source = cutSquare(canvas, square, NETWORK_SIZE);
    const others = await this.#others(onWarning);
    const analysis = await timed.setSource(source, { others });
    const anchor = await this.#anchor(engine, analysis, { clip, cut, reference, range: { start, end } });
    const isVideo = !['gif', 'webp', 'folder'].includes(containerOf(output));
    const compose = await this.#composer(engine, { canvas, square, source, analysis, isVideo });
    const rate = frameRate ?? (clip.constantFrameRate ? clip.frameRate : undefined);
    const { width, height } = compose;
    await using writer = await createClipWriter(output, {
      ...{ width, height, frameRate: rate, metadata, signer, onWarning },
      sound: sound && isVideo && clip.hasAudio ? clip : undefined,
    });

    started = performance.now();
    reading = true;
    const progress = this.#tell.progress(label, expectedFrames(clip, rate));
    try {
      const squares = padded(clip.frames({ transform: cut.transform }), { cut, start });
      const { motion, adaptScale, controls, smoothing } = settings;
      const frames = animate(timed, analysis, rate === undefined ? once(squares) : atRate(squares, rate), {
        ...{ motion, adaptScale, controls, reference: anchor },
        smoothing: smoothing !== undefined && { strength: smoothing },
        withDisparity: sideBySide,
        watch,
      });
      for await (const { input, driving: seen, picture } of frames) {
        signal?.throwIfAborted();
        const result = compose.frame(input.picture, seen, picture);
        for (let i = 0; i < input.times; i++) await writer.add(result, input.timestamp, input.duration);
        progress.update(writer.frameCount);
      }
    } finally {
      progress.end();
    }
    signal?.throwIfAborted();
    await writer.finish();
    const absences = watch?.absences ?? [];
    const rested = tellAbsences(absences);
    if (rested !== undefined) this.#tell.warn('face-absent', `${driving}: ${rested}`, { path: driving, absences });
    const seconds = (performance.now() - started) / 1000;
    return { frames: writer.frameCount, width, height, seconds, faceSeconds, stages };
  }

  /** Frees engine and face networks. */
  async close(): Promise<void> {
    this.#dropEngine();
    await this.#faces.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #open(): Promise<Studio> {
    if (this.#studio) return this.#studio;
    const { provenance: says = true, sideBySide, pasteBack, signing, keypoints, controls = {} } = this.#settings;
    try {
      const { engine: chosen, metadata: model } = await chooseEngine(this.#choice, this.#tell);
      this.#studio = { engine: chosen };
      requireControls(controls, chosen);
      if (this.#settings.portraits && !chosen.mergesPortraits) {
        throw new DaganError(
          'one-portrait',
          'this model takes one portrait of a person, and does not merge several',
          {},
        );
      }
      const engine = await withKeypointsOf(keypoints, chosen, () => this.#faces.analyzer());
      this.#tell.notice('engine', engine.description, { description: engine.description });
      const metadata = says ? provenance(model, sideBySide || pasteBack ? 'composite' : 'trained') : undefined;
      const signer = signing && (await openContentSigner(signing));
      this.#studio = { engine, metadata, signer };
      return this.#studio;
    } catch (error) {
      this.#failed = true;
      this.#dropEngine();
      throw error;
    }
  }

  #dropEngine(): void {
    this.#studio?.engine.dispose();
    this.#studio = undefined;
  }

  /** Whether motion is measured from the frame that is most like the portrait. */
  get #searches(): boolean {
    const { motion = 'relative', referenceFrame = 'auto' } = this.#settings;
    return motion === 'relative' && referenceFrame === 'auto';
  }

  /** Finds the squares, and the reference frame's square where a number or faces tell which frame it is. */
  async #look({
    portrait,
    canvas,
    clip,
    range,
  }: Looked): Promise<{ square: Square; cut: SquareCut; reference?: Picture; watch?: FaceWatch }> {
    const { crop = { kind: 'auto' }, motion, referenceFrame = 'auto' } = this.#settings;
    // Who wants no faces to be looked for means it of both.
    const { drivingCrop = crop.kind === 'none' ? crop : { kind: 'auto' } } = this.#settings;
    const [signal, withLook] = [this.#signal, this.#searches];
    const framed = await this.#faces.portrait(portrait, canvas, { crop, withLook });
    const followed = await this.#faces.clip(clip, range, { crop: drivingCrop, withLook, signal });
    const cut = planCut(followed.square, clip.sourceWidth, clip.sourceHeight, NETWORK_SIZE);
    const seen = { square: framed.square, cut, watch: await this.#faces.watch(followed) };
    if (motion === 'absolute' || referenceFrame === 'first') return seen;
    if (referenceFrame !== 'auto') return { ...seen, reference: await squareOf(clip, referenceFrame, cut) };
    const found = framed.look && (await this.#faces.nearest(clip, framed.look, followed, { range, cut, signal }));
    if (!found) return seen;
    const message = `${clip.path}: frame ${found.frame} is most like the portrait; motion is measured from it`;
    this.#tell.notice('reference-frame', message, { path: clip.path, frame: found.frame, by: 'face' });
    return { ...seen, reference: found.picture };
  }

  /** The squares of the further portraits. */
  async #others(onWarning: (text: string) => void): Promise<Picture[]> {
    const { portraits = [], crop = { kind: 'auto' } } = this.#settings;
    const own: CropChoice = crop.kind === 'none' ? crop : { kind: 'auto' }; // a square in pixels is the first portrait's
    const squares: Picture[] = [];
    for (const path of portraits) {
      const picture = await readPortrait(path, onWarning);
      const { square } = await this.#faces.portrait(path, picture, { crop: own, withLook: false });
      squares.push(cutSquare(picture, square, NETWORK_SIZE));
    }
    return squares;
  }

  /** The keypoints from which motion is measured; undefined for those of the first frame. */
  async #anchor(
    engine: Engine,
    { keypoints }: Analysis,
    { clip, cut, reference, range }: { clip: Clip; cut: SquareCut; reference?: Picture; range: ClipRange },
  ): Promise<KeypointSet | undefined> {
    if (reference) return (await engine.drive([reference]))[0]!.keypoints;
    if (!this.#searches) return undefined;
    const nearest = await this.#nearestKeypoints(engine, keypoints, clip, { cut, range });
    const message =
      `no face to compare poses by: frame ${nearest.frame} of ${clip.path} has the keypoints most like the portrait's; ` +
      'motion is measured from it';
    this.#tell.notice('reference-frame', message, { path: clip.path, frame: nearest.frame, by: 'keypoints' });
    return nearest.keypoints;
  }

  /** Of the frames of a clip, one in so many, that whose keypoints are most like the portrait's. */
  async #nearestKeypoints(
    engine: Engine,
    portrait: KeypointSet,
    clip: Clip,
    { cut, range }: { cut: SquareCut; range: ClipRange },
  ): Promise<{ frame: number; keypoints: KeypointSet }> {
    const every = lookEvery(clip);
    const seen: KeypointSet[] = [];
    const squares = padded(clip.frames({ every, transform: cut.transform }), { cut });
    for await (const frames of batches(squares, engine.batchSize)) {
      this.#signal?.throwIfAborted();
      const found = await engine.drive(frames.map(({ picture }) => picture));
      seen.push(...found.map(({ keypoints }) => keypoints));
    }
    const best = nearestLook(
      keypointLook(portrait.value, engine.motion),
      seen.map(({ value }) => keypointLook(value, engine.motion)),
    );
    return { frame: (range.start ?? 0) + best * every, keypoints: seen[best]! };
  }

  async #composer(engine: Engine, { canvas, square, source, analysis, isVideo }: Staged): Promise<Composer> {
    const { size = NETWORK_SIZE, pasteBack, sideBySide } = this.#settings;
    if (pasteBack) {
      if (isVideo && Math.max(canvas.width, canvas.height) > WIDEST) {
        this.#tell.notice('wide-video', `many players show no video wider than ${WIDEST} pixels`, { most: WIDEST });
      }
      const [still] = await engine.generate([analysis.keypoints]);
      return wholeComposer(canvas, square, still!);
    }
    return sideBySide ? sideBySideComposer(source, analysis, size, engine.motion) : squareComposer(size);
  }
}

/** What is looked at before the first frame. */
type Looked = { portrait: string; canvas: Picture; clip: Clip; range: ClipRange };

/** A portrait that is ready: whole, its square in it, that square at the networks' size, and what was found in it. */
type Staged = { canvas: Picture; square: Square; source: Picture; analysis: Analysis; isVideo: boolean };

/** The picture, made smaller if its longer side has more than `size` pixels. */
function atMost(picture: Picture, size = Infinity): Picture {
  const shrink = size / Math.max(picture.width, picture.height);
  if (shrink >= 1) return picture;
  const along = (length: number): number => Math.max(1, Math.round(length * shrink));
  return resizePicture(picture, along(picture.width), along(picture.height));
}

/** Squares of frames with their numbers in the clip. */
async function* padded(
  frames: AsyncIterable<ClipFrame>,
  { cut, start: number = 0 }: { cut: SquareCut; start?: number },
): AsyncGenerator<ClipFrame & { number: number }> {
  for await (const frame of frames) yield { ...frame, picture: padCut(frame.picture, cut), number: number++ };
}

async function readPortrait(path: string, onWarning: (text: string) => void): Promise<Picture> {
  try {
    return await readPicture(path, { onWarning });
  } catch (error) {
    if (!isClipName(path)) throw error;
    const message = `${path}: is a clip; name the portrait first, then the driving clip`;
    throw new DaganError('portrait-is-clip', message, { path });
  }
}

/** The square of frame `index` of a whole clip. */
async function squareOf(clip: Clip, index: number, cut: SquareCut): Promise<Picture> {
  for await (const { picture } of clip.frames({ start: index, end: index + 1, transform: cut.transform })) {
    return padCut(picture, cut);
  }
  const message = `${clip.path}: there is no frame ${index} to be the reference`;
  throw new DaganError('no-frame', message, { path: clip.path, frame: index });
}

/** The engine, with the time that it takes added up. */
function timedEngine(engine: Engine, stages: StageTimes): Engine {
  const timed = async <T>(stage: keyof StageTimes, work: () => Promise<T>): Promise<T> => {
    const started = performance.now();
    const result = await work();
    stages[stage] += (performance.now() - started) / 1000;
    return result;
  };
  return {
    description: engine.description,
    size: engine.size,
    batchSize: engine.batchSize,
    keypointNames: engine.keypointNames,
    motion: engine.motion,
    mergesPortraits: engine.mergesPortraits,
    setSource: (portrait, options) => timed('source', () => engine.setSource(portrait, options)),
    drive: (frames, options) => timed('drive', () => engine.drive(frames, options)),
    generate: (keypoints) => timed('generate', () => engine.generate(keypoints)),
    inspect: (keypoints, options) => timed('generate', () => engine.inspect(keypoints, options)),
    dispose: () => engine.dispose(),
  };
}
