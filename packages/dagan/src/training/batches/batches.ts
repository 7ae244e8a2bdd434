// Where training gets its frames from, as the training loop sees it.
import { Tensor } from '@dagan/libtorch';

/** Which part of the data a rank wants, and in which form. */
export type BatchRequest = {
  /** Side of the pictures in pixels. */
  size: number;
  /** Samples in a batch of this rank. */
  batchSize: number;
  rank: number;
  worldSize: number;
};

/** Batches without end. */
export type BatchSource<Batch> = {
  /** The next batch; it belongs to the caller, who frees it (`freeBatch`). */
  next(): Promise<Batch>;
  /** The position behind the batches that `next` has given in all ranks, the same in each, as JSON can hold it. */
  state(): unknown;
  close?(): Promise<void> | void;
};

/** Where the batches come from. */
export type BatchProvider<Batch> = {
  /**
   * Batches to learn from, no sample in two ranks.
   * @param state a position to go on from; it may come from another number of ranks and other sizes
   */
  training(request: BatchRequest, state?: unknown): Promise<BatchSource<Batch>>;
  /** The held-out samples, the same in every call, each in one rank; null if there are none. */
  heldOut(request: BatchRequest): AsyncIterable<Batch> | null;
  /** How many people there are to learn from, where that is known. */
  readonly people?: number;
};

/** The tensors of a batch on a device, as convolutions like them; everything else is left out. The caller frees them. */
export function batchOn<Batch extends object>(batch: Batch, device: string): Batch {
  const entries = Object.entries(batch).filter((entry): entry is [string, Tensor] => entry[1] instanceof Tensor);
  const moved = entries.map(([name, value]) => [
    name,
    value.to({ device, ...(value.ndim === 4 ? { memoryFormat: 'channels_last' as const } : {}) }),
  ]);
  return Object.fromEntries(moved) as Batch;
}

/** Frees the tensors of a batch. */
export function freeBatch(batch: object): void {
  for (const value of Object.values(batch)) if (value instanceof Tensor) value.dispose();
}
