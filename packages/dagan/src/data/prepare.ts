// Makes a data set ready for random access: videos are decoded once, into a cache of frames; folders of frames stay as they are.
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { MediaError, systemCode, toMediaError } from '../media/errors.js';
import type { Picture } from '../media/pictures/picture.js';
import type { PictureTransform } from '../media/pictures/resize.js';
import { openClip } from '../media/process/clip.js';
import { cacheError } from './cache-error.js';
import type { Dataset, TrainingClip } from './dataset.js';
import { listFrames, readFolderFrames } from './frame-folder.js';
import { countPacked, stampOf, UNFINISHED, writePack } from './frame-pack.js';

/** A clip any frame of which can be read at once. */
export type FrameClip = TrainingClip & {
  /** Number of frames, at least 2. */
  frames: number;
  /** The frame pack of a video, the folder itself for a folder of frames. */
  store: string;
};

/** A data set ready for training. */
export type PreparedDataset = {
  root: string;
  /** Width and height of the frames. */
  size: number;
  clips: readonly FrameClip[];
  /** Clips that cannot be used, and why; each has also been told as a warning. */
  leftOut: readonly { clip: TrainingClip; reason: string }[];
};

export type PrepareOptions = {
  /** Width and height of the frames. Others are scaled to it; of pictures that are not square the middle is taken. */
  size: number;
  /**
   * Where decoded frames are kept. It belongs to one data set, holds any number of sizes, and can be removed at any time
   * but during a run. About 50 kB per frame of 256 x 256, 17 kB at 128 x 128. Default: `.dagan-frames` below the root.
   */
  cacheFolder?: string;
  /** Clips decoded at the same time. Default 1. */
  concurrency?: number;
  /** This process among those that prepare the same data set at the same time; they share the work. Default 0 of 1. */
  rank?: number;
  worldSize?: number;
  /** Told after every clip. */
  onProgress?: (progress: { done: number; total: number; clip: TrainingClip }) => void;
  /** Told, in one line, of clips that are left out and of damaged parts of others. */
  onWarning?: (text: string) => void;
  /** Ends the work between two frames. What has been made so far is kept. */
  signal?: AbortSignal;
};

/** An unfinished pack of this age was left by a process that has ended. */
const ABANDONED_MS = 3_600_000;

/** Seconds that decoding may stand still; more than for a single clip, as all processors may be busy. */
const TIME_LIMIT = 60;

/** How pictures are brought to `size` x `size`. */
export const squareTransform = (size: number): PictureTransform => ({ size: [size, size], fit: 'cover' });

/**
 * Decodes the videos of a data set that are not in the cache yet, or have another length or date than they had then, and
 * counts the frames of all clips. Ended and started again, it goes on where it was. A clip that cannot be read or has a
 * single frame is left out with a warning. Throws a `MediaError` if no clip is left or the cache cannot be written.
 */
export async function prepareFrames(dataset: Dataset, options: PrepareOptions): Promise<PreparedDataset> {
  const { size, concurrency = 1, rank = 0, worldSize = 1, onProgress, onWarning, signal } = options;
  for (const [name, value] of Object.entries({ size, concurrency, worldSize })) {
    if (!Number.isInteger(value) || value < 1) throw new RangeError(`${name} must be a positive integer, not ${value}`);
  }
  const cache = join(options.cacheFolder ?? join(dataset.root, '.dagan-frames'), `${size}`);
  if (dataset.clips.some(({ kind }) => kind === 'video')) await openCache(cache);
  const total = dataset.clips.length;
  const start = Math.floor((rank * total) / worldSize);
  const ready: (FrameClip | undefined)[] = new Array(total);
  const leftOut: { clip: TrainingClip; reason: string }[] = [];

  // Every process goes round the whole list from a start of its own, so that each clip is packed by whoever comes first.
  let taken = 0;
  let done = 0;
  const work = async (): Promise<void> => {
    while (taken < total) {
      const at = (start + taken++) % total;
      const clip = dataset.clips[at]!;
      signal?.throwIfAborted();
      try {
        const store = clip.kind === 'folder' ? clip.path : join(cache, `${clip.name}.frames`);
        const frames =
          clip.kind === 'folder' ? await countFolder(clip.path) : await countVideo(clip.path, store, options);
        if (frames < 2) throw new MediaError(clip.path, 'has a single frame; a sample needs two');
        ready[at] = { ...clip, frames, store };
      } catch (error) {
        if (!(error instanceof MediaError && error.path.startsWith(clip.path))) throw error;
        leftOut.push({ clip, reason: error.message });
        onWarning?.(`left out: ${error.message}`);
      }
      onProgress?.({ done: ++done, total, clip });
    }
  };
  const workers = Array.from({ length: Math.min(concurrency, total) }, () =>
    work().catch((error: unknown) => {
      taken = total; // the others end after their clip
      throw error;
    }),
  );
  const failed = (await Promise.allSettled(workers)).find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;

  const clips = ready.filter((clip) => clip !== undefined);
  if (clips.length === 0) {
    throw new MediaError(dataset.root, `none of its ${total} clips can be used; the first: ${leftOut[0]?.reason}`);
  }
  return { root: dataset.root, size, clips, leftOut };
}

async function countFolder(folder: string): Promise<number> {
  const names = await listFrames(folder);
  if (names.length > 1) await readFolderFrames(folder, [0, names.length - 1]);
  return names.length;
}

/** Packs a video unless that has been done. */
async function countVideo(path: string, store: string, { size, onWarning, signal }: PrepareOptions): Promise<number> {
  const stamp = await stampOf(path).catch((error: unknown) => {
    throw toMediaError(path, error, 'cannot be read');
  });
  const packed = await countPacked(store, stamp, size);
  if (packed !== undefined) return packed;
  const clip = await openClip(path, { transform: squareTransform(size), timeLimit: TIME_LIMIT, onWarning });
  async function* pictures(): AsyncGenerator<Picture> {
    for await (const { picture } of clip.frames()) {
      signal?.throwIfAborted();
      yield picture;
    }
  }
  try {
    return await writePack(store, stamp, size, pictures());
  } finally {
    await clip.close();
  }
}

/** Makes the cache and clears it of what interrupted processes have left. */
async function openCache(cache: string): Promise<void> {
  try {
    await mkdir(cache, { recursive: true });
    for (const name of await readdir(cache, { recursive: true })) {
      if (!name.endsWith(UNFINISHED)) continue;
      const path = join(cache, name);
      const found = await stat(path).catch((error: unknown) => {
        if (systemCode(error) === 'ENOENT') return undefined; // finished in the meantime
        throw error;
      });
      if (found && Date.now() - found.mtimeMs > ABANDONED_MS) await rm(path, { force: true });
    }
  } catch (error) {
    throw cacheError(cache, error, 'cannot hold the decoded frames');
  }
}
