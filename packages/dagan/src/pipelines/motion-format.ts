// What is in the file of a motion template: one safetensors file of a few kilobytes, with what is said of it inside. Nothing in it is
// run. Read here, from files and from memory, in Node and in browsers.
import {
  CheckpointError,
  type CheckpointFile,
  openSafetensorsBytes,
  toFloat32Array,
  toNumberArray,
} from '@dagan/libtorch/checkpoint/portable';
import type { KeypointNames } from '../animation/mesh-keypoints.js';
import type { MotionTemplate, TemplateFrame } from '../animation/motion-template.js';
import type { KeypointSet } from '../tensors/keypoint-set.js';

/** What a template's file says of its format, in its metadata under `format`. */
export const MOTION_FORMAT = 'dagan-motion-1';

/** What names of templates end in. */
export const MOTION_ENDING = '.motion.safetensors';

/** Whether a name is that of a template's file. */
export const isMotionName = (path: string): boolean => path.toLowerCase().endsWith('.safetensors');

/**
 * The template in a file that is in memory.
 *
 * @param name of the file, for errors
 * @throws CheckpointError if it is no template, or damaged
 */
export function motionInBytes(name: string, bytes: Uint8Array): MotionTemplate {
  using file = openSafetensorsBytes(name, bytes);
  return motionIn(file);
}

/** The template in an open file. @throws CheckpointError */
export function motionIn(file: CheckpointFile): MotionTemplate {
  const { path, metadata, tensors } = file;
  const damaged = (what: string): CheckpointError => new CheckpointError(path, `is a damaged motion template: ${what}`);
  if (metadata.format !== MOTION_FORMAT) {
    throw new CheckpointError(path, `is no motion template (its format is not ${MOTION_FORMAT})`);
  }
  const record = (name: string, shape: readonly (number | undefined)[]) => {
    const found = tensors.get(name);
    const fits =
      found?.shape.length === shape.length && shape.every((size, i) => found.shape[i] === (size ?? found.shape[i]));
    if (!found || !fits) throw damaged(`the tensor '${name}' is missing or of another shape`);
    return found;
  };
  const keypoints = record('keypoints', [undefined, undefined, 2]);
  const [length, count] = keypoints.shape as [number, number, number];
  if (length < 1 || count < 1) throw damaged('it has no frames');
  const values = toFloat32Array(keypoints);
  const times = toNumberArray(record('times', [length]));
  const hasFace = record('has_face', [length]).read();
  const jacobians = tensors.has('jacobians') ? toFloat32Array(record('jacobians', [length, count, 2, 2])) : undefined;
  // Not numbers for keypoints that stand on no landmark.
  const depths = tensors.has('depths') ? toFloat32Array(record('depths', [length, count])) : undefined;
  const reference: KeypointSet = {
    value: toFloat32Array(record('reference', [count, 2])),
    jacobian: jacobians ? toFloat32Array(record('reference_jacobians', [count, 2, 2])) : null,
    ...(depths && { depth: toFloat32Array(record('reference_depths', [count])) }),
  };
  const allFinite = ({ value, jacobian }: KeypointSet): boolean =>
    [...value, ...(jacobian ?? [])].every(Number.isFinite);
  if (!allFinite(reference)) throw damaged('the keypoints of its reference are not numbers');
  const frames = Array.from({ length }, (_, t): TemplateFrame => {
    const value = values.slice(2 * count * t, 2 * count * (t + 1));
    const jacobian = jacobians ? jacobians.slice(4 * count * t, 4 * count * (t + 1)) : null;
    const keypoints = { value, jacobian, ...(depths && { depth: depths.slice(count * t, count * (t + 1)) }) };
    return { keypoints, timestamp: times[t]!, hasFace: hasFace[t] !== 0 };
  });
  for (const [t, { keypoints: set, timestamp, hasFace: seen }] of frames.entries()) {
    const ascends = t === 0 ? timestamp === 0 : timestamp > frames[t - 1]!.timestamp;
    if (!Number.isFinite(timestamp) || !ascends) throw damaged(`the time of frame ${t} is not after those before`);
    if (seen && !allFinite(set)) throw damaged(`keypoints of frame ${t} are not numbers`);
  }
  const number = (key: string): number => Number(metadata[key] || Number.NaN);
  const duration = number('duration');
  if (!(duration > times.at(-1)! && Number.isFinite(duration)))
    throw damaged('its duration ends before its last frame');
  const frameRate = metadata.frame_rate === undefined ? undefined : number('frame_rate');
  if (frameRate !== undefined && !(frameRate > 0 && frameRate <= 1000)) throw damaged('its frame rate is none');
  const names = namesIn(metadata.keypoint_names, count);
  if (!names) throw damaged('the names of its keypoints cannot be read');
  return { frames, duration, frameRate, reference, names, model: metadata.model_sha256 };
}

/** Names of keypoints as JSON; undefined if they are not that. */
function namesIn(text: string | undefined, count: number): KeypointNames | undefined {
  try {
    const names: unknown = JSON.parse(text ?? '{}');
    const isRecord = typeof names === 'object' && names !== null && !Array.isArray(names);
    const fits = (place: unknown): boolean =>
      Number.isInteger(place) && (place as number) >= 0 && (place as number) < count;
    return isRecord && Object.values(names).every(fits) ? (names as KeypointNames) : undefined;
  } catch {
    return undefined;
  }
}
