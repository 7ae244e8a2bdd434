// Options that both training commands take.
import { type Command, InvalidArgumentError, Option } from 'commander';
import { OBJECTIVE_WEIGHTS, type ObjectiveWeights } from '../losses/objective.js';
import { addCommonOptions, type CommonOptions, wholeNumber } from './options.js';

export type TrainingOptions = CommonOptions & {
  data: string;
  output: string;
  resume?: boolean;
  steps?: number;
  batchSize?: number;
  learningRate?: number;
  clipNorm?: number;
  precision?: 'float32' | 'bfloat16' | 'auto';
  seed?: number;
  heldOut: number;
  checkpointEvery: number;
  evaluateEvery: number;
  picturesEvery: number;
  keep: number;
  cache?: string;
  acceptChangedData?: boolean;
  workers: number;
  device: string;
  threads?: number;
  nproc?: number;
  timeout: number;
};

/** What differs between the stages in the options' descriptions. */
export type TrainingWords = {
  /** What a batch is made of: "pairs". */
  samples: string;
  /** Where defaults come from: "the preset's". */
  defaults: string;
  /** Of the learning rate. */
  learningRate: string;
};

/** Reads a positive number. */
export function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) throw new InvalidArgumentError('It must be a positive number.');
  return value;
}

/** Reads a number from 0 on. */
export function notNegative(text: string): number {
  const value = Number(text);
  if (!(text.trim() !== '' && value >= 0 && Number.isFinite(value))) {
    throw new InvalidArgumentError('It must be a number from 0 on.');
  }
  return value;
}

function share(text: string): number {
  const value = Number(text);
  if (!(text.trim() !== '' && value >= 0 && value < 1)) throw new InvalidArgumentError('It must be from 0 to below 1.');
  return value;
}

/** `--weight NAME=VALUE`, as often as wanted. */
export function weightOption(defaults: string): Option {
  const names = Object.keys(OBJECTIVE_WEIGHTS).join(', ');
  return new Option('--weight <name=value>', `weight of a loss: ${names}; repeatable`)
    .default({}, defaults)
    .argParser((text: string, weights: Partial<ObjectiveWeights>): Partial<ObjectiveWeights> => {
      const [, name, value] = /^(\w+)=(\d+(?:\.\d+)?)$/.exec(text) ?? [];
      if (name !== undefined && name in OBJECTIVE_WEIGHTS) return { ...weights, [name]: Number(value) };
      throw new InvalidArgumentError(`It must be name=number; names are ${names}.`);
    });
}

/** What is trained on and where it goes: the first options of a command. */
export function addRunOptions(command: Command): Command {
  return command
    .requiredOption('--data <folder>', 'the clips to learn from')
    .requiredOption('-o, --output <folder>', "the run's folder")
    .option('--resume', 'go on from the newest checkpoint, if there is one; options given again replace what it says');
}

/** How long, how fast, on what: the last options of a command. */
export function addTrainingOptions(command: Command, words: TrainingWords): Command {
  command
    .option('--steps <n>', 'steps of the whole run', wholeNumber(1))
    .option('--batch-size <n>', `${words.samples} per step, over all ranks`, wholeNumber(1))
    .option('--learning-rate <rate>', words.learningRate, positive)
    .option('--clip-norm <norm>', 'largest norm of the gradients', positive)
    .addOption(
      new Option('--precision <kind>', `arithmetic (default: ${words.defaults})`).choices([
        'float32',
        'bfloat16',
        'auto',
      ]),
    )
    .option('--seed <n>', 'of all random numbers', wholeNumber(0))
    .option(
      '--held-out <share>',
      'share of the identities to evaluate on, if there is no test/ folder; 0 for none',
      share,
      0.1,
    )
    .option(`--evaluation-${words.samples} <n>`, `${words.samples} to evaluate on`, wholeNumber(1), 64)
    .option('--evaluate-every <steps>', 'steps between evaluations; 0 for none', wholeNumber(0), 1000)
    .option('--pictures-every <steps>', 'steps between pictures; 0 for none', wholeNumber(0), 500)
    .option('--checkpoint-every <steps>', 'steps between checkpoints', wholeNumber(1), 500)
    .option('--keep <n>', 'newest checkpoints that stay; the best stays too', wholeNumber(1), 3)
    .option('--cache <folder>', 'where decoded frames are kept (default: .dagan-frames below the data)')
    .option('--accept-changed-data', 'go on although clips have been added, removed or changed')
    .option('--workers <n>', 'threads that load frames ahead of time', wholeNumber(1, 256), 1)
    .option('--device <name>', 'cpu, cuda, cuda:1, ...; auto takes the first GPU, in a rank its own', 'auto')
    .option('--threads <n>', 'threads of the processor to use, per rank', wholeNumber(1, 1024))
    .option('--nproc <n>', 'start so many ranks on this machine', wholeNumber(1, 1024))
    .option('--timeout <seconds>', 'how long ranks wait for one another', positive, 600);
  return addCommonOptions(command);
}

/** The values of those options that were given, to be put in the place of a configuration's. */
export function given<Value extends object>(
  values: Value,
): { [Name in keyof Value]?: Exclude<Value[Name], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as ReturnType<
    typeof given<Value>
  >;
}
