// One animation from files to a file: decode, animate, compose, encode, frame by frame.
import { type Analysis, animate, type Engine, type KeypointSet } from '../animation/index.js';
import { containerOf } from '../media/clip-writer.js';
import {
  type Clip,
  type ClipFrame,
  createClipWriter,
  type MediaMetadata,
  openClip,
  type Picture,
  readPicture,
  resizePicture,
  transformPicture,
} from '../media/index.js';
import { drawKeypoints, grid, heatPicture, type ValueRange, valueRange } from '../visualization/index.js';
import { UserError } from './errors.js';
import { NETWORK_SIZE } from './model.js';
import { isClipName, type Pair } from './pairs.js';
import type { Reporter } from './report.js';

export type PairSettings = {
  motion: 'relative' | 'absolute';
  adaptScale: boolean;
  /** Frame of the whole clip that shows the portrait's own pose; by default the first of the range. */
  referenceFrame?: number;
  /** First frame, and the frame before which to stop. */
  start?: number;
  end?: number;
  /** Side of the output in pixels. */
  size: number;
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
  /** Seconds that the networks took: once for the portrait, and for all frames. */
  stages: StageTimes;
};

export type StageTimes = { source: number; drive: number; generate: number };

/** What makes a pair's frames: an engine, and what its outputs say of their origin. */
export type Studio = { engine: Engine; metadata?: MediaMetadata };

/** Every picture becomes the square that the networks take: the largest one around its centre. */
const SQUARE = { size: [NETWORK_SIZE, NETWORK_SIZE], fit: 'cover' } as const;

/**
 * Makes one animation. Nothing is written unless it is complete.
 *
 * @param studio is asked for when the inputs have turned out to be readable and the output writable
 */
export async function animatePair(
  { portrait, driving, output }: Pair,
  settings: PairSettings,
  { studio, reporter, label }: { studio: () => Promise<Studio>; reporter: Reporter; label: string },
): Promise<PairResult> {
  const { start, end, frameRate, sideBySide, size } = settings;
  const original = await readPortrait(portrait);
  const onWarning = (text: string): void => reporter.warn(text);
  await using clip = await openClip(driving, { start, end, frameRate, transform: SQUARE, onWarning });
  noticeCrop(reporter, portrait, original.width, original.height);
  noticeCrop(reporter, driving, clip.sourceWidth, clip.sourceHeight);
  const reference = settings.referenceFrame === undefined ? undefined : await frameOf(driving, settings.referenceFrame);

  const { engine, metadata } = await studio();
  const stages: StageTimes = { source: 0, drive: 0, generate: 0 };
  const timed = timedEngine(engine, stages);
  const source = transformPicture(original, SQUARE);
  const analysis = await timed.setSource(source);
  const panels = sideBySide ? (analysis.disparity ? 5 : 4) : 1;
  const rate = frameRate ?? (clip.constantFrameRate ? clip.frameRate : undefined);
  const holdsSound = !['gif', 'webp', 'folder'].includes(containerOf(output));
  await using writer = await createClipWriter(output, {
    width: size * panels,
    height: size,
    frameRate: rate,
    sound: settings.sound && holdsSound && clip.hasAudio ? clip : undefined,
    metadata,
    onWarning,
  });

  const started = performance.now();
  const progress = reporter.progress(label, expectedFrames(clip, rate));
  const anchor: KeypointSet | undefined = reference && (await timed.drive([reference]))[0]!.keypoints;
  const frames = animate(timed, analysis, rate === undefined ? once(clip.frames()) : atRate(clip.frames(), rate), {
    motion: settings.motion,
    adaptScale: settings.adaptScale,
    reference: anchor,
    withDisparity: sideBySide,
  });
  const compose = sideBySide ? panelComposer(source, analysis, size) : undefined;
  for await (const { input, driving: seen, picture } of frames) {
    const result = compose ? compose(input.picture, seen, picture) : resizePicture(picture, size, size);
    for (let i = 0; i < input.times; i++) await writer.add(result, input.timestamp, input.duration);
    progress.update(writer.frameCount);
  }
  progress.end();
  await writer.finish();
  const seconds = (performance.now() - started) / 1000;
  return { frames: writer.frameCount, width: size * panels, height: size, seconds, stages };
}

async function readPortrait(path: string): Promise<Picture> {
  try {
    return await readPicture(path);
  } catch (error) {
    if (isClipName(path)) throw new UserError(`${path}: is a clip; name the portrait first, then the driving clip`);
    throw error;
  }
}

/** Frame `index` of a whole clip. */
async function frameOf(path: string, index: number): Promise<Picture> {
  await using clip = await openClip(path, { start: index, end: index + 1, transform: SQUARE });
  for await (const { picture } of clip.frames()) return picture;
  throw new UserError(`${path}: there is no frame ${index} to be the reference`);
}

function noticeCrop(reporter: Reporter, path: string, width: number, height: number): void {
  if (width === height) return;
  const side = Math.min(width, height);
  reporter.notice(
    `${path} is ${width} x ${height}: its centre, ${side} x ${side}, is used (the networks take squares)`,
  );
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

/** Makes the function that sets portrait, driving frame, depth, keypoints and result side by side. */
function panelComposer(
  source: Picture,
  portrait: Analysis,
  size: number,
): (driving: Picture, seen: Analysis, result: Picture) => Picture {
  const fit = (picture: Picture): Picture => resizePicture(picture, size, size);
  const first = fit(source);
  let range: ValueRange | undefined;
  return (driving, seen, result) => {
    // Of models whose keypoints need no depth, the portrait's is the only one there is.
    const depth = seen.disparity ?? portrait.disparity;
    if (depth) range ??= valueRange(depth);
    const second = fit(driving);
    const keypoints = drawKeypoints(second, seen.keypoints, { brightness: 0.6 });
    return grid([first, second, ...(depth ? [fit(heatPicture(depth, range))] : []), keypoints, fit(result)]);
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
    setSource: (portrait) => timed('source', () => engine.setSource(portrait)),
    drive: (frames, options) => timed('drive', () => engine.drive(frames, options)),
    generate: (keypoints) => timed('generate', () => engine.generate(keypoints)),
    dispose: () => engine.dispose(),
  };
}
