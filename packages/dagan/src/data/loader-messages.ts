// What the loader and its worker threads say to each other.
import type { Augmentation } from './augmentation.js';
import type { FrameClip } from './prepare.js';

/** What a worker thread is started with. */
export type WorkerSetup = {
  /** Width and height of the frames. */
  size: number;
  /** Whether mouth and eyes are looked for. */
  regions: boolean;
};

/** A batch to make. */
export type BatchOrder = {
  number: number;
  samples: { kind: FrameClip['kind']; store: string; frames: number[]; augmentation: Augmentation }[];
};

/**
 * A batch made: [frame of the sample, sample, 3, size, size] in [0, 1], then, where regions are looked for,
 * [sample, 1, size, size], 1 in mouth and eyes of the last frame; or the file that prevents it.
 */
export type BatchReport =
  | { number: number; data: Float32Array }
  | { number: number; failure: { path?: string; reason: string } };
