// What the loader asks of its worker threads.
import type { Augmentation } from './augmentation.js';
import type { ClipLandmarks } from './face-cues.js';
import type { PackedExpressions } from './portraits/expression-tracks.js';
import type { PreparedPortraits } from './portraits/portrait-store.js';
import type { FrameClip } from './prepare.js';
import type { PortraitSample } from './samples.js';

/** What a worker thread is started with. */
export type WorkerSetup = {
  /** Width and height of the frames. */
  size: number;
  /** The landmarks of each clip, by its name; null where faces are not told of. */
  landmarks: ReadonlyMap<string, ClipLandmarks> | null;
  /** The portraits that move, and expressions of real faces for them; null for none. */
  portraits: { prepared: PreparedPortraits; expressions: PackedExpressions } | null;
};

/** Frames of a clip to read. */
export type ClipOrder = {
  name: string;
  kind: FrameClip['kind'];
  store: string;
  frames: number[];
  augmentation: Augmentation;
};

/** A batch to make. */
export type BatchOrder = {
  /** How many frames a sample has. */
  count: number;
  samples: (ClipOrder | PortraitSample)[];
};

/** A batch of N samples. */
export type MadeBatch = {
  /** For each frame of the samples [N, 3, size, size] in [0, 1]. */
  frames: Float32Array<ArrayBuffer>[];
  /** 1 in mouth and eyes of the last frame, 0 elsewhere, [N, 1, size, size]. */
  regions?: Float32Array<ArrayBuffer>;
  /** x, y and whether it was seen, of P points in the first and the last frame, [N, 2, P, 3]. */
  landmarks?: Float32Array<ArrayBuffer>;
};
