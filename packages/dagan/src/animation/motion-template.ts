// The motion of a clip without its pictures: keypoints, times, and which frame motion is measured from. A template drives any
// portrait without a network having to look at frames, forwards, backwards, slowed or again and again.
import type { KeypointSet } from '../tensors/keypoint-set.js';
import { headPoints } from './head-share.js';
import type { KeypointNames } from './mesh-keypoints.js';
import { between } from './motion.js';

/** One frame of a template. */
export type TemplateFrame = {
  keypoints: KeypointSet;
  /** Seconds since the first frame; ascending. */
  timestamp: number;
  /** Whether it shows the face; where it does not the portrait rests. */
  hasFace: boolean;
};

export type MotionTemplate = {
  /** At least one. */
  frames: readonly TemplateFrame[];
  /** Seconds from the first frame to the end of the last. */
  duration: number;
  /** Frames per second, if that is constant. */
  frameRate: number | undefined;
  /** The keypoints that mean the portrait's own pose: motion is measured from them. */
  reference: KeypointSet;
  /** Which keypoints stand on landmarks of the face. */
  names: KeypointNames;
  /** Hash of the weights that found the keypoints, where it is known; named keypoints need no weights. */
  model: string | undefined;
};

/** Ways through a template. */
export const DIRECTIONS = ['forward', 'reverse', 'both'] as const;

/** How a template is played. */
export type Playback = {
  /** `both` is forward and back again. Default `forward`. */
  direction?: (typeof DIRECTIONS)[number];
  /** How many times it is shown. Default 1. */
  loops?: number;
  /** 0.5 takes twice the time. Default 1. */
  speed?: number;
  /** Frames per second of what comes out; keypoints in between are interpolated. Default: the template's, or 25. */
  frameRate?: number;
};

/** Of a template that has no constant rate. */
const FRAME_RATE = 25;

/** Positions this near to a frame, in frames, are that frame. */
const ON_FRAME = 1e-3;

/** The constant rate at which a template is played. */
export const playbackRate = ({ frameRate }: MotionTemplate, { frameRate: wanted }: Playback): number =>
  wanted ?? frameRate ?? FRAME_RATE;

/**
 * A part of a template.
 *
 * @param start its first frame @param end the frame before which to stop
 * @returns undefined if there are no such frames
 */
export function partOf(template: MotionTemplate, start = 0, end = Infinity): MotionTemplate | undefined {
  const chosen = template.frames.slice(start, end);
  if (chosen.length === 0) return undefined;
  const first = chosen[0]!.timestamp;
  const until = template.frames[start + chosen.length]?.timestamp ?? template.duration;
  const frames = chosen.map((frame) => ({ ...frame, timestamp: frame.timestamp - first }));
  return { ...template, frames, duration: until - first };
}

/** How many frames the playback gives. */
export function playbackLength(template: MotionTemplate, playback: Playback = {}): number {
  const { direction = 'forward', loops = 1, speed = 1 } = playback;
  const passes = direction === 'both' ? 2 : 1;
  return Math.max(1, Math.round((passes * loops * template.duration * playbackRate(template, playback)) / speed));
}

/**
 * The frames of a template as they are to be shown, at a constant rate.
 *
 * @throws RangeError for a speed that is not above 0, or a number of loops that is not whole and above 0
 */
export function* played(template: MotionTemplate, playback: Playback = {}): Generator<TemplateFrame> {
  const { direction = 'forward', loops = 1, speed = 1 } = playback;
  if (!(speed > 0)) throw new RangeError(`the speed of a template must be above 0, not ${speed}`);
  if (!Number.isInteger(loops) || loops < 1)
    throw new RangeError(`a template is shown 1, 2, ... times, not ${loops} times`);
  const rate = playbackRate(template, playback);
  const count = playbackLength(template, playback);
  const { duration, frames } = template;
  const last = frames.at(-1)!.timestamp;
  for (let k = 0; k < count; k++) {
    const time = (k * speed) / rate;
    const pass = Math.floor(time / duration + 1e-9);
    const within = Math.max(0, time - pass * duration);
    const backwards = direction === 'reverse' || (direction === 'both' && pass % 2 === 1);
    yield { ...frameAt(frames, backwards ? last - within : within), timestamp: k / rate };
  }
}

/** The frame at a time, between two of the template where that falls. */
function frameAt(frames: readonly TemplateFrame[], time: number): Omit<TemplateFrame, 'timestamp'> {
  const after = frames.findIndex(({ timestamp }) => timestamp > time);
  if (after === 0) return frames[0]!;
  if (after < 0) return frames.at(-1)!;
  const [from, to] = [frames[after - 1]!, frames[after]!];
  const part = (time - from.timestamp) / (to.timestamp - from.timestamp);
  if (part < ON_FRAME) return from;
  if (part > 1 - ON_FRAME) return to;
  // Keypoints of a frame without the face mean nothing.
  if (!from.hasFace || !to.hasFace) return part < 0.5 ? from : to;
  return { keypoints: between(from.keypoints, to.keypoints, part), hasFace: true };
}

/** Whose keypoints a template is to move. */
export type TemplateUser = {
  /** Keypoints in a set. */
  count: number;
  hasJacobians: boolean;
  names: KeypointNames;
  /** Hash of the weights, where it is known. */
  model: string | undefined;
};

/** What is said, after the template's name, where it cannot move the keypoints of a model. */
export const OTHER_MODEL = 'was made with another model, and this one has no keypoints with names that it knows';

/**
 * The template with the keypoints of a model: as it is for the model that it was made with, else by their names. Of keypoints that it
 * does not know it tells nothing: they are not numbers, and go along with the head (`withUntold`). Undefined if it does not even know
 * how the head moves.
 */
export function templateFor(template: MotionTemplate, user: TemplateUser): MotionTemplate | undefined {
  const { value, jacobian } = template.reference;
  const fits = value.length === 2 * user.count && (jacobian !== null) === user.hasJacobians;
  if (fits && template.model === user.model && template.model !== undefined) return template;
  const shared = Object.entries(user.names).flatMap(([name, keypoint]) => {
    const from = template.names[name];
    return from === undefined ? [] : [{ name, keypoint, from }];
  });
  const known = Object.fromEntries(shared.map(({ name, from }) => [name, from]));
  const tellsHead = headPoints(value, known) !== undefined && known.chin !== undefined;
  if (shared.length < user.count && !tellsHead) return undefined;
  const taken = (given: Float32Array, size: number): Float32Array => {
    const result = new Float32Array(size * user.count).fill(Number.NaN);
    for (const { keypoint, from } of shared)
      result.set(given.subarray(size * from, size * (from + 1)), size * keypoint);
    return result;
  };
  const moved = ({ value: given, depth }: KeypointSet): KeypointSet => ({
    value: taken(given, 2),
    jacobian: user.hasJacobians ? identities(user.count) : null,
    ...(depth && { depth: taken(depth, 1) }),
  });
  return {
    ...{ ...template, names: user.names, model: user.model },
    reference: moved(template.reference),
    frames: template.frames.map((frame) => ({ ...frame, keypoints: moved(frame.keypoints) })),
  };
}

/** Jacobians of keypoints around which nothing turns: [K, 2, 2]. */
const identities = (count: number): Float32Array =>
  Float32Array.from({ length: 4 * count }, (_, i) => (i % 4 === 0 || i % 4 === 3 ? 1 : 0));
