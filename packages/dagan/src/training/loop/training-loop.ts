// The training loop of both stages, from the first step to the last. Every rank runs it; rank 0 writes.
import { setImmediate } from 'node:timers/promises';
import { freeBatch } from '../batches/batches.js';
import { anyRank, rankOf } from '../ranks/ranks.js';
import type { LoadedCheckpoint } from '../run/checkpoints.js';
import { NonFiniteLossError } from '../run/non-finite-loss.js';
import { ObserverList } from '../run/observers.js';
import { RunFolder } from '../run/run-folder.js';
import { learningRateFactor } from '../run/schedule.js';
import { TrainingSetupError } from '../run/setup-error.js';
import type { Trainee, TrainingStage } from '../run/training-stage.js';
import { Learning } from './learning.js';
import { Progress } from './progress.js';
import type { TrainingOutcome, TrainingRun } from './training-run.js';

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
  const { rank } = rankOf(place);
  const folder = new RunFolder(run.folder, stage.name, run.keep);
  folder.check(run);
  const notices: string[] = [];
  const saved = run.resume ? newestOf(folder, (text) => notices.push(text)) : null;
  await using learning = await Learning.begin(stage, run, saved);

  // ---- from here on the run's folder changes
  if (rank === 0) {
    folder.prepare(config);
    if (saved) folder.checkpoints.removeAfter(saved.step);
  }
  place.group?.barrier();
  const observers = new ObserverList(rank === 0 ? (run.observers?.(learning.step) ?? []) : []);
  if (saved) observers.notice(`going on after step ${saved.step}, from ${saved.path}`);
  for (const text of notices) observers.notice(text);
  const progress = new Progress(learning, folder, observers, saved, run.metadata);

  let stopping = false;
  try {
    while (learning.step < config.steps && !stopping) {
      await takeStep(progress, run);
      await setImmediate(); // lets signals through
      stopping = anyRank(run.signal?.aborted ?? false, place);
      const [step, ended] = [learning.step, learning.step === config.steps];
      if (isDue(step, every.evaluation) || (ended && every.evaluation > 0)) await evaluate(progress, run);
      if (stopping || ended || isDue(step, every.checkpoint)) {
        progress.saveUnlessWritten({ must: stopping || ended });
      }
    }
    place.group?.barrier(); // a launcher that sees a rank end may end the others, of which rank 0 still writes
  } finally {
    observers.close();
  }
  return { step: learning.step, interrupted: learning.step < config.steps, best: progress.best };
}

/** @throws TrainingSetupError if it is the other stage's */
function newestOf(folder: RunFolder, notice: (text: string) => void): LoadedCheckpoint | null {
  const saved = folder.checkpoints.newest(notice);
  if (saved && saved.stage !== folder.stage) {
    throw new TrainingSetupError(`${saved.path} is a checkpoint of the ${saved.stage} training: name another folder`);
  }
  return saved;
}

/** Learns from the next batch and tells of it. What was known before a step that cannot be taken is saved. */
async function takeStep<Batch extends object>(
  progress: Progress<Batch>,
  { place, every }: TrainingRun<Batch>,
): Promise<void> {
  const { learning, observers } = progress;
  const { config } = learning.stage;
  const began = performance.now();
  await learning.enterPhase();
  const learningRate = config.learningRate * learningRateFactor(config.schedule, learning.step, config.steps);
  const drawing = rankOf(place).rank === 0 && isDue(learning.step + 1, every.pictures);
  using before = learning.position();
  const batch = await learning.nextBatch();
  try {
    const { sheet, warning, ...learned } = learning.learn(batch, { learningRate, drawing });
    const { step, size } = learning;
    const seconds = (performance.now() - began) / 1000;
    observers.step({ step, steps: config.steps, learningRate, size, images: config.batchSize, seconds, ...learned });
    if (warning) observers.warning(step, warning);
    if (sheet) await observers.pictures(step, { networks: sheet });
  } catch (error) {
    if (error instanceof NonFiniteLossError) {
      observers.warning(before.step + 1, error.message);
      progress.saveBefore(before);
    }
    throw error;
  } finally {
    freeBatch(batch);
  }
}

/** Tries the model on the held-out samples, and keeps it if it is the best. */
async function evaluate<Batch extends object>(
  progress: Progress<Batch>,
  { place, every }: TrainingRun<Batch>,
): Promise<void> {
  const { learning, observers } = progress;
  const { stage, step, trainee } = learning;
  const batches = learning.heldOut();
  if (!batches) return;
  const drawing = rankOf(place).rank === 0 && every.pictures > 0;
  const { result, sheet } = await trainee.evaluate(batches, { drawing });
  observers.evaluation(step, result);
  if (sheet) await observers.pictures(step, { 'held out': sheet });
  progress.keepIfBest(result[stage.judgedBy] ?? Number.NaN);
}

const isDue = (step: number, every: number): boolean => every > 0 && step % every === 0;
