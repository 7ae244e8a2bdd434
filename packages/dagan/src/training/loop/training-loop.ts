// The training loop of both stages, from the first step to the last. Every rank runs it; rank 0 writes.
import { setImmediate } from 'node:timers/promises';
import { manualSeed, type Tensor, tidy } from '@dagan/libtorch';
import { type BatchProvider, freeBatch } from '../batches/batches.js';
import { anyRank, rankOf, type TrainingPlace } from '../ranks/ranks.js';
import type { BestResult } from '../run/checkpoints.js';
import { NonFiniteLossError } from '../run/non-finite-loss.js';
import { ObserverList, type TrainingObserver } from '../run/observers.js';
import { RunFolder } from '../run/run-folder.js';
import { learningRateFactor } from '../run/schedule.js';
import { TrainingSetupError } from '../run/setup-error.js';
import type { Trainee, TrainingStage } from '../run/training-stage.js';
import { gatherRandomStates, randomStates, restoreOwnRandomStates } from './random-state.js';

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

/**
 * Trains until the configuration's last step, or until the signal.
 *
 * @throws TrainingSetupError, before anything is written, for a run that cannot be; NonFiniteLossError after having written
 *   the state before the step; CheckpointError if the run's last checkpoint cannot be written
 */
export async function runTraining<Batch extends object, Learner extends Trainee<Batch>>(
  stage: TrainingStage<Batch, Learner>,
  run: TrainingRun<Batch>,
): Promise<TrainingOutcome> {
  const { config } = stage;
  const { place, every } = run;
  const { rank, worldSize } = rankOf(place);
  const folder = new RunFolder(run.folder, stage.name, run.keep);
  folder.check(run);

  // ---- where to start
  const notices: string[] = [];
  const saved = run.resume ? folder.checkpoints.newest((text) => notices.push(text)) : null;
  if (saved && saved.stage !== stage.name) {
    throw new TrainingSetupError(`${saved.path} is a checkpoint of the ${saved.stage} training: name another folder`);
  }
  let step = saved?.step ?? 0;
  let best = saved?.best ?? null;
  let size = stage.sizeAt(step);
  manualSeed(config.seed);
  const first = stage.create(size);
  let trainee: Trainee<Batch> = first;
  using _ = { [Symbol.dispose]: () => trainee[Symbol.dispose]() };
  manualSeed(config.seed + 1 + rank + worldSize * step);
  if (saved) {
    tidy(() => trainee.loadStateDict(saved.tensors));
    trainee.recall(saved.memory);
    restoreOwnRandomStates(saved.tensors, place);
    for (const value of saved.tensors.values()) value.dispose();
  } else stage.start(first);
  const request = { batchSize: config.batchSize / worldSize, rank, worldSize };
  let data = await run.data.training({ ...request, size }, saved?.data);

  // ---- from here on the run's folder changes
  if (rank === 0) {
    folder.prepare(config);
    if (saved) folder.checkpoints.removeAfter(step);
  }
  place.group?.barrier();
  const observers = new ObserverList(rank === 0 ? (run.observers?.(step) ?? []) : []);
  if (saved) observers.notice(`going on after step ${step}, from ${saved.path}`);
  for (const text of notices) observers.notice(text);

  // ---- what is done now and then
  const here = (): Position => ({
    step,
    data: data.state(),
    memory: trainee.memory(),
    random: randomStates(place.device),
  });
  const exportModel = (path: string, of: number): void =>
    trainee.export(path, { name: config.name, training_steps: `${of}`, ...run.metadata });
  let written = saved ? step : -1;
  const save = (position: Position): void => {
    const random = gatherRandomStates(position.random, place);
    if (rank === 0) {
      const facts = {
        stage: stage.name,
        step: position.step,
        config,
        data: position.data,
        memory: position.memory,
        best,
      };
      const path = folder.checkpoints.save(facts, new Map([...trainee.stateDict(), ...random]));
      exportModel(folder.file(stage.modelFile), position.step);
      observers.saved(position.step, path);
    }
    for (const value of random.values()) value.dispose();
    written = position.step;
  };
  /** Unless it must be, a checkpoint that cannot be written is no reason to end: the next one may find room again. */
  const saveHere = ({ must = false } = {}): void => {
    if (written === step) return;
    const position = here();
    const before = written;
    let failure: Error | null = null;
    try {
      save(position);
    } catch (error) {
      failure = error as Error;
    } finally {
      free(position);
    }
    // All ranks save together, so they must agree on whether it is still to be done.
    if (!anyRank(failure !== null, place)) return;
    written = before;
    if (!failure) return;
    if (must) throw failure;
    observers.notice(`step ${step}: no checkpoint: ${failure.message}`);
  };
  const evaluate = async (): Promise<void> => {
    const batches = run.data.heldOut({ ...request, size });
    if (!batches) return;
    const { result, sheet } = await trainee.evaluate(batches, { drawing: rank === 0 && every.pictures > 0 });
    observers.evaluation(step, result);
    if (sheet) await observers.pictures(step, { 'held out': sheet });
    const value = result[stage.judgedBy] ?? Number.NaN;
    // Errors of pictures of different sizes do not compare.
    const rival = best && stage.sizeAt(best.step - 1) === size ? best : null;
    if (!Number.isFinite(value) || (rival && value >= rival.value)) return;
    best = { step, value };
    saveHere();
    if (rank !== 0 || written !== step) return;
    try {
      exportModel(folder.best, step);
    } catch (error) {
      observers.notice(`step ${step}: the best model was not written: ${(error as Error).message}`);
    }
  };

  // ---- the loop
  let stopping = false;
  try {
    while (step < config.steps && !stopping) {
      const began = performance.now();
      if (stage.sizeAt(step) !== size) {
        size = stage.sizeAt(step);
        trainee = trainee.resized(size);
        const position = data.state();
        await data.close?.();
        data = await run.data.training({ ...request, size }, position);
      }
      const learningRate = config.learningRate * learningRateFactor(config.schedule, step, config.steps);
      const before = here();
      const batch = await data.next();
      try {
        const drawing = rank === 0 && isDue(step + 1, every.pictures);
        const { sheet, warning, ...learned } = trainee.learn(batch, { step, learningRate, drawing });
        step += 1;
        const seconds = (performance.now() - began) / 1000;
        const { steps, batchSize: images } = config;
        observers.step({ step, steps, learningRate, size, images, seconds, ...learned });
        if (warning) observers.warning(step, warning);
        if (sheet) await observers.pictures(step, { networks: sheet });
      } catch (error) {
        if (error instanceof NonFiniteLossError) {
          observers.warning(step + 1, error.message);
          try {
            if (written !== step) save(before);
          } catch (failure) {
            observers.notice(`the state before step ${step + 1} was not written: ${(failure as Error).message}`);
          }
        }
        throw error;
      } finally {
        freeBatch(batch);
        free(before);
      }
      await setImmediate(); // lets signals through
      stopping = anyRank(run.signal?.aborted ?? false, place);
      const last = stopping || step === config.steps;
      if (isDue(step, every.evaluation) || (step === config.steps && every.evaluation > 0)) await evaluate();
      if (last || isDue(step, every.checkpoint)) saveHere({ must: last });
    }
    place.group?.barrier(); // a launcher that sees a rank end may end the others, of which rank 0 still writes
  } finally {
    await data.close?.();
    observers.close();
  }
  return { step, interrupted: step < config.steps, best };
}

/** Where a run stands between two steps. */
type Position = { step: number; data: unknown; memory: unknown; random: ReadonlyMap<string, Tensor> };

function free({ random }: Position): void {
  for (const value of random.values()) value.dispose();
}

const isDue = (step: number, every: number): boolean => every > 0 && step % every === 0;
