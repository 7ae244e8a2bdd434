// What a run is told beside its stage: where, from what, how often, watched by whom; and what comes of it.
import type { BatchProvider } from '../batches/batches.js';
import type { TrainingPlace } from '../ranks/ranks.js';
import type { BestResult } from '../run/checkpoints.js';
import type { TrainingObserver } from '../run/observers.js';

export type TrainingRun<Batch> = {
  /** Folder of the run: checkpoints, the model's file, `best.safetensors`, logs. */
  folder: string;
  data: BatchProvider<Batch>;
  place: TrainingPlace;
  /** Goes on from the folder's newest checkpoint, if there is one. */
  resume?: boolean;
  /** Steps between checkpoints, evaluations and pictures; 0 for none but checkpoints at the end. */
  every: { checkpoint: number; evaluation: number; pictures: number };
  /** How many of the newest checkpoints stay. */
  keep: number;
  /** Makes those who are told of steps after the given one; called in rank 0. */
  observers?: (step: number) => TrainingObserver[];
  /** Ends the run after the present step, with a checkpoint. */
  signal?: AbortSignal;
  /** What the exported models' metadata say beside the training's own. */
  metadata?: Readonly<Record<string, string>>;
};

export type TrainingOutcome = {
  /** Steps behind the last checkpoint. */
  step: number;
  /** Whether the run was ended before its last step. */
  interrupted: boolean;
  best: BestResult | null;
};
