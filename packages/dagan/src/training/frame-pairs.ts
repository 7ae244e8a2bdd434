// Where training gets its frames from, as the training loop sees it.
import type { FramePair } from './animation-objective.js';

/** Which part of the data a rank wants, and in which form. */
export type PairRequest = {
  /** Side of the pictures in pixels. */
  size: number;
  /** Pairs in a batch of this rank. */
  batchSize: number;
  rank: number;
  worldSize: number;
};

/** Batches without end. */
export type FramePairSource = {
  /** The next batch; it belongs to the caller, who frees it. */
  next(): Promise<FramePair>;
  /** The position behind the batches that `next` has given in all ranks, the same in each, as JSON can hold it. */
  state(): unknown;
  close?(): Promise<void> | void;
};

/** Where the pairs come from. */
export type PairProvider = {
  /**
   * Batches to learn from, no pair in two ranks.
   * @param state a position to go on from; it may come from another number of ranks and other sizes
   */
  training(request: PairRequest, state?: unknown): Promise<FramePairSource>;
  /** The held-out pairs, the same in every call, each in one rank; null if there are none. */
  heldOut(request: PairRequest): AsyncIterable<FramePair> | null;
};
