// Batches of frames for training, made ahead of time in worker threads, at a position that can be saved and taken up again.
import { type Tensor, tensor } from '@dagan/libtorch';
import { FACE_LANDMARK_NAMES } from '../faces/index.js';
import { MediaError } from '../media/index.js';
import type { ThreadFailure } from '../threads/messages.js';
import { Thread } from '../threads/thread.js';
import type { AugmentationOptions } from './augmentation.js';
import type { BatchOrder, WorkerSetup } from './loader-messages.js';
import type { PreparedDataset } from './prepare.js';
import { type FrameChoice, type Sample, SampleSequence, type SamplingOptions } from './sampling.js';

/** Where in the data a run is. Plain JSON. */
export type LoaderState = {
  /** Samples handed out so far, by all ranks together. */
  samples: number;
  /** Of the sequence they come from: the data, the seed and the choice of frames. */
  fingerprint: string;
};

export type LoaderOptions = {
  /** Samples in a batch of this process. */
  batchSize: number;
  seed: number;
  /** How often every identity comes in an epoch. Default 1. */
  numRepeats?: number;
  /** Width and height of the pictures handed out, to which frames of other sizes are scaled. Default: the frames' own. */
  size?: number;
  /** Default: the published recipe. `false` for evaluation. */
  augmentation?: AugmentationOptions | false;
  /** This process among those that share the data: each step's samples are dealt out to them. Default 0 of 1. */
  rank?: number;
  worldSize?: number;
  /** Whether mouth, eyes and landmarks of the driving frame of a pair are looked for, in some 10 ms a pair; see `FramePairBatch`. Default false. */
  regions?: boolean;
  /** Worker threads. One delivers about 100 pairs a second of 128 x 128, 60 of 256 x 256. Default 1. */
  workers?: number;
  /**
   * Batches that may be ready or in the making. It bounds the memory: each takes `batchSize * frames * 12 * size^2` bytes
   * (for 8 pairs of 256 x 256: 12.6 MB), with `regions` 28 size^2 more for each pair. Default 4.
   */
  prefetch?: number;
  /** Where to go on, from a loader of any batch size and number of ranks; refused if the data is not the same any more. */
  state?: LoaderState;
  /** Goes on at `state` although the data has changed. */
  acceptChangedData?: boolean;
};

/** Where the frames of a batch come from. */
type BatchOrigin = {
  /** The clip of every sample, by its name below the data set's root. */
  names: string[];
  /** Numbers of the frames of every sample, in the order of the batch's tensors. */
  frames: number[][];
} & Disposable;

/**
 * Two frames of the same person each: [N, 3, H, W] in [0, 1], float32 on the CPU; and, if they were looked for, `regions`
 * [N, 1, H, W], 1 in mouth and eyes of the driving frame and 0 elsewhere, and `landmarks` [N, L, H, W], around each of
 * `FACE_LANDMARK_NAMES` of that frame a spot that adds up to 1. Disposing of it frees the tensors.
 */
export type FramePairBatch = {
  source: Tensor;
  driving: Tensor;
  regions?: Tensor;
  landmarks?: Tensor;
} & BatchOrigin;

/** Three frames at equal distance, in time's order or against it; like a `FramePairBatch` otherwise. */
export type FrameTripletBatch = { previous: Tensor; target: Tensor; next: Tensor } & BatchOrigin;

/** Hands out batches without end. */
export interface BatchLoader<Batch> extends AsyncDisposable {
  /** Samples in an epoch, of all ranks together. */
  readonly epochLength: number;
  /**
   * The next batch, which the caller disposes of. Rejects with a `MediaError` that names the file if a frame cannot be
   * read; the loader is of no more use then.
   */
  next(): Promise<Batch>;
  /** The position after the last batch handed out. */
  state(): LoaderState;
  /** Ends the worker threads. */
  close(): Promise<void>;
}

export type PairLoader = BatchLoader<FramePairBatch>;
export type TripletLoader = BatchLoader<FrameTripletBatch>;

/** Opens a loader of two frames per sample, random ones of a clip by default. */
export function openPairLoader(
  dataset: PreparedDataset,
  options: LoaderOptions & { frames?: FrameChoice },
): PairLoader {
  const sampling: SamplingOptions = { ...options, count: 2, frames: options.frames ?? { kind: 'random' } };
  return new Loader(dataset, sampling, options, ([source, driving, regions, landmarks], origin) => ({
    source: source!,
    driving: driving!,
    ...(regions && { regions, landmarks }),
    ...origin,
  }));
}

/** Opens a loader of three frames per sample, `spacing` frames apart (default 1). */
export function openTripletLoader(
  dataset: PreparedDataset,
  options: LoaderOptions & Pick<FrameChoice & { kind: 'neighbours' }, 'spacing'>,
): TripletLoader {
  const sampling: SamplingOptions = {
    ...options,
    count: 3,
    frames: { kind: 'neighbours', spacing: options.spacing },
  };
  const short = dataset.clips.find(({ frames }) => frames < 3);
  if (short) throw new MediaError(short.path, `has ${short.frames} frames; a sample needs 3`);
  return new Loader(dataset, sampling, { ...options, regions: false }, ([previous, target, next], origin) => ({
    previous: previous!,
    target: target!,
    next: next!,
    ...origin,
  }));
}

const WORKER = new URL('./loader-worker.js', import.meta.url);

type Pending = { samples: Sample[]; data: Promise<Float32Array> };

class Loader<Batch> implements BatchLoader<Batch> {
  readonly epochLength: number;
  readonly #sequence: SampleSequence;
  readonly #options: Required<
    Pick<LoaderOptions, 'batchSize' | 'rank' | 'worldSize' | 'prefetch' | 'size' | 'regions'>
  >;
  readonly #workers: Thread<BatchOrder, Float32Array>[];
  /** Batches ordered and not yet handed out, in their order. */
  readonly #pending: Pending[] = [];
  readonly #start: number;
  readonly #fingerprint: string;
  #ordered = 0;
  #delivered = 0;
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(
    dataset: PreparedDataset,
    private readonly sampling: SamplingOptions,
    options: LoaderOptions,
    private readonly batchOf: (tensors: Tensor[], origin: BatchOrigin) => Batch,
  ) {
    const { batchSize, rank = 0, worldSize = 1, workers = 1, prefetch = 4, size = dataset.size, state } = options;
    const { regions = false } = options;
    for (const [name, value] of Object.entries({ batchSize, worldSize, workers, prefetch, size })) {
      if (!Number.isInteger(value) || value < 1) {
        throw new RangeError(`${name} must be a positive integer, not ${value}`);
      }
    }
    if (!Number.isInteger(rank) || rank < 0 || rank >= worldSize) {
      throw new RangeError(`the rank must be from 0 to ${worldSize - 1}, not ${rank}`);
    }
    this.#options = { batchSize, rank, worldSize, prefetch, size, regions };
    this.#sequence = new SampleSequence(dataset, sampling);
    this.epochLength = this.#sequence.epochLength;
    this.#fingerprint = this.#sequence.fingerprint;
    if (state && !(Number.isSafeInteger(state.samples) && state.samples >= 0)) {
      throw new RangeError(`a position in the data must be a whole number of samples, not ${state.samples}`);
    }
    if (state && state.fingerprint !== this.#fingerprint && !options.acceptChangedData) {
      throw new MediaError(
        dataset.root,
        `is not as it was when the run was saved (its clips, identities, numbers of frames, the seed or the sampling), so the run cannot go on exactly; --accept-changed-data (\`acceptChangedData\`) goes on all the same`,
      );
    }
    this.#start = state?.samples ?? 0;
    const setup: WorkerSetup = { size, regions };
    this.#workers = Array.from(
      { length: workers },
      () => new Thread(WORKER, { setup, name: "a loader's worker", errorOf }),
    );
    while (this.#pending.length < prefetch) this.#order();
  }

  next(): Promise<Batch> {
    const batch = this.#last.then(() => this.#take());
    this.#last = batch.catch(() => undefined);
    return batch;
  }

  state(): LoaderState {
    const { batchSize, worldSize } = this.#options;
    return { samples: this.#start + this.#delivered * batchSize * worldSize, fingerprint: this.#fingerprint };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#workers.map((worker) => worker.close('the loader is closed')));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Orders the batch after the last one ordered. */
  #order(): void {
    const { batchSize, rank, worldSize } = this.#options;
    const first = this.#start + (this.#ordered * worldSize + rank) * batchSize;
    const samples = Array.from({ length: batchSize }, (_, i) => this.#sequence.at(first + i));
    const worker = this.#workers[this.#ordered++ % this.#workers.length]!;
    const data = worker.ask({
      samples: samples.map(({ clip: { kind, store }, frames, augmentation }) => ({
        kind,
        store,
        frames,
        augmentation,
      })),
    });
    data.catch(() => undefined); // reported when its turn comes
    this.#pending.push({ samples, data });
  }

  async #take(): Promise<Batch> {
    if (this.#closed) throw new Error('the loader is closed');
    const { samples, data } = this.#pending[0]!;
    for (const worker of this.#workers) worker.hold(true);
    let values: Float32Array;
    try {
      values = await data;
    } finally {
      for (const worker of this.#workers) worker.hold(false);
    }
    this.#pending.shift();
    this.#order();
    this.#delivered++;
    const tensors = this.#tensors(values);
    return this.batchOf(tensors, {
      names: samples.map(({ clip }) => clip.name),
      frames: samples.map(({ frames }) => frames),
      [Symbol.dispose]() {
        for (const each of tensors) each.dispose();
      },
    });
  }

  /** One tensor for each frame of the samples, one for the regions, and one for the landmarks. */
  #tensors(values: Float32Array): Tensor[] {
    const { count } = this.sampling;
    const { batchSize, size, regions } = this.#options;
    const area = batchSize * size * size;
    const part = (start: number, channels: number): Tensor =>
      tensor(values.subarray(start, start + channels * area), { shape: [batchSize, channels, size, size] });
    const frames = Array.from({ length: count }, (_, i) => part(i * 3 * area, 3));
    if (!regions) return frames;
    const masks = count * 3 * area;
    return [...frames, part(masks, 1), part(masks + area, FACE_LANDMARK_NAMES.length)];
  }
}

/** The error of a worker thread, which names the file if it has one. */
function errorOf({ path, reason }: ThreadFailure): Error | undefined {
  return path === undefined || reason === undefined ? undefined : new MediaError(path, reason);
}
