// `dagan train depth`: stage 1, from clips to a network that sees the depth of faces.
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { datasetTriplets, type Spacing } from '../training/batches/dataset-batches.js';
import {
  checkDepthTraining,
  type DepthRecipeName,
  type DepthTrainingConfig,
  depthTraining,
} from '../training/depth/config.js';
import { DEPTH_RECIPES, type DepthRecipe } from '../training/depth/recipe.js';
import { type DepthStart, depthStart } from '../training/depth/start-weights.js';
import { trainDepth } from '../training/depth/trainer.js';
import { rankOf } from '../training/ranks/ranks.js';
import { savedConfig } from '../training/run/run-folder.js';
import { UsageError } from './errors.js';
import { checkFiles, wholeNumber } from './options.js';
import {
  addRunOptions,
  addTrainingOptions,
  given,
  notNegative,
  positive,
  type TrainingOptions,
} from './training-options.js';
import {
  datasetOptions,
  givenPlan,
  runOptions,
  runSession,
  type SessionResult,
  type TrainingSession,
} from './training-session.js';

type DepthOptions = TrainingOptions & {
  recipe?: DepthRecipeName;
  init?: string[];
  size?: number;
  layers?: '18' | '50';
  width?: string;
  evaluationTargets: number;
  spacing?: Spacing;
  focal?: number;
  smoothness?: number;
  intrinsicsRate?: number;
  warmup?: number;
  intrinsicsWarmup?: number;
};

/** Widths that leave whole numbers of channels. */
const WIDTHS = ['1', '0.5', '0.25', '0.125', '0.0625'];

const EXAMPLES = `
A data set is a folder of clips, or of folders with frames, in train/ and test/ (see docs/training.md). The run's folder gets
depth.safetensors (depth and pose network, for \`dagan train animation --depth\`), best.safetensors, checkpoints/, pictures/,
log.jsonl, and event files for TensorBoard. Ctrl-C saves before it ends; --resume goes on exactly where the last checkpoint
stands. Ranks on several machines are started as for \`dagan train animation\`.

Examples:
  dagan train depth --data clips/ -o runs/depth
  dagan train depth --data clips/ -o runs/depth --resume
  dagan train depth --data clips/ -o runs/paper --recipe paper --width 1 --spacing 1
  dagan train depth --data clips/ -o runs/mine --init runs/depth/depth.safetensors --learning-rate 1e-5
  dagan train depth --data clips/ -o runs/mine --init encoder.pth depth.pth pose_encoder.pth pose.pth
  dagan train animation --data clips/ -o runs/starter --depth runs/depth/depth.safetensors`;

export function trainDepthCommand(): Command {
  const command = new Command('depth').description('stage 1: train the face-depth network, from videos alone');
  const plan = depthTraining('scratch');
  addRunOptions(command)
    .addOption(
      new Option(
        '--recipe <name>',
        'what is minimised (default: scratch; published with --init, which needs no warm-up)',
      ).choices(Object.keys(DEPTH_RECIPES)),
    )
    .option('--init <file...>', 'begin with earlier weights: depth.safetensors, a model, or published files')
    .option(
      '--size <pixels>',
      `side of the pictures, a multiple of 32 from 64 on (default: ${plan.size})`,
      wholeNumber(64, 4096),
    )
    .addOption(
      new Option('--layers <n>', `depth of the depth network's ResNet (default: ${plan.depth.layers})`).choices([
        '18',
        '50',
      ]),
    )
    .addOption(new Option('--width <factor>', `width of both networks (default: ${plan.depth.width})`).choices(WIDTHS))
    .option('--spacing <frames>', 'frames to the neighbours; auto: by the motion in each clip (default)', spacing)
    .option('--focal <ratio>', "focal length over the picture's width to begin with (default: 0.69)", positive)
    .option('--smoothness <weight>', "weight of the smoothness (default: the recipe's)", notNegative)
    .option('--intrinsics-rate <factor>', "learning rate of the intrinsics over the networks'", notNegative)
    .option('--warmup <steps>', 'first steps, in which all pixels of all frames count', wholeNumber(0))
    .option('--intrinsics-warmup <steps>', 'first steps, in which the intrinsics rest', wholeNumber(0));
  return addTrainingOptions(command, {
    samples: 'targets',
    defaults: plan.precision,
    learningRate: `default: ${plan.learningRate}`,
  })
    .addHelpText('after', EXAMPLES)
    .action((options: DepthOptions) => {
      checkFiles([options.data, ...(options.init ?? [])]);
      return runSession('depth', options, (session) => runTrainDepth(options, session));
    });
}

function spacing(text: string): Spacing {
  if (text === 'auto') return text;
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('It must be auto or a positive whole number.');
}

async function runTrainDepth(options: DepthOptions, session: TrainingSession): Promise<SessionResult> {
  const { place } = session;
  const saved = options.resume ? savedConfig<DepthTrainingConfig>(options.output, 'depth') : null;
  const [first, ...rest] = options.init ?? [];
  const start = first !== undefined && !saved ? depthStart([first, ...rest]) : null;
  const config = configure(options, place.device, saved, start);
  checkDepthTraining(config, rankOf(place).worldSize);
  const { seed, spacing } = config;
  const heldOutSamples = options.evaluationTargets;
  const outcome = await trainDepth({
    ...runOptions(session),
    config,
    data: await datasetTriplets(options.data, { ...datasetOptions(session, { seed, heldOutSamples }), spacing }),
    start: (state) => start?.load(state, options.focal),
  });
  return { outcome, model: join(options.output, 'depth.safetensors') };
}

/** The saved configuration or the recipe's, with what the command line says in its place. */
function configure(
  options: DepthOptions,
  device: string,
  saved: DepthTrainingConfig | null,
  start: DepthStart | null,
): DepthTrainingConfig {
  const base = saved ?? depthTraining(options.recipe ?? (start ? 'published' : 'scratch'));
  const { size, spacing, focal, smoothness, intrinsicsRate, warmup, intrinsicsWarmup } = options;
  const recipe: DepthRecipe = options.recipe ? DEPTH_RECIPES[options.recipe] : base.recipe;
  return {
    ...base,
    ...networksOf(options, base, { fixed: saved !== null, start }),
    ...givenPlan(options, device),
    ...given({ size, spacing, focal }),
    name: options.recipe ?? base.name,
    recipe: { ...recipe, ...given({ smoothness, intrinsicsRate, warmup, intrinsicsWarmup }) },
  };
}

/** The networks: those of the weights that training starts or goes on with, else as the command line has them. */
function networksOf(
  options: DepthOptions,
  base: DepthTrainingConfig,
  { fixed, start }: { fixed: boolean; start: DepthStart | null },
): Pick<DepthTrainingConfig, 'depth' | 'pose'> {
  const depth = start?.depth ?? base.depth;
  const there = { layers: depth.layers, width: depth.width ?? 1 };
  const layers = options.layers === undefined ? there.layers : options.layers === '50' ? 50 : 18;
  const wanted = { layers, width: Number(options.width ?? there.width) } as const;
  if (!fixed && !start) return { depth: wanted, pose: { ...base.pose, width: wanted.width } };
  if (wanted.layers !== there.layers || wanted.width !== there.width) {
    const whose = fixed ? 'this run goes on with' : '--init brings';
    throw new UsageError(
      `${whose} a ResNet-${there.layers} of width ${there.width}: leave --layers and --width out, or begin anew`,
    );
  }
  return { depth, pose: start ? (start.pose ?? { layers: 18, width: there.width }) : base.pose };
}
