// What the loader asks of its worker threads.
import type { Augmentation } from './augmentation.js';
import type { FrameClip } from './prepare.js';

/** What a worker thread is started with. */
export type WorkerSetup = {
  /** Width and height of the frames. */
  size: number;
  /** Whether mouth, eyes and landmarks of the face are looked for. */
  regions: boolean;
};

/**
 * A batch to make: [frame of the sample, sample, 3, size, size] in [0, 1], then, where regions are looked for,
 * [sample, 1, size, size], 1 in mouth and eyes of the last frame, and [sample, L, size, size], a spot around each landmark of it.
 */
export type BatchOrder = {
  samples: { kind: FrameClip['kind']; store: string; frames: number[]; augmentation: Augmentation }[];
};
