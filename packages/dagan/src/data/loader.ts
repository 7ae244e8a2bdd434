// Batches of frames for training, made ahead of time in worker threads, at a position that can be saved and taken up again.
import { type Tensor, tensor } from '@dagan/libtorch';
import { withCode } from '../errors.js';
import { TRAVELLING_POINTS } from '../faces/landmarks.js';
import { MediaError } from '../media/errors.js';
import type { ThreadFailure } from '../threads/messages.js';
import { Thread } from '../threads/thread.js';
import type { AugmentationOptions } from './augmentation.js';
import { identitiesOf } from './dataset.js';
import { type ClipLandmarks, expressionsOf, landmarksOf } from './face-cues.js';
import { readMeshes } from './face-meshes.js';
import type { BatchOrder, MadeBatch, WorkerSetup } from './loader-messages.js';
import type { PackedExpressions } from './portraits/expression-tracks.js';
import type { PreparedPortraits } from './portraits/portrait-store.js';
import type { PreparedDataset } from './prepare.js';
import { type FrameChoice, type Sample, SampleSequence, type SamplingOptions } from './samples.js';

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
  /**
   * The meshes of the clips, a file for each clip's name (`prepareMeshes`): with them pairs say where mouth, eyes and landmarks
   * are, and may be chosen by expression. Default: none.
   */
  meshes?: ReadonlyMap<string, string>;
  /** Portraits that move, expressions of real faces for them, and their share of the samples; only with `meshes`. Default: none. */
  portraits?: { prepared: PreparedPortraits; expressions: PackedExpressions; share: number };
  /** Worker threads. One delivers about 100 pairs a second of 128 x 128, 60 of 256 x 256. Default 1. */
  workers?: number;
  /**
   * Batches that may be ready or in the making. It bounds the memory: each takes `batchSize * frames * 12 * size^2` bytes
   * (for 8 pairs of 256 x 256: 12.6 MB), with `meshes` 4 size^2 more for each pair. Default 4.
   */
  prefetch?: number;
  /** Where to go on, from a loader of any batch size and number of ranks; refused if the data is not the same any more. */
  state?: LoaderState;
  /** Goes on at `state` although the data has changed. */
  acceptChangedData?: boolean;
};

/** Where the frames of a batch come from. */
type BatchOrigin = {
  /** The clip of every sample, by its name below the data set's root, or the portrait by its own. */
  names: string[];
  /** Numbers of the frames of every sample, in the order of the batch's tensors; none for portraits. */
  frames: number[][];
} & Disposable;

/**
 * Two frames of the same person each: [N, 3, H, W] in [0, 1], float32 on the CPU; and, where meshes are known, `regions`
 * [N, 1, H, W], 1 in mouth and eyes of the driving frame and 0 elsewhere, and `landmarks` [N, 2, P, 3]: x, y of the
 * `TRAVELLING_POINTS` in source and driving frame, -1 and 1 at the centres of the outermost pixels, and 1 where the point was seen,
 * else three zeros. `person` [N] numbers whom the pairs show, in the order of the identities' names, after whom the portraits come.
 * Disposing of it frees the tensors.
 */
export type FramePairBatch = {
  source: Tensor;
  driving: Tensor;
  regions?: Tensor;
  landmarks?: Tensor;
  person?: Tensor;
} & BatchOrigin;

/** Three frames at equal distance, in time's order or against it; like a `FramePairBatch` otherwise. */
export type FrameTripletBatch = { previous: Tensor; target: Tensor; next: Tensor } & BatchOrigin;

/** Hands out batches without end. */
export type BatchLoader<Batch> = AsyncDisposable & {
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
};

export type PairLoader = BatchLoader<FramePairBatch>;
export type TripletLoader = BatchLoader<FrameTripletBatch>;

/** Opens a loader of two frames per sample, random ones of a clip by default. */
export function openPairLoader(
  dataset: PreparedDataset,
  options: LoaderOptions & { frames?: FrameChoice },
): PairLoader {
  const { seed, numRepeats, augmentation, frames = { kind: 'random' } } = options;
  const sampling: SamplingOptions = { seed, numRepeats, augmentation, count: 2, frames };
  return new Loader(dataset, sampling, options, ({ frames: [source, driving], ...cues }, origin) => ({
    source: source!,
    driving: driving!,
    ...cues,
    ...origin,
  }));
}

/** Opens a loader of three frames per sample, `spacing` frames apart (default 1). */
export function openTripletLoader(
  dataset: PreparedDataset,
  options: LoaderOptions & Pick<FrameChoice & { kind: 'neighbours' }, 'spacing'>,
): TripletLoader {
  const { seed, numRepeats, augmentation, spacing } = options;
  const frames: FrameChoice = { kind: 'neighbours', spacing };
  const sampling: SamplingOptions = { seed, numRepeats, augmentation, count: 3, frames };
  const short = dataset.clips.find(({ frames }) => frames < 3);
  if (short) throw new MediaError(short.path, `has ${short.frames} frames; a sample needs 3`);
  const plain = { ...options, meshes: undefined, portraits: undefined };
  return new Loader(dataset, sampling, plain, ({ frames: [previous, target, next] }, origin) => ({
    previous: previous!,
    target: target!,
    next: next!,
    ...origin,
  }));
}

const WORKER = new URL('./loader-worker.js', import.meta.url);

/** The tensors of a batch: of each frame of the samples, what is told of the faces, and whose they are. */
type BatchTensors = { frames: Tensor[]; regions?: Tensor; landmarks?: Tensor; person?: Tensor };

type Pending = { samples: Sample[]; data: Promise<MadeBatch> };

class Loader<Batch> implements BatchLoader<Batch> {
  readonly epochLength: number;
  readonly #sequence: SampleSequence;
  readonly #options: Required<Pick<LoaderOptions, 'batchSize' | 'rank' | 'worldSize' | 'prefetch' | 'size'>>;
  readonly #portraits: PreparedPortraits['portraits'];
  /** Whom clips show, sorted. */
  readonly #people: readonly string[];
  /** In a sample. */
  readonly #frames: number;
  readonly #workers: Thread<BatchOrder, MadeBatch>[];
  /** Batches ordered and not yet handed out, in their order. */
  readonly #pending: Pending[] = [];
  readonly #start: number;
  readonly #fingerprint: string;
  #ordered = 0;
  #delivered = 0;
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;
  readonly #batchOf: (tensors: BatchTensors, origin: BatchOrigin) => Batch;

  constructor(
    dataset: PreparedDataset,
    sampling: SamplingOptions,
    options: LoaderOptions,
    batchOf: (tensors: BatchTensors, origin: BatchOrigin) => Batch,
  ) {
    this.#batchOf = batchOf;
    const { batchSize, rank = 0, worldSize = 1, workers = 1, prefetch = 4, size = dataset.size, state } = options;
    for (const [name, value] of Object.entries({ batchSize, worldSize, workers, prefetch, size })) {
      if (!Number.isInteger(value) || value < 1) {
        throw new RangeError(`${name} must be a positive integer, not ${value}`);
      }
    }
    if (!Number.isInteger(rank) || rank < 0 || rank >= worldSize) {
      throw new RangeError(`the rank must be from 0 to ${worldSize - 1}, not ${rank}`);
    }
    this.#frames = sampling.count;
    this.#options = { batchSize, rank, worldSize, prefetch, size };
    const landmarks = options.meshes ? readLandmarks(dataset, options.meshes) : null;
    const expressions = landmarks && new Map([...landmarks].map(([name, clip]) => [name, expressionsOf(clip)]));
    const portraits = landmarks ? options.portraits : undefined;
    this.#sequence = new SampleSequence(dataset, {
      ...sampling,
      ...(expressions && { expressions }),
      portraits: portraits && { count: portraits.prepared.portraits.length, share: portraits.share },
    });
    this.#portraits = portraits?.prepared.portraits ?? [];
    this.#people = identitiesOf(dataset);
    this.epochLength = this.#sequence.epochLength;
    this.#fingerprint = this.#sequence.fingerprint;
    if (state && !(Number.isSafeInteger(state.samples) && state.samples >= 0)) {
      throw new RangeError(`a position in the data must be a whole number of samples, not ${state.samples}`);
    }
    if (state && state.fingerprint !== this.#fingerprint && !options.acceptChangedData) {
      const reason =
        'is not as it was when the run was saved (its clips, identities, numbers of frames, the seed or the sampling), ' +
        'so the run cannot go on exactly; `acceptChangedData` goes on all the same';
      throw withCode(new MediaError(dataset.root, reason), 'changed-data', { path: dataset.root });
    }
    this.#start = state?.samples ?? 0;
    const setup: WorkerSetup = { size, landmarks, portraits: portraits ?? null };
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
      count: this.#frames,
      samples: samples.map((sample) => {
        if ('portrait' in sample) return sample;
        const { name, kind, store } = sample.clip;
        return { name, kind, store, frames: sample.frames, augmentation: sample.augmentation };
      }),
    });
    data.catch(() => undefined); // reported when its turn comes
    this.#pending.push({ samples, data });
  }

  async #take(): Promise<Batch> {
    if (this.#closed) throw new Error('the loader is closed');
    const { samples, data } = this.#pending[0]!;
    for (const worker of this.#workers) worker.hold(true);
    let made: MadeBatch;
    try {
      made = await data;
    } finally {
      for (const worker of this.#workers) worker.hold(false);
    }
    this.#pending.shift();
    this.#order();
    this.#delivered++;
    const tensors = this.#tensors(made, samples);
    return this.#batchOf(tensors, {
      names: samples.map((one) => ('portrait' in one ? this.#portraits[one.portrait]!.name : one.clip.name)),
      frames: samples.map((one) => ('portrait' in one ? [] : one.frames)),
      [Symbol.dispose]() {
        for (const each of [...tensors.frames, tensors.regions, tensors.landmarks, tensors.person]) each?.dispose();
      },
    });
  }

  #tensors({ frames, regions, landmarks }: MadeBatch, samples: readonly Sample[]): BatchTensors {
    // Three frames teach depth, which is nobody's.
    const pairs = this.#frames === 2 ? samples : [];
    const person = pairs.map((sample) =>
      'portrait' in sample ? this.#people.length + sample.portrait : this.#people.indexOf(sample.clip.identity),
    );
    const { batchSize, size } = this.#options;
    return {
      frames: frames.map((values) => tensor(values, { shape: [batchSize, 3, size, size] })),
      ...(regions && { regions: tensor(regions, { shape: [batchSize, 1, size, size] }) }),
      ...(landmarks && { landmarks: tensor(landmarks, { shape: [batchSize, 2, TRAVELLING_POINTS.length, 3] }) }),
      ...(person.length > 0 && { person: tensor(person) }),
    };
  }
}

/** The landmarks of all clips. @throws MediaError if a clip's meshes are not named */
function readLandmarks(
  { clips }: PreparedDataset,
  meshes: ReadonlyMap<string, string>,
): ReadonlyMap<string, ClipLandmarks> {
  return new Map(
    clips.map(({ name, path }) => {
      const file = meshes.get(name);
      if (file === undefined) throw new MediaError(path, 'has no meshes: prepare them first (`prepareMeshes`)');
      return [name, landmarksOf(readMeshes(file))];
    }),
  );
}

/** The error of a worker thread, which names the file if it has one. */
function errorOf({ path, reason }: ThreadFailure): Error | undefined {
  return path === undefined || reason === undefined ? undefined : new MediaError(path, reason);
}
