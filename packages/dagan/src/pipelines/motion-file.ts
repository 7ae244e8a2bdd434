// Motion templates as files on disk, the package's own among them. `motion-format.ts` says what is in one.
import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openCheckpoint, type TensorToWrite, writeSafetensors } from '@dagan/libtorch/checkpoint';
import type { MotionTemplate } from '../animation/motion-template.js';
import { VERSION } from '../version.js';
import { MOTION_ENDING, MOTION_FORMAT, motionIn } from './motion-format.js';

/** The templates that come with this package. */
const LIBRARY = fileURLToPath(new URL('../../../motions/', import.meta.url));

/** Names of the templates that come with this package. */
export function motionNames(): string[] {
  if (!existsSync(LIBRARY)) return [];
  const files = readdirSync(LIBRARY).filter((name) => name.endsWith(MOTION_ENDING));
  return files.map((name) => basename(name, MOTION_ENDING)).sort();
}

/** The file of a driver: what has the name of one of the package's templates, and is no file, is that template. */
export function driverFile(name: string): string {
  return !existsSync(name) && motionNames().includes(name) ? join(LIBRARY, `${name}${MOTION_ENDING}`) : name;
}

/**
 * Writes a template, whole or not at all.
 *
 * @throws CheckpointError if the file cannot be written
 */
export function writeMotion(path: string, template: MotionTemplate): void {
  const { frames, duration, frameRate, reference, names, model } = template;
  const count = reference.value.length / 2;
  const joined = (parts: readonly Float32Array[]): Float32Array =>
    Float32Array.from(parts.flatMap((part) => [...part]));
  const jacobians = frames.flatMap(({ keypoints }) => keypoints.jacobian ?? []);
  const tensors: TensorToWrite[] = [
    {
      ...{ name: 'keypoints', dtype: 'float32', shape: [frames.length, count, 2] },
      data: joined(frames.map(({ keypoints }) => keypoints.value)),
    },
    {
      ...{ name: 'times', dtype: 'float64', shape: [frames.length] },
      data: Float64Array.from(frames, ({ timestamp }) => timestamp),
    },
    {
      ...{ name: 'has_face', dtype: 'bool', shape: [frames.length] },
      data: Uint8Array.from(frames, ({ hasFace }) => Number(hasFace)),
    },
  ];
  tensors.push({ name: 'reference', dtype: 'float32', shape: [count, 2], data: reference.value });
  if (reference.jacobian) {
    const matrices = { dtype: 'float32', data: joined(jacobians) } as const;
    tensors.push(
      { ...matrices, name: 'jacobians', shape: [frames.length, count, 2, 2] },
      { ...matrices, name: 'reference_jacobians', shape: [count, 2, 2], data: reference.jacobian },
    );
  }
  const depths = frames.flatMap(({ keypoints }) => (keypoints.depth ? [keypoints.depth] : []));
  if (reference.depth && depths.length === frames.length) {
    tensors.push(
      { name: 'depths', dtype: 'float32', shape: [frames.length, count], data: joined(depths) },
      { name: 'reference_depths', dtype: 'float32', shape: [count], data: reference.depth },
    );
  }
  writeSafetensors(path, tensors, {
    format: MOTION_FORMAT,
    made_by: `dagan ${VERSION}`,
    duration: `${duration}`,
    ...(frameRate !== undefined && { frame_rate: `${frameRate}` }),
    keypoint_names: JSON.stringify(names),
    ...(model !== undefined && { model_sha256: model }),
  });
}

/**
 * Reads a template.
 *
 * @throws CheckpointError, naming the file, if it cannot be read, is no template, or is damaged
 */
export function readMotion(path: string): MotionTemplate {
  using file = openCheckpoint(path);
  return motionIn(file);
}
