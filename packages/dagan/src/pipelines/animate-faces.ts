// Several faces of one picture at once, each by the same driver or by one of its own, all back in the one picture.
import { type AnimatedFrame, animateBy, type DrivenFrame } from '../animation/animate.js';
import { cutSquare } from '../animation/crop.js';
import type { Analysis, Engine } from '../animation/engine.js';
import { forReaders, inStep } from '../animation/in-step.js';
import { PasteFaces } from '../animation/paste-faces.js';
import { DaganError } from '../errors.js';
import { meshInSquare } from '../faces/mesh.js';
import { readPicture } from '../media/pictures/images.js';
import type { Picture } from '../media/pictures/picture.js';
import type { KeypointSet } from '../tensors/keypoint-set.js';
import type { AnimationResult, ClipSettings, Listening } from './animate-clip.js';
import { openSetup, type StageTimes, tellOfWidth, timedEngine } from './animation-setup.js';
import { Background } from './background.js';
import type { EngineChoice } from './choose-engine.js';
import { NETWORK_SIZE } from './choose-model.js';
import type { Driver, DriverFrame, DriverOptions, DriverTools } from './driver.js';
import { Teller } from './events.js';
import { FaceFinder, type FaceSelection, type FramedPortrait } from './find-faces.js';
import { openDriver } from './open-driver.js';
import { checkOutput, createOutput, isVideoOutput } from './output.js';
import { checkTarget, guardInputs, isClipInput, isPictureName } from './pairs.js';
import { atMost } from './portrait.js';
import type { CropChoice } from './told-squares.js';

export type AnimateFacesOptions = Omit<ClipSettings, 'crop' | 'portraits' | 'pasteBack' | 'sideBySide'> &
  EngineChoice &
  Listening & {
    /** A picture of several people. */
    portrait: string;
    /** One driver for all faces, or one for each, in the order of `faces`; none where the heads only turn (`turn`). */
    drivings: readonly string[];
    output: string;
    /** `all`, from left to right (default), or these numbers, counted from the left. */
    faces?: FaceSelection;
    /**
     * Which face of each driver, counted from the left: one number for each; or, of one driver, one for each face that is animated,
     * which it then moves by that of its people. In place of `drivingCrop`; default: the largest of each.
     */
    drivingFaces?: readonly number[];
  };

export type FacesResult = AnimationResult & {
  /** How many faces were animated. */
  faces: number;
};

/** Frames a second where no driver has a constant rate. */
const USUAL_RATE = 25;

/**
 * Animates several faces of one picture. Nothing is written unless it is complete. The result ends with the first driver that
 * ends; a picture drives all along.
 *
 * @throws DaganError, MediaError, CheckpointError or ExportedModelError, which name file and problem; the signal's reason if
 *   it was aborted
 */
export async function animateFaces(options: AnimateFacesOptions): Promise<FacesResult> {
  const { portrait, drivings, drivingFaces, output, faces: selection = 'all', signal, onEvent, ...settings } = options;
  signal?.throwIfAborted();
  guardInputs(output, [portrait, ...drivings]);
  const asked = askedDrivers(drivings, drivingFaces, settings.drivingCrop);
  await checkTarget(output);
  if (isClipInput(portrait)) {
    const message = `${portrait}: is no single picture, and several faces are animated in one`;
    throw new DaganError('faces-of-clip', message, { path: portrait });
  }
  const tell = new Teller(onEvent);
  const onWarning = (text: string): void => tell.warn('codec', text, {});
  await using faces = new FaceFinder(tell);
  const canvas = atMost(await readPicture(portrait, { onWarning }), settings.size);
  const found = await faces.faces(portrait, canvas, selection);
  checkCounts(portrait, found.length, asked.length);

  await using opened = new Opened();
  const drivers = await openDrivers(asked, { ...settings, signal }, { faces, tell, onWarning }, opened);
  const isStill = drivers.every((driver) => driver.isStill);
  const transparent = settings.background?.kind === 'transparent';
  checkOutput(output, { isOne: isStill, transparent });
  const setup = await openSetup(settings, settings, { faces, tell });
  opened.defer(() => setup.engine.dispose());
  signal?.throwIfAborted();

  const stages: StageTimes = { source: 0, drive: 0, generate: 0 };
  const engine = timedEngine(setup.engine, stages);
  const acts: Act[] = [];
  for (const [i, face] of found.entries()) {
    const own = i === 0 ? engine : engine.twin();
    if (i > 0) opened.defer(() => own.dispose());
    acts.push(await stagedAct(face, canvas, { engine: own, driver: drivers[i] ?? drivers[0]!, model: setup.model }));
  }
  const paste = new PasteFaces(canvas, acts);
  await using background = await Background.open(settings.background ?? { kind: 'moving' });
  const isVideo = isVideoOutput(output);
  if (isVideo) tellOfWidth(canvas, tell);
  const { width, height } = canvas;
  const frameRate = drivers.length > 1 ? rateOf(drivers) : drivers[0]!.frameRate;
  await using writer = await createOutput(output, {
    ...{ width, height, frameRate, alpha: transparent, onWarning },
    ...{ metadata: setup.metadataOf(true), signer: setup.signer },
    sound: (settings.sound ?? true) && isVideo ? drivers.find(({ sound }) => sound)?.sound : undefined,
  });

  const started = performance.now();
  const progress = tell.progress(output, expectedOf(drivers, isStill));
  try {
    const streams = streamsOf(acts, drivers, settings);
    let shown: { of: readonly Picture[]; frame: Picture } | undefined;
    for await (const row of inStep(streams)) {
      signal?.throwIfAborted();
      const of = row.map(({ picture }) => picture);
      if (!shown?.of.every((picture, i) => picture === of[i])) {
        const made = paste.paste(of);
        shown = { of, frame: background ? await background.behind(made, canvas) : made };
      }
      const { timestamp, duration } = row[0]!.input;
      await writer.add(shown!.frame, timestamp, duration);
      progress.update(writer.frameCount);
    }
  } finally {
    progress.end();
  }
  signal?.throwIfAborted();
  await writer.finish();
  const seconds = (performance.now() - started) / 1000;
  const faceSeconds = faces.seconds;
  return { faces: acts.length, frames: writer.frameCount, width, height, seconds, faceSeconds, stages };
}

/** One face that is to move: the engine that holds it, what it looks like there, and what moves it. */
type Act = {
  engine: Engine;
  driver: Driver;
  square: FramedPortrait['square'];
  box: NonNullable<FramedPortrait['mesh']>['box'];
  analysis: Analysis;
  /** What the networks make of it without motion. */
  still: Picture;
  anchor: KeypointSet | undefined;
};

async function stagedAct(
  { square, mesh, look }: FramedPortrait,
  canvas: Picture,
  { engine, driver, model }: Pick<Act, 'engine' | 'driver'> & { model: string | undefined },
): Promise<Act> {
  const reference = await driver.look(look);
  const face = meshInSquare(mesh!, square, NETWORK_SIZE);
  const analysis = await engine.setSource(cutSquare(canvas, square, NETWORK_SIZE), { face });
  const anchor = await driver.anchor(engine, analysis, { reference, model });
  const [still] = await engine.generate([analysis.keypoints]);
  return { engine, driver, square, box: mesh!.box, analysis, still: still!, anchor };
}

/** @throws DaganError if there are several drivers, and not one for each face */
function checkCounts(path: string, faces: number, drivers: number): void {
  if (drivers <= 1 || drivers === faces) return;
  const count = faces === 1 ? 'one face is' : `${faces} faces are`;
  const message = `${path}: ${count} to be animated, and there are ${drivers} drivers; name one for all, or one for each`;
  throw new DaganError('faces-and-drivers', message, { path, faces, drivers });
}

/** What drives, and which part of it is looked at; no path where heads only turn. */
type AskedDriver = { path: string | undefined; crop: CropChoice };

/** @throws DaganError if there are several drivers, and not one face named of each */
function askedDrivers(
  paths: readonly string[],
  faces: readonly number[] | undefined,
  crop: CropChoice = { kind: 'auto' },
): AskedDriver[] {
  if (!faces) return paths.length > 0 ? paths.map((path) => ({ path, crop })) : [{ path: undefined, crop }];
  if (paths.length !== 1 && paths.length !== faces.length) {
    const message = `there are ${paths.length} drivers, and a face is named of ${faces.length}; name one of each`;
    throw new DaganError('faces-of-drivers', message, { drivers: paths.length, faces: faces.length });
  }
  return faces.map((face, i) => ({ path: paths[i] ?? paths[0], crop: { kind: 'auto', face } }));
}

/** Opens what drives. Several get one frame rate: what was asked for, or that of the first with a constant one. */
async function openDrivers(
  asked: readonly AskedDriver[],
  options: Omit<DriverOptions, 'crop'>,
  tools: DriverTools,
  opened: Opened,
): Promise<Driver[]> {
  const open = async ({ path, crop }: AskedDriver, frameRate = options.frameRate): Promise<Driver> => {
    const range = asked.length > 1 && isPictureName(path!) ? { start: undefined, end: undefined } : {};
    return opened.use(await openDriver(path, { ...options, ...range, crop, frameRate }, tools));
  };
  const drivers: Driver[] = [];
  for (const each of asked) drivers.push(await open(each));
  if (drivers.length === 1) return drivers;
  const frameRate = rateOf(drivers);
  const inTime: Driver[] = [];
  for (const [i, driver] of drivers.entries()) {
    const fits = driver.isStill || driver.frameRate === frameRate;
    inTime.push(fits ? driver : await open(asked[i]!, frameRate));
  }
  return inTime;
}

/** What was opened; ends in the opposite order. Node has no `AsyncDisposableStack` before version 24. */
class Opened implements AsyncDisposable {
  readonly #closers: (() => void | PromiseLike<void>)[] = [];

  use<T extends AsyncDisposable>(opened: T): T {
    this.#closers.push(() => opened[Symbol.asyncDispose]());
    return opened;
  }

  defer(close: () => void): void {
    this.#closers.push(close);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const close of this.#closers.toReversed()) await close();
  }
}

const rateOf = (drivers: readonly Driver[]): number =>
  drivers.find(({ isStill, frameRate }) => !isStill && frameRate !== undefined)?.frameRate ?? USUAL_RATE;

/** How many frames come out, as far as known. */
function expectedOf(drivers: readonly Driver[], isStill: boolean): number | undefined {
  const counts = drivers.filter((driver) => isStill || !driver.isStill).flatMap(({ frameCount }) => frameCount ?? []);
  return counts.length > 0 ? Math.min(...counts) : undefined;
}

type ActFrame = AnimatedFrame<DriverFrame>;

/** The animated squares of every face, frame by frame. */
function streamsOf(
  acts: readonly Act[],
  drivers: readonly Driver[],
  settings: Pick<ClipSettings, 'adaptScale' | 'controls' | 'smoothing' | 'innerMouth'>,
): AsyncGenerator<ActFrame>[] {
  const isShared = drivers.length === 1;
  const driven = isShared
    ? forReaders(drivers[0]!.frames(acts[0]!.engine, {}), acts.length)
    : acts.map(({ driver, engine }) => driver.frames(engine, {}));
  const { adaptScale, controls, smoothing, innerMouth } = settings;
  const lasts = drivers.some((driver) => !driver.isStill);
  return acts.map(({ engine, driver, analysis, anchor: reference }, i) => {
    const seen = isShared && i > 0 ? seenBy(engine, driven[i]!) : driven[i]!;
    const frames = animateBy(engine, analysis, seen, {
      ...{ motion: driver.motion, adaptScale, controls, reference, innerMouth },
      smoothing: smoothing !== undefined && { strength: smoothing },
    });
    return inTime(frames, driver.isStill && lasts);
  });
}

/** Frames that another face's engine has looked at. Keypoints in space are the portrait's own, moved as the driver's head. */
async function* seenBy(
  engine: Engine,
  driven: AsyncIterable<DrivenFrame<DriverFrame>[]>,
): AsyncGenerator<DrivenFrame<DriverFrame>[]> {
  for await (const batch of driven) {
    if (engine.motion?.dimensions !== 3) yield batch;
    else {
      const found = await engine.drive(batch.map(({ input }) => input.picture));
      yield batch.map((frame, i) => ({ ...frame, driving: found[i]! }));
    }
  }
}

/** Every frame as often as it is shown. */
async function* inTime(frames: AsyncIterable<ActFrame>, forever: boolean): AsyncGenerator<ActFrame> {
  for await (const frame of frames) {
    const times = forever ? Infinity : frame.input.times;
    for (let i = 0; i < times; i++) yield frame;
  }
}
