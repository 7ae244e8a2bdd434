// One animation from files to a file: find the faces, decode, animate, compose, encode, frame by frame.
import {
  type Analysis,
  animate,
  type ClipRange,
  cutSquare,
  type Engine,
  keypointLook,
  lookEvery,
  nearestLook,
  PasteBack,
  padCut,
  planCut,
  type SquareCut,
} from '../animation/index.js';
import {
  type Clip,
  type ClipFrame,
  type ClipOptions,
  type ContentSigner,
  createClipWriter,
  type MediaMetadata,
  openClip,
  type Picture,
  readPicture,
  resizePicture,
} from '../media/index.js';
import { containerOf } from '../media/process/clip-writer.js';
import type { KeypointSet } from '../tensors/keypoint-set.js';
import { drawKeypoints, grid, heatPicture, type ValueRange, valueRange } from '../visualization/index.js';
import type { ClipFacts, CropChoice, FaceFinder } from './animate-faces.js';
import { UserError } from './errors.js';
import { NETWORK_SIZE } from './model.js';
import { isClipName, type Pair } from './pairs.js';
import type { Reporter } from './report.js';

export type PairSettings = {
  /** Which squares of portrait and clip the networks see. */
  crop: CropChoice;
  drivingCrop: CropChoice;
  motion: 'relative' | 'absolute';
  adaptScale: boolean;
  /**
   * The frame that shows the portrait's own pose: the most alike of the range, the first of the range, or one of the
   * whole clip by its number.
   */
  referenceFrame: 'auto' | 'first' | number;
  /** Strength of the smoothing, from 0 to 1; none if left out. */
  smoothing?: number;
  /** First frame, and the frame before which to stop. */
  start?: number;
  end?: number;
  /** Puts the animated square back into the whole portrait. */
  pasteBack: boolean;
  /** Side of the output in pixels; with `pasteBack` the most that its longer side may have. */
  size?: number;
  /** Frames per second; by default the clip's own. */
  frameRate?: number;
  sideBySide: boolean;
  sound: boolean;
};

export type PairResult = {
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

/** What makes a pair's frames: an engine, and what its outputs say of their origin. */
export type Studio = { engine: Engine; metadata?: MediaMetadata; signer?: ContentSigner };

/**
 * Makes one animation. Nothing is written unless it is complete.
 *
 * @param studio is asked for when the inputs have turned out to be readable
 */
export async function animatePair(
  { portrait, driving, output }: Pair,
  settings: PairSettings,
  {
    studio,
    faces,
    reporter,
    label,
  }: { studio: () => Promise<Studio>; faces: FaceFinder; reporter: Reporter; label: string },
): Promise<PairResult> {
  const { start, end, frameRate, sideBySide, pasteBack, motion } = settings;
  const range = { start, end };
  const isVideo = !['gif', 'webp', 'folder'].includes(containerOf(output));
  const original = await readPortrait(portrait);
  const canvas = pasteBack ? atMost(original, settings.size) : original;
  const facts = await factsOf(driving, { ...range, frameRate });
  // Before faces are looked for, which takes time: what is wrong with the model comes up at once.
  const { engine, metadata, signer } = await studio();
  let started = performance.now();
  const search = motion === 'relative' && settings.referenceFrame === 'auto';
  const framed = await faces.portrait(portrait, canvas, settings.crop, search);
  const followed = await faces.clip(driving, facts, range, settings.drivingCrop, search);
  const cut = planCut(followed.square, facts.width, facts.height, NETWORK_SIZE);
  const reference = await referencePicture();
  const faceSeconds = (performance.now() - started) / 1000;
  const onWarning = (text: string): void => reporter.warn(text);
  await using clip = await openClip(driving, { ...range, frameRate, transform: cut.transform, onWarning });

  const stages: StageTimes = { source: 0, drive: 0, generate: 0 };
  const timed = timedEngine(engine, stages);
  const source = cutSquare(canvas, framed.square, NETWORK_SIZE);
  const analysis = await timed.setSource(source);
  const anchor = await referenceKeypoints();
  const compose = await composer();
  const rate = frameRate ?? (clip.constantFrameRate ? clip.frameRate : undefined);
  const { width, height } = compose;
  await using writer = await createClipWriter(output, {
    width,
    height,
    frameRate: rate,
    sound: settings.sound && isVideo && clip.hasAudio ? clip : undefined,
    metadata,
    signer,
    onWarning,
  });

  started = performance.now();
  const progress = reporter.progress(label, expectedFrames(clip, rate));
  const squares = padded(clip.frames(), cut);
  const frames = animate(timed, analysis, rate === undefined ? once(squares) : atRate(squares, rate), {
    motion,
    adaptScale: settings.adaptScale,
    reference: anchor,
    smoothing: settings.smoothing !== undefined && { strength: settings.smoothing },
    withDisparity: sideBySide,
  });
  for await (const { input, driving: seen, picture } of frames) {
    const result = compose.frame(input.picture, seen, picture);
    for (let i = 0; i < input.times; i++) await writer.add(result, input.timestamp, input.duration);
    progress.update(writer.frameCount);
  }
  progress.end();
  await writer.finish();
  const seconds = (performance.now() - started) / 1000;
  return { frames: writer.frameCount, width, height, seconds, faceSeconds, stages };

  /** The reference frame's square, if a number or faces tell which frame it is. */
  async function referencePicture(): Promise<Picture | undefined> {
    if (motion === 'absolute' || settings.referenceFrame === 'first') return undefined;
    if (settings.referenceFrame !== 'auto') return frameOf(driving, settings.referenceFrame, cut);
    const found = framed.look && (await faces.nearest(driving, framed.look, followed, range, cut));
    if (!found) return undefined;
    reporter.notice(`${driving}: frame ${found.frame} is most like the portrait; motion is measured from it`);
    return found.picture;
  }

  /** The keypoints from which motion is measured; undefined for those of the first frame. */
  async function referenceKeypoints(): Promise<KeypointSet | undefined> {
    if (reference) return (await engine.drive([reference]))[0]!.keypoints;
    if (!search) return undefined;
    const nearest = await nearestKeypoints(engine, analysis.keypoints, { path: driving, range, facts, cut });
    reporter.notice(
      `no face to compare poses by: frame ${nearest.frame} of ${driving} has the keypoints most like the portrait's; motion is measured from it`,
    );
    return nearest.keypoints;
  }

  async function composer(): Promise<Composer> {
    if (pasteBack) {
      if (isVideo && Math.max(canvas.width, canvas.height) > WIDEST) {
        reporter.notice(
          `many players show no video wider than ${WIDEST} pixels: --size ${WIDEST} makes one that they do`,
        );
      }
      const [still] = await engine.generate([analysis.keypoints]);
      const back = new PasteBack(canvas, framed.square, { still });
      return { width: canvas.width, height: canvas.height, frame: (_driving, _seen, result) => back.paste(result) };
    }
    const side = settings.size ?? NETWORK_SIZE;
    if (sideBySide) return sideBySideComposer(source, analysis, side);
    return { width: side, height: side, frame: (_driving, _seen, result) => resizePicture(result, side, side) };
  }
}

/** The longer side up to which players and graphics processors decode H.264, in pixels. */
const WIDEST = 4096;

/** The picture, made smaller if its longer side has more than `size` pixels. */
function atMost(picture: Picture, size = Infinity): Picture {
  const shrink = size / Math.max(picture.width, picture.height);
  if (shrink >= 1) return picture;
  const along = (length: number): number => Math.max(1, Math.round(length * shrink));
  return resizePicture(picture, along(picture.width), along(picture.height));
}

async function factsOf(path: string, options: ClipOptions): Promise<ClipFacts> {
  await using clip = await openClip(path, options);
  const { sourceWidth, sourceHeight, frameCount, frameRate } = clip;
  return { width: sourceWidth, height: sourceHeight, frameCount, frameRate };
}

async function* padded(frames: AsyncIterable<ClipFrame>, cut: SquareCut): AsyncGenerator<ClipFrame> {
  for await (const frame of frames) yield { ...frame, picture: padCut(frame.picture, cut) };
}

/** Of the frames of a clip, one in so many, that whose keypoints are most like the portrait's. */
async function nearestKeypoints(
  engine: Engine,
  portrait: KeypointSet,
  { path, range, facts, cut }: { path: string; range: ClipRange; facts: ClipFacts; cut: SquareCut },
): Promise<{ frame: number; keypoints: KeypointSet }> {
  const every = lookEvery(facts);
  const seen: KeypointSet[] = [];
  await using clip = await openClip(path, { ...range, every, transform: cut.transform });
  let batch: Picture[] = [];
  const look = async (): Promise<void> => {
    seen.push(...(await engine.drive(batch)).map(({ keypoints }) => keypoints));
    batch = [];
  };
  for await (const { picture } of clip.frames()) {
    batch.push(padCut(picture, cut));
    if (batch.length === engine.batchSize) await look();
  }
  if (batch.length > 0) await look();
  const best = nearestLook(
    keypointLook(portrait.value),
    seen.map(({ value }) => keypointLook(value)),
  );
  return { frame: (range.start ?? 0) + best * every, keypoints: seen[best]! };
}

async function readPortrait(path: string): Promise<Picture> {
  try {
    return await readPicture(path);
  } catch (error) {
    if (isClipName(path)) throw new UserError(`${path}: is a clip; name the portrait first, then the driving clip`);
    throw error;
  }
}

/** The square of frame `index` of a whole clip. */
async function frameOf(path: string, index: number, cut: SquareCut): Promise<Picture> {
  await using clip = await openClip(path, { start: index, end: index + 1, transform: cut.transform });
  for await (const { picture } of clip.frames()) return padCut(picture, cut);
  throw new UserError(`${path}: there is no frame ${index} to be the reference`);
}

function expectedFrames({ frameCount, duration }: Clip, rate: number | undefined): number | undefined {
  return rate !== undefined && duration !== undefined ? Math.round(duration * rate) : frameCount;
}

/** A frame that is written so many times. */
type TimedFrame = ClipFrame & { times: number };

async function* once(frames: AsyncIterable<ClipFrame>): AsyncGenerator<TimedFrame> {
  for await (const frame of frames) yield { ...frame, times: 1 };
}

/** Share of a frame by which time stamps may be off the grid (containers round them). */
const JITTER = 0.12;

/**
 * Puts frames onto a constant rate: position k shows the frame that the clip shows at k / rate. Frames that no position
 * falls to are left out, except the first.
 */
export async function* atRate(frames: AsyncIterable<ClipFrame>, rate: number): AsyncGenerator<TimedFrame> {
  let written = 0;
  for await (const frame of frames) {
    const until = Math.ceil((frame.timestamp + frame.duration) * rate - JITTER);
    const times = Math.max(written === 0 ? 1 : 0, until - written);
    if (times === 0) continue;
    written += times;
    yield { ...frame, times };
  }
}

/** Makes the frames of the output. */
type Composer = {
  width: number;
  height: number;
  frame(driving: Picture, seen: Analysis, result: Picture): Picture;
};

/** Sets portrait, driving frame, depth, keypoints and result side by side. */
function sideBySideComposer(source: Picture, portrait: Analysis, size: number): Composer {
  const fit = (picture: Picture): Picture => resizePicture(picture, size, size);
  const first = fit(source);
  let range: ValueRange | undefined;
  return {
    width: size * (portrait.disparity ? 5 : 4),
    height: size,
    frame: (driving, seen, result) => {
      // Of models whose keypoints need no depth, the portrait's is the only one there is.
      const depth = seen.disparity ?? portrait.disparity;
      if (depth) range ??= valueRange(depth);
      const second = fit(driving);
      const keypoints = drawKeypoints(second, seen.keypoints, { brightness: 0.6 });
      return grid([first, second, ...(depth ? [fit(heatPicture(depth, range))] : []), keypoints, fit(result)]);
    },
  };
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
    setSource: (portrait, options) => timed('source', () => engine.setSource(portrait, options)),
    drive: (frames, options) => timed('drive', () => engine.drive(frames, options)),
    generate: (keypoints) => timed('generate', () => engine.generate(keypoints)),
    inspect: (keypoints, options) => timed('generate', () => engine.inspect(keypoints, options)),
    dispose: () => engine.dispose(),
  };
}
