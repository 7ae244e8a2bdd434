// The face in every frame of a clip: meshes that are found once and kept beside the frames, so that training can be told
// where lips and lids are, and which frames differ in expression.
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { openCheckpoint, toFloat32Array } from '@dagan/libtorch/checkpoint';
import { MediaError } from '../media/errors.js';
import type { ThreadFailure } from '../threads/messages.js';
import { Thread } from '../threads/thread.js';
import { writeCached } from './cached-tensors.js';
import { type ClipStamp, stampOf } from './frame-pack.js';
import type { FrameClip, PreparedDataset } from './prepare.js';

/** Points of the refined mesh. */
export const REFINED_POINTS = 478;

/** Meshes of the frames of one clip. */
export type ClipMeshes = {
  frames: number;
  /**
   * x, y, z of every point in parts of the (square) frame's side, [frames, 478, 3]: x from the left edge, y from the top, z
   * smaller towards the viewer. NaN in frames without a face.
   */
  points: Float32Array;
};

export type PrepareMeshesOptions = {
  /** As of `prepareFrames`. */
  cacheFolder?: string;
  /** Threads that look for faces. Default 1. */
  workers?: number;
  /** Which of `worldSize` processes this is that look through the same data set at the same time: they share the clips. Default 0 of 1. */
  rank?: number;
  worldSize?: number;
  onProgress?: (progress: { done: number; total: number }) => void;
  signal?: AbortSignal;
};

/** What a worker is asked: to look through a clip and write what it finds. */
export type MeshOrder = { path: string; frames: number; target: string; stamp: ClipStamp };

/** Marks the files, so that another way of finding faces makes them anew. */
const FORMAT = 'dagan-meshes-1';

const WORKER = new URL('./face-mesh-worker.js', import.meta.url);

/**
 * Looks through the clips of a data set that have not been looked through yet, some 20 ms a frame and thread. Ended and started
 * again, it goes on where it was.
 *
 * @returns for each clip's name, the file to give to `readMeshes`
 * @throws MediaError if a clip cannot be read or the cache cannot be written
 */
export async function prepareMeshes(
  dataset: PreparedDataset,
  options: PrepareMeshesOptions = {},
): Promise<ReadonlyMap<string, string>> {
  const { cacheFolder = join(dataset.root, '.dagan-frames'), workers = 1, rank = 0, worldSize = 1 } = options;
  const { onProgress, signal } = options;
  const files = new Map(dataset.clips.map(({ name }) => [name, join(cacheFolder, 'meshes', `${name}.safetensors`)]));
  const missing: { clip: FrameClip; stamp: ClipStamp }[] = [];
  for (const clip of dataset.clips) {
    const stamp = await stampOf(clip.path);
    if (!isCurrent(files.get(clip.name)!, clip, stamp)) missing.push({ clip, stamp });
  }
  // Every process goes round the whole list from a start of its own, so that each clip is looked through by whoever comes first.
  const start = Math.floor((rank * missing.length) / worldSize);
  let [taken, done] = [0, dataset.clips.length - missing.length];
  const work = async (): Promise<void> => {
    const thread = new Thread<MeshOrder, null>(WORKER, { setup: null, name: 'a thread that looks for faces', errorOf });
    try {
      thread.hold(true);
      while (taken < missing.length) {
        signal?.throwIfAborted();
        const { clip, stamp } = missing[(start + taken++) % missing.length]!;
        const target = files.get(clip.name)!;
        if (!isCurrent(target, clip, stamp)) {
          await mkdir(dirname(target), { recursive: true });
          await thread.ask({ path: clip.path, frames: clip.frames, target, stamp });
        }
        onProgress?.({ done: ++done, total: dataset.clips.length });
      }
    } finally {
      await thread.close('all clips are done');
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: Math.min(workers, missing.length) }, work));
  for (const result of ended) if (result.status === 'rejected') throw result.reason;
  return files;
}

/** The meshes of a clip, from the file that `prepareMeshes` names. */
export function readMeshes(file: string): ClipMeshes {
  using found = openCheckpoint(file);
  const record = found.tensors.get('points');
  if (!record) throw new MediaError(file, 'holds no meshes: remove it to have them made anew');
  return { frames: record.shape[0]!, points: toFloat32Array(record) };
}

/** Writes the meshes of a clip, whole or not at all. */
export async function writeMeshes(file: string, { frames, points }: ClipMeshes, stamp: ClipStamp): Promise<void> {
  const data = new Uint8Array(points.buffer, points.byteOffset, points.byteLength);
  await writeCached(
    file,
    [{ name: 'points', dtype: 'float32', shape: [frames, REFINED_POINTS, 3], data: () => data }],
    {
      format: FORMAT,
      bytes: `${stamp.bytes}`,
      modified: `${stamp.modified}`,
    },
  );
}

function isCurrent(file: string, { frames }: FrameClip, { bytes, modified }: ClipStamp): boolean {
  try {
    using found = openCheckpoint(file);
    const { metadata, tensors } = found;
    return (
      metadata.format === FORMAT &&
      metadata.bytes === `${bytes}` &&
      metadata.modified === `${modified}` &&
      tensors.get('points')?.shape[0] === frames
    );
  } catch {
    return false;
  }
}

function errorOf({ path, reason }: ThreadFailure): Error | undefined {
  return path === undefined || reason === undefined ? undefined : new MediaError(path, reason);
}
