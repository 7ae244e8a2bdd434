// What both training commands do around the training itself: ranks, Ctrl-C, data, logs, and what goes wrong in words.
import { join } from 'node:path';
import { distributed } from '@dagan/libtorch';
import type { StageName } from '../models/files/formats.js';
import { applyThreads, chooseDevice, choosePrecision } from '../pipelines/choose-model.js';
import type { DatasetBatchesOptions } from '../training/batches/dataset-batches.js';
import type { TrainingOutcome, TrainingRun } from '../training/loop/training-run.js';
import { stopRequest } from '../training/ranks/launch-ranks.js';
import type { TrainingPlace } from '../training/ranks/ranks.js';
import { NonFiniteLossError } from '../training/run/non-finite-loss.js';
import { pictureFolder } from '../training/run/picture-folder.js';
import { RunFolder } from '../training/run/run-folder.js';
import { runLog } from '../training/run/run-log.js';
import { TrainingSetupError } from '../training/run/setup-error.js';
import { tensorBoard } from '../training/run/tensorboard.js';
import type { TrainingPlan } from '../training/run/training-plan.js';
import { VERSION } from '../version.js';
import { textOf, UsageError, UserError } from './errors.js';
import { launchOwnRanks, ownDevice } from './own-ranks.js';
import { Reporter } from './report.js';
import { trainingDisplay } from './training-display.js';
import { given, type TrainingOptions } from './training-options.js';

/** One process of a training. */
export type TrainingSession = {
  stage: StageName;
  options: TrainingOptions;
  place: TrainingPlace;
  reporter: Reporter;
  /** Whether this process speaks for all ranks. */
  speaks: boolean;
  /** Aborted when the training is to end. */
  stop: AbortSignal;
};

/** What a training came to, and the file that it left. */
export type SessionResult = { outcome: TrainingOutcome; model: string };

/** Exit code of a run that Ctrl-C has ended. */
const STOPPED = 130;

/** Milliseconds between two lines about the clips that are being made ready. */
const PREPARING_INTERVAL = 10_000;

/** Runs a training in this process, alone or as one of the ranks, or starts the ranks on this machine. */
export async function runSession(
  stage: StageName,
  options: TrainingOptions,
  train: (session: TrainingSession) => Promise<SessionResult>,
): Promise<void> {
  if ((options.nproc ?? 1) > 1 && !process.env.RANK) return launch(options);
  applyThreads(options);
  const stop = stopRequest() ?? interruption();
  const several = Number(process.env.WORLD_SIZE ?? 1) > 1;
  const device = chooseDevice(several && options.device === 'auto' ? ownDevice() : options.device);
  using group = several
    ? distributed.initFromEnvironment({ backend: device === 'cpu' ? 'gloo' : 'nccl', timeoutSeconds: options.timeout })
    : null;
  const speaks = (group?.rank ?? 0) === 0;
  const reporter = new Reporter(options);
  try {
    new RunFolder(options.output, stage, options.keep).check(options);
    const { outcome, model } = await train({ stage, options, place: { device, group }, reporter, speaks, stop });
    if (outcome.interrupted) {
      if (!process.connected) process.exitCode = STOPPED;
      if (speaks) reporter.notice(`stopped after step ${outcome.step}; --resume goes on from there`);
    } else if (speaks) reporter.result(model);
  } catch (error) {
    if (stop.aborted && (error as Error).name === 'AbortError') {
      process.exitCode = STOPPED;
      return reporter.notice('stopped while clips were being made ready');
    }
    if (error instanceof TrainingSetupError) throw new UsageError(textOf(error));
    if (!(error instanceof NonFiniteLossError)) throw error;
    throw new UserError(
      `${error.message}. ${join(options.output, 'checkpoints')} holds the state before it: resume with a lower ` +
        `--learning-rate, a --clip-norm, or --precision float32`,
    );
  }
}

/** What the command line says in place of a configuration's values. */
export function givenPlan(
  { steps, batchSize, learningRate, clipNorm, seed, precision }: TrainingOptions,
  device: string,
): Partial<TrainingPlan> {
  const chosen = precision && choosePrecision(precision, device);
  return given({ steps, batchSize, learningRate, clipNorm, seed, precision: chosen });
}

/** How the data set is read. */
export function datasetOptions(
  { options, reporter, speaks, stop }: TrainingSession,
  what: Pick<DatasetBatchesOptions, 'seed' | 'heldOutSamples' | 'augmentation' | 'faceCues' | 'portraits'>,
): DatasetBatchesOptions {
  return {
    ...what,
    heldOut: options.evaluateEvery === 0 ? 0 : options.heldOut,
    workers: options.workers,
    cacheFolder: options.cache,
    acceptChangedData: options.acceptChangedData,
    onProgress: speaks ? preparing(reporter) : undefined,
    onWarning: speaks ? (text) => reporter.warn(text) : undefined,
    signal: stop,
  };
}

/** Where the run lives, who watches it and when it ends. */
export function runOptions({ options, place, stop }: TrainingSession): Omit<TrainingRun<never>, 'data'> {
  const { checkpointEvery: checkpoint, evaluateEvery: evaluation, picturesEvery: pictures, output } = options;
  return {
    folder: output,
    place,
    resume: options.resume,
    every: { checkpoint, evaluation, pictures },
    keep: options.keep,
    observers: (step) => [
      trainingDisplay({ quiet: options.quiet }),
      runLog(join(output, 'log.jsonl'), step),
      tensorBoard(output, step),
      pictureFolder(join(output, 'pictures')),
    ],
    signal: stop,
    metadata: { trained_by: `dagan ${VERSION}` },
  };
}

/** Tells now and then how many clips are ready. */
function preparing(reporter: Reporter): (progress: { clips: string; done: number; total: number }) => void {
  let shown = performance.now();
  return ({ clips, done, total }) => {
    if (performance.now() - shown < PREPARING_INTERVAL) return;
    shown = performance.now();
    reporter.notice(`${clips}: ${done} of ${total} are ready`);
  };
}

/** Starts the ranks; each runs this same command line. */
async function launch(options: TrainingOptions): Promise<void> {
  const stop = interruption();
  await launchOwnRanks({ nproc: options.nproc!, threads: options.threads, signal: stop });
  if (stop.aborted) process.exitCode = STOPPED;
}

/** Aborted by the first Ctrl-C (or what a batch system sends); the second ends the process at once. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.removeAllListeners(signal);
    process.once(signal, () => {
      process.stderr.write('\ndagan: stopping after this step, with a checkpoint; once more ends at once\n');
      controller.abort();
    });
  }
  return controller.signal;
}
