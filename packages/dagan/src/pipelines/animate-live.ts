// A camera drives a portrait, live: the newest picture each time, as fast as the networks make them, to a virtual camera or a clip.
import { setTimeout as sleep } from 'node:timers/promises';
import { cutSquare, frameFace } from '../animation/crop.js';
import type { Engine } from '../animation/engine.js';
import { chooseFace, facesFromLeft } from '../animation/face-track.js';
import { FaceWatch } from '../animation/face-watch.js';
import { InnerMouth, type InnerMouthChoice } from '../animation/inner-mouth.js';
import { type MotionSettings, MotionTransfer } from '../animation/motion.js';
import type { FaceAnalyzer } from '../faces/analyzer.js';
import type { Square } from '../faces/framing.js';
import type { Camera } from '../media/live/camera.js';
import { openClipCamera } from '../media/live/clip-camera.js';
import { openDeviceCamera, requireCamera } from '../media/live/device-camera.js';
import { isDevice } from '../media/live/ffmpeg.js';
import { type LiveOutput, openLiveOutput, requireVirtualCamera } from '../media/live/live-output.js';
import { type Picture, rotatePicture } from '../media/pictures/picture.js';
import type { Listening } from './animate-clip.js';
import { openSetup, type SetupOptions } from './animation-setup.js';
import type { EngineChoice } from './choose-engine.js';
import { NETWORK_SIZE } from './choose-model.js';
import { type Composer, squareComposer, wholeComposer } from './compose.js';
import { Teller } from './events.js';
import { FaceFinder } from './find-faces.js';
import { namingPortraits } from './naming-portraits.js';
import { checkTarget, guardInputs } from './pairs.js';
import { Portrait } from './portrait.js';
import type { CropChoice } from './told-squares.js';

export type AnimateLiveOptions = EngineChoice &
  Omit<SetupOptions, 'turn' | 'signing'> &
  Pick<MotionSettings, 'motion' | 'adaptScale'> &
  Listening & {
    portrait: string;
    /** A camera of the system (`/dev/video0`), or a clip in its place. */
    camera: string;
    /** A virtual camera of the system (`/dev/video10`), or a clip to write. */
    to: string;
    /** Which square of the portrait the networks see. Default: that of the largest face. */
    crop?: CropChoice;
    /** Strength of the smoothing, from 0 to 1; none if left out. */
    smoothing?: number;
    /** What a mouth shows that the portrait has shut. Default `auto`. */
    innerMouth?: InnerMouthChoice;
    /** Puts the animated square back into the whole portrait. */
    pasteBack?: boolean;
    /** Side of the output in pixels, default 256; with `pasteBack` the most that its longer side may have. */
    size?: number;
    /** Frames a second at most; by default as many as the camera gives and the networks make. */
    mostFrames?: number;
    /** Seconds after which it ends; by default when the camera does. */
    seconds?: number;
    /** What may be changed while it runs. */
    remote?: LiveRemote;
    /** Told of every frame that was shown. */
    onFrame?: (status: LiveStatus) => void;
  };

/** Changes a live animation while it runs. */
export class LiveRemote {
  /** Whether the camera's picture is seen as in a mirror. */
  mirror: boolean;
  /** Whether it runs: before that, and after, there is nothing to change. */
  running = false;
  /** Takes the face of this moment for the portrait's own pose; its place is looked for anew. */
  resetReference: () => void = () => {};
  /** Ends it; a clip is completed. */
  stop: () => void = () => {};

  constructor({ mirror = false }: { mirror?: boolean } = {}) {
    this.mirror = mirror;
  }
}

/** How it goes. */
export type LiveStatus = {
  /** Frames shown, and pictures of the camera that were left out since they were too old. */
  frames: number;
  dropped: number;
  /** Frames a second, of late. */
  rate: number;
  /** Milliseconds from when the camera's picture was there to when its frame is shown, of late. */
  latency: number;
  /** Whether the face is seen; where it is not, the portrait rests. */
  hasFace: boolean;
};

export type LiveResult = Omit<LiveStatus, 'hasFace'> & { width: number; height: number; seconds: number };

/** Milliseconds until a face is looked for again. */
const RETRY = 300;

/** Milliseconds after which a face that has left its square is looked for in the whole picture. */
const LOST = 2000;

/** Share of the newest frame in means. */
const NEWEST = 0.15;

/**
 * Animates a portrait by a camera until that ends, the time is over, or it is stopped.
 *
 * @throws DaganError, MediaError, CheckpointError or ExportedModelError, which name file or device and problem; the signal's
 *   reason if it was aborted
 */
export async function animateLive(options: AnimateLiveOptions): Promise<LiveResult> {
  const { portrait, camera: from, to, signal, onEvent, remote = new LiveRemote(), ...settings } = options;
  signal?.throwIfAborted();
  if (isDevice(from)) requireCamera(from);
  if (isDevice(to)) requireVirtualCamera(to);
  else {
    guardInputs(to, [portrait, from]);
    await checkTarget(to);
  }
  const tell = new Teller(onEvent);
  const onWarning = (text: string): void => tell.warn('codec', text, {});
  await using faces = new FaceFinder(tell);
  const { pasteBack = false, size = NETWORK_SIZE, crop = { kind: 'auto' } } = settings;
  await using face = await Portrait.open(portrait, onWarning);
  const framing = { crop, whole: pasteBack, most: settings.size, withLook: false, signal };
  const { first, place } = await face.ready(faces, framing);
  const setup = await openSetup(settings, settings, { faces, tell, use: 'live' });
  const { engine } = setup;
  const mouth = InnerMouth.of(engine.keypointNames ?? {}, settings.innerMouth);
  const metadata = setup.metadataOf(pasteBack || mouth !== undefined);
  try {
    const analysis = await namingPortraits([portrait], engine.setSource(first.square, { face: first.face }));
    const [still] = await engine.generate([analysis.keypoints]);
    const compose = pasteBack ? wholeComposer(first.canvas, place, still!) : squareComposer(size);
    const { width, height } = compose;
    await using output = await openLiveOutput(to, { width, height, metadata, onWarning });
    await using camera = isDevice(from) ? openDeviceCamera(from) : await openClipCamera(from, onWarning);
    const motion = new MotionTransfer(analysis.keypoints, { space: engine.motion });
    const { adaptScale, controls, smoothing } = settings;
    motion.set({
      ...{ motion: settings.motion, adaptScale, controls, names: engine.keypointNames },
      smoothing: smoothing !== undefined && { strength: smoothing },
    });
    const analyzer = await faces.analyzer();
    const loop = new LiveLoop({ engine, motion, mouth, compose, camera, output, analyzer, remote, options });
    const result = await loop.run();
    await output.finish();
    return { ...result, width, height };
  } finally {
    engine.dispose();
  }
}

type LoopParts = {
  engine: Engine;
  motion: MotionTransfer;
  mouth: InnerMouth | undefined;
  compose: Composer;
  camera: Camera;
  output: LiveOutput;
  analyzer: FaceAnalyzer;
  remote: LiveRemote;
  options: Pick<AnimateLiveOptions, 'signal' | 'mostFrames' | 'seconds' | 'onFrame'>;
};

class LiveLoop {
  readonly #parts: LoopParts;
  #ended = false;
  /** The face's square in the camera's picture, what follows it there, and whether the picture was a mirror's. */
  #place: { square: Square; watch: FaceWatch; mirror: boolean } | undefined;
  /** When the face was last seen. */
  #seen = 0;
  #frames = 0;
  #started = 0;
  #means: { interval: number; latency: number } | undefined;
  #shown = 0;

  constructor(parts: LoopParts) {
    this.#parts = parts;
    parts.remote.resetReference = () => {
      this.#place = undefined;
    };
    parts.remote.stop = () => {
      this.#ended = true;
      void parts.camera[Symbol.asyncDispose]();
    };
  }

  async run(): Promise<Omit<LiveResult, 'width' | 'height'>> {
    const { camera, motion, remote, options } = this.#parts;
    const { signal, mostFrames = Infinity, seconds = Infinity } = options;
    const still = await this.#generated(motion.still);
    this.#started = this.#shown = performance.now();
    const stop = (): void => remote.stop();
    signal?.throwIfAborted(); // while everything was opened
    signal?.addEventListener('abort', stop);
    const ending = Number.isFinite(seconds) ? setTimeout(stop, 1000 * seconds) : undefined;
    remote.running = true;
    try {
      await this.#show(still); // until a face is there
      while (!this.#ended) {
        const frame = await camera.newest();
        if (!frame) break;
        const began = performance.now();
        const { mirror } = remote;
        const picture = mirror ? rotatePicture(frame.picture, 0, true) : frame.picture;
        if (await this.#findFace(picture, mirror)) await this.#animate(picture, frame.taken);
        else await sleep(RETRY);
        const rest = 1000 / mostFrames - (performance.now() - began);
        if (rest > 0) await sleep(rest);
      }
      signal?.throwIfAborted();
      return { ...this.#status(), seconds: (performance.now() - this.#started) / 1000 };
    } finally {
      remote.running = false;
      clearTimeout(ending);
      signal?.removeEventListener('abort', stop);
    }
  }

  /** Finds the face where its place is not known, in the whole picture. Its pose of this moment is the portrait's own. */
  async #findFace(picture: Picture, mirror: boolean): Promise<boolean> {
    const { analyzer, motion } = this.#parts;
    if (this.#place?.mirror === mirror) return true;
    const face = chooseFace(await facesFromLeft(analyzer, picture));
    if (!face) return false;
    const { square } = frameFace([face.box], picture.width, picture.height);
    motion.reset();
    this.#place = { square, watch: new FaceWatch(analyzer), mirror };
    this.#seen = performance.now();
    return true;
  }

  async #animate(picture: Picture, taken: number): Promise<void> {
    const { engine, motion, mouth, options } = this.#parts;
    const { square, watch } = this.#place!;
    const seen = cutSquare(picture, square, engine.size);
    const hasFace = (await watch.see(seen)) === 'face';
    const [driving] = await engine.drive([seen], { faces: Promise.resolve([watch.face]) });
    const time = (taken - this.#started) / 1000;
    const keypoints = motion.next(driving!.keypoints, time, hasFace);
    const painted = { picture: await this.#generated(keypoints), keypoints };
    const driver = { picture: seen, keypoints: driving!.keypoints, hasFace };
    await this.#show(mouth?.in(painted, motion, driver) ?? painted.picture);
    const now = performance.now();
    const [interval, latency] = [now - this.#shown, now - taken];
    const mixed = (mean: number | undefined, value: number): number =>
      mean === undefined ? value : (1 - NEWEST) * mean + NEWEST * value;
    this.#means = {
      interval: mixed(this.#means?.interval, interval),
      latency: mixed(this.#means?.latency, latency),
    };
    this.#shown = now;
    if (hasFace) this.#seen = now;
    else if (now - this.#seen > LOST) this.#place = undefined;
    options.onFrame?.({ ...this.#status(), hasFace });
  }

  async #generated(keypoints: Parameters<Engine['generate']>[0][number]): Promise<Picture> {
    const [picture] = await this.#parts.engine.generate([keypoints]);
    return picture!;
  }

  async #show(result: Picture): Promise<void> {
    const { compose, output } = this.#parts;
    const picture = compose.frame({ driving: result, seen: NOTHING, result });
    await output.show(picture, (performance.now() - this.#started) / 1000);
    this.#frames++;
  }

  #status(): Omit<LiveStatus, 'hasFace'> {
    const { interval = Infinity, latency = 0 } = this.#means ?? {};
    const { dropped } = this.#parts.camera;
    return { frames: this.#frames, dropped, rate: 1000 / interval, latency };
  }
}

/** Squares and whole portraits are composed without what was seen in the driving frame. */
const NOTHING = { keypoints: { value: new Float32Array(), jacobian: null }, disparity: null };
