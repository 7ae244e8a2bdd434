// Batches of frames from a folder of clips, for the training loop.
import { join } from 'node:path';
import { type AugmentationOptions, augmentationSettings } from '../../data/augmentation.js';
import { type Dataset, holdOut, identitiesOf, listFolder, openDataset } from '../../data/dataset.js';
import { prepareMeshes } from '../../data/face-meshes.js';
import {
  type BatchLoader,
  type FramePairBatch,
  type FrameTripletBatch,
  type LoaderOptions,
  type LoaderState,
  openPairLoader,
  openTripletLoader,
} from '../../data/loader.js';
import { keptExpressions } from '../../data/portraits/kept-expressions.js';
import { preparePortraits } from '../../data/portraits/portrait-store.js';
import { type FrameClip, type PreparedDataset, prepareFrames } from '../../data/prepare.js';
import { withCode } from '../../errors.js';
import { MediaError } from '../../media/errors.js';
import type { BatchProvider, BatchRequest } from './batches.js';
import { clipSpacing, WIDEST_SPACING } from './clip-spacing.js';

export type DatasetBatchesOptions = {
  seed: number;
  /** Part of the identities that is held out, where the data set has no `test` folder; 0 for none. */
  heldOut: number;
  /** Samples that an evaluation compares, over all ranks. */
  heldOutSamples: number;
  /** How often every identity comes in an epoch. */
  numRepeats?: number;
  /** How samples are varied; by default as the published models' were. */
  augmentation?: AugmentationOptions;
  /** Whether batches say where faces are: meshes are then looked for once and kept beside the frames. */
  faceCues?: boolean;
  /**
   * A folder of portraits that move, each time in another way, as a share of the samples to learn from (default half); it needs
   * `faceCues`.
   */
  portraits?: { folder: string; share?: number };
  /** Threads that make batches ahead of time. */
  workers?: number;
  /** Where decoded frames are kept; by default below the data set. */
  cacheFolder?: string;
  /** Goes on at a position of other data. */
  acceptChangedData?: boolean;
  /** Told after every clip that is being made ready. */
  onProgress?: (progress: { clips: string; done: number; total: number }) => void;
  onWarning?: (text: string) => void;
  /** Ends the making ready of clips; what has been made is kept. */
  signal?: AbortSignal;
};

/** Frames to a sample's neighbours: so many in every clip, or as many as its motion asks for. */
export type Spacing = number | 'auto';

type Part = 'training' | 'held-out';

/** How the samples of a stage are made of clips. */
type Sampling<Batch> = {
  /** The clips that can be used; told the warnings of those that cannot. */
  ready?(dataset: PreparedDataset, part: Part): Promise<PreparedDataset>;
  open(dataset: PreparedDataset, options: LoaderOptions): BatchLoader<Batch>;
};

/**
 * Pairs of random frames of `root/train`, evaluated on `root/test` or, without one, on identities that are held out.
 *
 * @throws MediaError, naming the folder or file, if there is nothing to learn from
 */
export function datasetPairs(root: string, options: DatasetBatchesOptions): Promise<BatchProvider<FramePairBatch>> {
  return datasetBatches(root, options, { open: openPairLoader });
}

/**
 * Three neighbouring frames each, from the same clips. With `spacing: 'auto'` clips that stand still are left out of the
 * training.
 *
 * @throws MediaError, naming the folder or file, if there is nothing to learn from
 */
export function datasetTriplets(
  root: string,
  options: DatasetBatchesOptions & { spacing: Spacing },
): Promise<BatchProvider<FrameTripletBatch>> {
  const { spacing, onWarning, signal } = options;
  const chosen = new Map<string, number>();
  const leaveOut = (clip: FrameClip, reason: string): null => {
    onWarning?.(`left out: ${clip.path}: ${reason}`);
    return null;
  };
  const usable = async (clip: FrameClip, part: Part): Promise<FrameClip | null> => {
    signal?.throwIfAborted();
    if (clip.frames < 3) return leaveOut(clip, `has ${clip.frames} frames; a sample needs 3`);
    const found = spacing === 'auto' ? await clipSpacing(clip) : spacing;
    if (found === null && part === 'training') {
      return leaveOut(clip, `stands still: no frames up to ${WIDEST_SPACING} apart differ enough to learn depth from`);
    }
    chosen.set(clip.name, found ?? WIDEST_SPACING);
    return clip;
  };
  return datasetBatches(root, options, {
    ready: async (dataset, part) => {
      const clips: FrameClip[] = [];
      for (const clip of dataset.clips) {
        const found = await usable(clip, part);
        if (found) clips.push(found);
      }
      if (clips.length > 0) return { ...dataset, clips };
      const error = new MediaError(root, `none of its ${dataset.clips.length} ${part} clips can be used`);
      throw spacing === 'auto' ? withCode(error, 'clips-too-still', { path: root }) : error;
    },
    open: (dataset, loading) =>
      openTripletLoader(dataset, {
        ...loading,
        spacing: typeof spacing === 'number' ? spacing : (clip) => chosen.get(clip.name)!,
      }),
  });
}

async function datasetBatches<Batch extends Disposable>(
  root: string,
  options: DatasetBatchesOptions,
  { ready = async (dataset) => dataset, open }: Sampling<Batch>,
): Promise<BatchProvider<Batch>> {
  const { seed, numRepeats, faceCues, workers, cacheFolder, acceptChangedData, onProgress, onWarning, signal } =
    options;
  const { training, heldOut } = await partsOf(root, options);
  const augmentation = augmentationSettings(options.augmentation ?? {});
  const prepared = new Map<string, Promise<PreparedDataset>>();
  const prepare = (dataset: Dataset, part: Part, { size, rank, worldSize }: BatchRequest) => {
    const key = `${part} ${size}`;
    const clips = `${part} clips at ${size} x ${size}`;
    const progress = ({ done, total }: { done: number; total: number }) => onProgress?.({ clips, done, total });
    const frames =
      prepared.get(key) ??
      prepareFrames(dataset, {
        ...{ size, cacheFolder, rank, worldSize, onWarning, signal },
        onProgress: progress,
      }).then((found) => ready(found, part));
    prepared.set(key, frames);
    return frames;
  };
  const meshesOf = (
    dataset: PreparedDataset,
    part: Part,
    { rank, worldSize }: BatchRequest,
  ): Promise<ReadonlyMap<string, string>> | undefined =>
    faceCues
      ? prepareMeshes(dataset, {
          ...{ cacheFolder, workers, rank, worldSize, signal },
          onProgress: ({ done, total }) => onProgress?.({ clips: `${part} clips whose faces are known`, done, total }),
        })
      : undefined;
  const moving = async (
    { folder, share = 0.5 }: NonNullable<typeof options.portraits>,
    size: number,
    meshes: ReadonlyMap<string, string>,
  ) => {
    // Kept larger than they are shown, because they come nearer and turn.
    const side = Math.min(256, 2 * size);
    const progress = ({ done, total }: { done: number; total: number }) =>
      onProgress?.({ clips: `portraits at ${side} x ${side}`, done, total });
    const cache = cacheFolder && join(cacheFolder, 'portraits');
    return {
      share,
      expressions: await keptExpressions(
        meshes.values(),
        join(cacheFolder ?? join(root, '.dagan-frames'), 'expressions.safetensors'),
      ),
      prepared: await preparePortraits(folder, {
        ...{ size: side, cacheFolder: cache, signal, onWarning },
        onProgress: progress,
      }),
    };
  };
  return {
    people: identitiesOf(training).length,
    training: async (request, state) => {
      const { batchSize, rank, worldSize } = request;
      // Kept as large as they may be shown, so that what is enlarged is not blurred.
      const size = Math.ceil(request.size * (1 + augmentation.zoom));
      const clips = await prepare(training, 'training', { ...request, size });
      // What cannot be read is better known before the first step than at the first evaluation.
      if (heldOut) await meshesOf(await prepare(heldOut, 'held-out', request), 'held-out', request);
      const meshes = await meshesOf(clips, 'training', request);
      const portraits = meshes && options.portraits && (await moving(options.portraits, request.size, meshes));
      return open(clips, {
        ...{ size: request.size, batchSize, rank, worldSize, seed },
        ...{ numRepeats, meshes, portraits, workers, acceptChangedData, augmentation },
        state: state as LoaderState | undefined,
      });
    },
    heldOut: (request) =>
      heldOut && {
        async *[Symbol.asyncIterator](): AsyncGenerator<Batch> {
          const { batchSize, rank, worldSize } = request;
          const clips = await prepare(heldOut, 'held-out', request);
          const meshes = await meshesOf(clips, 'held-out', request);
          await using loader = open(clips, { batchSize, rank, worldSize, seed: 0, augmentation: false, meshes });
          const batches = Math.max(1, Math.round(options.heldOutSamples / (batchSize * worldSize)));
          for (let i = 0; i < batches; i++) yield await loader.next();
        },
      },
  };
}

async function partsOf(
  root: string,
  options: DatasetBatchesOptions,
): Promise<{ training: Dataset; heldOut: Dataset | null }> {
  const dataset = await openDataset(root);
  const { heldOut: fraction, seed, onWarning } = options;
  if (fraction === 0) return { training: dataset, heldOut: null };
  const folders = await listFolder(root, '');
  if (folders.some(({ name, folder }) => folder && name === 'test')) {
    return { training: dataset, heldOut: await openDataset(root, { split: 'test' }) };
  }
  if (identitiesOf(dataset).length > 1) return holdOut(dataset, { fraction, seed });
  onWarning?.(
    `${root} shows a single identity and has no test folder: nothing is held out, the best model is not known`,
  );
  return { training: dataset, heldOut: null };
}
