// Frame pairs from a folder of clips, for the training loop.
import {
  type Dataset,
  type FramePairBatch,
  holdOut,
  identitiesOf,
  type LoaderState,
  openDataset,
  openPairLoader,
  type PreparedDataset,
  prepareFrames,
} from '../data/index.js';
import { MediaError } from '../media/index.js';
import type { PairProvider } from './frame-pairs.js';

export type DatasetPairsOptions = {
  seed: number;
  /** Part of the identities that is held out, where the data set has no `test` folder; 0 for none. */
  heldOut: number;
  /** Pairs that an evaluation compares, over all ranks. */
  heldOutPairs: number;
  /** How often every identity comes in an epoch. */
  numRepeats?: number;
  /** Threads that make batches ahead of time. */
  workers?: number;
  /** Where decoded frames are kept; by default below the data set. */
  cacheFolder?: string;
  /** Told after every clip that is being made ready. */
  onProgress?: (progress: { clips: string; done: number; total: number }) => void;
  onWarning?: (text: string) => void;
  /** Ends the making ready of clips; what has been made is kept. */
  signal?: AbortSignal;
};

/**
 * Pairs of frames of `root/train`, evaluated on `root/test` or, without one, on identities that are held out.
 *
 * @throws MediaError, naming the folder or file, if there is nothing to learn from
 */
export async function datasetPairs(root: string, options: DatasetPairsOptions): Promise<PairProvider> {
  const { training, heldOut } = await partsOf(root, options);
  const prepared = new Map<string, Promise<PreparedDataset>>();
  const prepare = (dataset: Dataset, name: string, size: number, place: { rank: number; worldSize: number }) => {
    const key = `${name} ${size}`;
    const { cacheFolder, onProgress, onWarning, signal } = options;
    const ready =
      prepared.get(key) ??
      prepareFrames(dataset, {
        size,
        cacheFolder,
        ...place,
        onWarning,
        signal,
        onProgress: ({ done, total }) => onProgress?.({ clips: `${name} clips at ${size} x ${size}`, done, total }),
      });
    prepared.set(key, ready);
    return ready;
  };
  const { seed, numRepeats, workers } = options;
  return {
    training: async ({ size, batchSize, ...place }, state) =>
      openPairLoader(await prepare(training, 'training', size, place), {
        ...{ batchSize, seed, numRepeats, workers, ...place },
        state: state as LoaderState | undefined,
      }),
    heldOut: ({ size, batchSize, ...place }) =>
      heldOut && {
        async *[Symbol.asyncIterator](): AsyncGenerator<FramePairBatch> {
          const dataset = await prepare(heldOut, 'held-out', size, place);
          await using loader = openPairLoader(dataset, { batchSize, seed: 0, augmentation: false, ...place });
          const batches = Math.max(1, Math.round(options.heldOutPairs / (batchSize * place.worldSize)));
          for (let i = 0; i < batches; i++) yield await loader.next();
        },
      },
  };
}

async function partsOf(
  root: string,
  options: DatasetPairsOptions,
): Promise<{ training: Dataset; heldOut: Dataset | null }> {
  const dataset = await openDataset(root);
  const { heldOut: fraction, seed, onWarning } = options;
  if (fraction === 0) return { training: dataset, heldOut: null };
  try {
    return { training: dataset, heldOut: await openDataset(root, { split: 'test' }) };
  } catch (error) {
    if (!(error instanceof MediaError)) throw error;
  }
  if (identitiesOf(dataset).length > 1) return holdOut(dataset, { fraction, seed });
  onWarning?.(
    `${root} shows a single identity and has no test folder: nothing is held out, the best model is not known`,
  );
  return { training: dataset, heldOut: null };
}
