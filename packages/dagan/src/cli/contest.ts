// What `dagan ablate` and `dagan compare` have in common: models that are trained on one budget and measured side by side.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { ContestOptions } from '../evaluation/contest.js';
import { Instruments } from '../evaluation/instruments.js';
import type { ObjectiveWeights } from '../losses/objective.js';
import { perceptualNetwork } from '../models/perceptual/perceptual-network.js';
import { choosePrecision } from '../pipelines/choose-model.js';
import { type DepthFiles, startingDepth } from '../training/animation/start-weights.js';
import { VERSION } from '../version.js';
import { UsageError } from './errors.js';
import { evaluationProgress } from './evaluation-progress.js';
import { checkFiles, wholeNumber } from './options.js';
import { addRunOptions, addTrainingOptions, type TrainingOptions, weightOption } from './training-options.js';
import { runOptions, type TrainingSession } from './training-session.js';

export type ContestCommandOptions = TrainingOptions & {
  size: '64' | '128' | '256';
  channels: number;
  depth?: string;
  weight: Partial<ObjectiveWeights>;
  vgg?: string;
  portraits?: string;
  every: number;
  limit?: number;
  evaluationPairs: number;
};

/** Of both, though only one of them cannot do without. */
export const DEPTH_OPTION = [
  '--depth <file>',
  'trained face-depth network; "untrained" goes without (to try things)',
] as const;

/** Adds the options of both to a command; those of its own go between. */
export function addContestOptions(command: Command, own: (command: Command) => Command): Command {
  own(addRunOptions(command))
    .addOption(new Option('--size <n>', 'side of the pictures').choices(['64', '128', '256']).default('128'))
    .option('--channels <n>', 'width: channels of the first layers, 32 as starter-256', wholeNumber(4, 256), 32)
    .addOption(weightOption("the presets'"))
    .option('--vgg <file>', "VGG-19 (torchvision's file) as perceptual network of training and evaluation")
    .option('--portraits <folder>', 'people to animate across identities (default: first frames of other clips)')
    .option('--every <n>', 'evaluate on every n-th frame of a clip', wholeNumber(1), 5)
    .option('--limit <n>', 'evaluate on at most so many clips', wholeNumber(1));
  return addTrainingOptions(command, {
    samples: 'pairs',
    defaults: 'auto',
    learningRate: "default: the presets'",
  });
}

/** Reads names with commas between them. @param what one of them is, in words */
export function namesOf(known: readonly string[], what: string): (text: string) => string[] {
  return (text) => {
    const names = text.split(',').map((name) => name.trim());
    const unknown = names.find((name) => !known.includes(name));
    if (unknown !== undefined) {
      throw new InvalidArgumentError(`There is no ${what} '${unknown}'; ${what}s are ${known.join(', ')}.`);
    }
    return [...new Set(names)];
  };
}

/** @throws UsageError for options that cannot be, before anything is begun */
export function checkContest(options: ContestCommandOptions, what: string): void {
  const { data, depth, vgg, portraits, steps, resume, output } = options;
  checkFiles([data, depth === 'untrained' ? undefined : depth, vgg, portraits]);
  if (steps === undefined) throw new UsageError('--steps N is needed: the budget of every model');
  if (!resume && holdsRuns(output)) {
    throw new UsageError(`${output} holds ${what}: go on with it (--resume) or name another folder`);
  }
}

function holdsRuns(output: string): boolean {
  try {
    return readdirSync(join(output, 'runs')).length > 0;
  } catch {
    return false;
  }
}

/** What measures in a contest. */
export const contestInstruments = ({ vgg }: ContestCommandOptions, { place, reporter }: TrainingSession) =>
  Instruments.load({ vgg, device: place.device, onNotice: (text) => reporter.notice(text) });

/** What the command line says of a contest. */
export function contestOf(options: ContestCommandOptions, session: TrainingSession, instruments: Instruments) {
  const { place, reporter } = session;
  const { data, channels, vgg, portraits, every, limit, seed = 0, learningRate, clipNorm, batchSize = 8 } = options;
  const { device } = place;
  const depth: DepthFiles | null =
    options.depth === undefined || options.depth === 'untrained' ? null : { depth: options.depth };
  const perceptual = vgg === undefined ? perceptualNetwork() : perceptualNetwork('vgg19', { file: vgg });
  perceptual.to({ device, memoryFormat: 'channels_last' });
  const contest: ContestOptions = {
    ...{ place, depth, perceptual },
    runOf: (folder) => runOptions({ ...session, options: { ...options, output: folder, resume: true } }),
    evaluation: {
      ...{ data, instruments, portraits, every, limit, seed, program: `dagan ${VERSION}` },
      onProgress: evaluationProgress(reporter),
    },
  };
  const plan = {
    ...{ channels, batchSize, learningRate, clipNorm, size: Number(options.size), steps: options.steps! },
    weights: options.weight,
    precision: choosePrecision(options.precision ?? 'auto', device),
    depth: depth ? startingDepth(depth).config : undefined,
  };
  return { contest, plan, seed };
}
