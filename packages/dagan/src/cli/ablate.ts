// `dagan ablate`: the paper's Table 4, on a budget of one's own.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { ablate } from '../evaluation/ablation.js';
import { ablationTable } from '../evaluation/ablation-report.js';
import { ABLATION_ROWS } from '../evaluation/ablation-rows.js';
import { Instruments } from '../evaluation/instruments.js';
import type { ObjectiveWeights } from '../losses/objective.js';
import { perceptualNetwork } from '../models/perceptual/perceptual-network.js';
import { choosePrecision } from '../pipelines/choose-model.js';
import { type DepthFiles, startingDepth } from '../training/animation/start-weights.js';
import { datasetPairs } from '../training/batches/dataset-batches.js';
import { VERSION } from '../version.js';
import { UsageError } from './errors.js';
import { evaluationProgress } from './evaluation-progress.js';
import { checkFiles, wholeNumber } from './options.js';
import { addRunOptions, addTrainingOptions, type TrainingOptions, weightOption } from './training-options.js';
import {
  datasetOptions,
  runOptions,
  runSession,
  type SessionResult,
  type TrainingSession,
} from './training-session.js';

type AblateOptions = TrainingOptions & {
  size: '64' | '128' | '256';
  channels: number;
  depth: string;
  weight: Partial<ObjectiveWeights>;
  rows?: string[];
  vgg?: string;
  portraits?: string;
  every: number;
  limit?: number;
  evaluationPairs: number;
};

const NAMES = ABLATION_ROWS.map(({ preset }) => preset);

const EXAMPLES = `
Trains the eight models of the paper's Table 4 (${NAMES.join(', ')})
one after the other with the same steps, sizes and widths, evaluates each on test/ (same person, and across identities),
and writes ablation.md, ablation.html, ablation.json and a report of each protocol. Ctrl-C saves before it ends; --resume
goes on. At small sizes and few steps the order of rows may differ from the paper's.

Examples:
  dagan ablate --data clips/ --depth depth.safetensors --steps 20000 --size 128 -o ablation/
  dagan ablate --data clips/ --depth untrained --steps 20 --size 64 --channels 8 --limit 2 --every 25 -o try/`;

export function ablateCommand(): Command {
  const command = addRunOptions(new Command('ablate').description("train and evaluate the rows of the paper's Table 4"))
    .requiredOption('--depth <file>', 'trained face-depth network; "untrained" goes without (to try things)')
    .addOption(new Option('--size <n>', 'side of the pictures').choices(['64', '128', '256']).default('128'))
    .option('--channels <n>', 'width: channels of the first layers, 32 as starter-256', wholeNumber(4, 256), 32)
    .option('--rows <names>', 'some of the rows, with commas', rowNames)
    .addOption(weightOption("the presets'"))
    .option('--vgg <file>', "VGG-19 (torchvision's file) as perceptual network of training and evaluation")
    .option('--portraits <folder>', 'people to animate across identities (default: first frames of other clips)')
    .option('--every <n>', 'evaluate on every n-th frame of a clip', wholeNumber(1), 5)
    .option('--limit <n>', 'evaluate on at most so many clips', wholeNumber(1));
  return addTrainingOptions(command, {
    samples: 'pairs',
    defaults: 'auto',
    learningRate: "default: the presets', 2e-4",
  })
    .addHelpText('after', EXAMPLES)
    .action((options: AblateOptions) => {
      const { data, depth, vgg, portraits } = options;
      checkFiles([data, depth === 'untrained' ? undefined : depth, vgg, portraits]);
      if (options.steps === undefined) throw new UsageError('--steps N is needed: the budget of every row');
      if (!options.resume && holdsRuns(options.output)) {
        throw new UsageError(`${options.output} holds an ablation: go on with it (--resume) or name another folder`);
      }
      return runSession('animation', options, (session) => runAblate(options, session));
    });
}

function rowNames(text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !(NAMES as string[]).includes(name));
  if (unknown === undefined) return names;
  throw new InvalidArgumentError(`There is no row '${unknown}'; rows are ${NAMES.join(', ')}.`);
}

function holdsRuns(output: string): boolean {
  try {
    return readdirSync(join(output, 'runs')).length > 0;
  } catch {
    return false;
  }
}

async function runAblate(options: AblateOptions, session: TrainingSession): Promise<SessionResult> {
  const { place, reporter, speaks } = session;
  const { output, channels, vgg, portraits, every, limit, seed = 0, learningRate, clipNorm, batchSize = 8 } = options;
  const { device } = place;
  const depth: DepthFiles | null = options.depth === 'untrained' ? null : { depth: options.depth };
  const perceptual = vgg === undefined ? perceptualNetwork() : perceptualNetwork('vgg19', { file: vgg });
  perceptual.to({ device, memoryFormat: 'channels_last' });
  await using instruments = await Instruments.load({ vgg, device, onNotice: (text) => reporter.notice(text) });
  const heldOutSamples = options.evaluationPairs;
  const { step, interrupted, result } = await ablate({
    ...{ output, place, depth, perceptual },
    rows: ABLATION_ROWS.filter(({ preset }) => options.rows?.includes(preset) ?? true),
    plan: {
      ...{ channels, batchSize, seed, learningRate, clipNorm, size: Number(options.size), steps: options.steps! },
      weights: options.weight,
      precision: choosePrecision(options.precision ?? 'auto', device),
      depth: depth ? startingDepth(depth).config : undefined,
    },
    pairs: await datasetPairs(options.data, datasetOptions(session, { seed, heldOutSamples })),
    runOf: (_row, folder) => runOptions({ ...session, options: { ...options, output: folder, resume: true } }),
    evaluation: {
      ...{ data: options.data, instruments, portraits, every, limit, seed, program: `dagan ${VERSION}` },
      onProgress: evaluationProgress(reporter),
    },
    onRow: ({ label }, number) => {
      if (speaks) reporter.notice(`row ${number}: ${label}`);
    },
  });
  if (result) reporter.result(ablationTable(result));
  return { outcome: { step, interrupted, best: null }, model: join(output, 'ablation.html') };
}
