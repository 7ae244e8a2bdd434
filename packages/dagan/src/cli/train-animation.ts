// `dagan train animation`: stage 2, from clips to a model that animates.
import { join } from 'node:path';
import { Command, Option } from 'commander';
import type { ObjectiveWeights } from '../losses/objective.js';
import type { SystemConfig } from '../models/animation-model.js';
import { systemOf } from '../models/files/systems.js';
import { type PerceptualNetworkName, perceptualNetwork } from '../models/perceptual/perceptual-network.js';
import { type AnimationTrainingConfig, needsFaceCues, needsPerceptualNetwork } from '../training/animation/config.js';
import { checkAnyTraining } from '../training/animation/objectives.js';
import { TRAINING_PRESETS } from '../training/animation/presets.js';
import {
  type DepthFiles,
  type StartingDepth,
  startingDepth,
  startingModel,
} from '../training/animation/start-weights.js';
import { isSystemTraining, type SystemTrainingConfig } from '../training/animation/system-config.js';
import { anyPreset, SYSTEM_PRESETS } from '../training/animation/system-presets.js';
import { trainAnimation } from '../training/animation/trainer.js';
import { datasetPairs } from '../training/batches/dataset-batches.js';
import { rankOf } from '../training/ranks/ranks.js';
import { savedConfig } from '../training/run/run-folder.js';
import { UsageError } from './errors.js';
import { addDepthFileOptions, checkFiles, wholeNumber } from './options.js';
import { addRunOptions, addTrainingOptions, given, type TrainingOptions, weightOption } from './training-options.js';
import {
  datasetOptions,
  givenPlan,
  runOptions,
  runSession,
  type SessionResult,
  type TrainingSession,
} from './training-session.js';

type AnimationOptions = TrainingOptions & {
  preset: string;
  accumulate?: number;
  evaluationPairs: number;
  weight: Partial<ObjectiveWeights>;
  freeze?: string[];
  perceptual?: PerceptualNetworkName;
  portraits?: string;
  vgg?: string;
  init?: string;
  depth?: string;
  depthEncoder?: string;
  depthDecoder?: string;
};

type AnyTraining = AnimationTrainingConfig | SystemTrainingConfig;

/** The learning rate that refines a trained model; a rate for random weights ruins it in ten steps. */
const REFINING_RATE = 2e-5;

const EXAMPLES = `
A data set is a folder of clips, or of folders with frames, in train/ and test/ (see docs/training.md). The run's folder gets
checkpoints/, model.safetensors (the averaged model, for \`dagan animate --checkpoint\`), best.safetensors, log.jsonl, and
event files for TensorBoard. Ctrl-C saves before it ends; --resume goes on exactly where the last checkpoint stands.

On several machines start one process per rank with RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT set, as
torchrun, Slurm and Kubernetes operators do; --nproc does it on this machine.

Examples:
  dagan train animation --data clips/ --depth depth.safetensors --preset starter-256 -o runs/starter
  dagan train animation --data clips/ -o runs/starter --preset starter-256 --resume
  dagan train animation --data clips/ -o runs/mine --init model.safetensors --freeze keypoint_detector
  dagan train animation --data clips/ -o runs/two --depth depth.safetensors --vgg vgg19.pth --nproc 2
  dagan train animation --data clips/ -o runs/try --preset debug --depth untrained --weight perceptual=0 --steps 20`;

export function trainAnimationCommand(): Command {
  const command = new Command('animation').description(
    'stage 2: train generator and keypoint detector (the face-depth network stays as it is)',
  );
  addRunOptions(command)
    .addOption(
      new Option('--preset <name>', 'which training')
        .choices([...Object.keys(TRAINING_PRESETS), ...Object.keys(SYSTEM_PRESETS)])
        .default('starter-256'),
    )
    .option('--init <file>', 'refine this model: a file of ours, a checkpoint of a training, or published weights')
    .option('--depth <file>', 'trained face-depth network; "untrained" goes without (to try things)');
  addDepthFileOptions(command)
    .addOption(
      new Option(
        '--perceptual <network>',
        'network that compares pictures: "default" comes from an npm package, "vgg19" (the paper\'s) from --vgg',
      ).choices(['default', 'vgg19']),
    )
    .option('--portraits <folder>', 'portraits that move, each time in another way, as half of the pairs')
    .option('--vgg <file>', "weights of VGG-19 (torchvision's file)")
    .addOption(weightOption("the preset's"))
    .option(
      '--freeze <part...>',
      'parts that do not learn, such as keypoint_detector or generator.dense_motion_network',
    )
    .option('--accumulate <n>', "parts to cut each rank's batch into, to need less memory", wholeNumber(1));
  return addTrainingOptions(command, {
    samples: 'pairs',
    defaults: "the preset's",
    learningRate: `default: the preset's; ${REFINING_RATE} with --init`,
  })
    .addHelpText('after', EXAMPLES)
    .action((options: AnimationOptions) => {
      checkFiles([
        options.data,
        options.portraits,
        options.init,
        options.depth === 'untrained' ? undefined : options.depth,
      ]);
      checkFiles([options.depthEncoder, options.depthDecoder, options.vgg]);
      return runSession('animation', options, (session) => runTrainAnimation(options, session));
    });
}

async function runTrainAnimation(options: AnimationOptions, session: TrainingSession): Promise<SessionResult> {
  const { place } = session;
  const { device } = place;
  const saved = options.resume ? savedConfig<AnyTraining>(options.output, 'animation') : null;
  const model = options.init !== undefined && !saved ? startingModel({ ...options, checkpoint: options.init }) : null;
  const wanted = configure(options, device, saved, model?.config);
  checkAnyTraining(wanted, rankOf(place).worldSize);
  const perceptual = perceptualOf(options, wanted);
  perceptual?.to({ device, memoryFormat: 'channels_last' });
  const depth = saved ? null : depthOf(options, wanted);
  const config = depth && !isSystemTraining(wanted) ? withDepth(wanted, depth) : wanted;
  const { seed, augmentation } = config;
  const what = {
    ...{ seed, augmentation, heldOutSamples: options.evaluationPairs },
    faceCues: options.portraits !== undefined || needsFaceCues(config),
    portraits: options.portraits === undefined ? undefined : { folder: options.portraits },
  };
  const outcome = await trainAnimation({
    ...runOptions(session),
    config,
    data: await datasetPairs(options.data, datasetOptions(session, what)),
    perceptual,
    start: (trainee) => {
      model?.load(trainee);
      depth?.load(trainee);
    },
  });
  return { outcome, model: join(options.output, 'model.safetensors') };
}

/** The saved configuration or the preset's, with what the command line says in its place. */
function configure(
  options: AnimationOptions,
  device: string,
  saved: AnyTraining | null,
  model?: SystemConfig,
): AnyTraining {
  const base = saved ?? anyPreset(options.preset);
  const { accumulate, freeze } = options;
  const refined = model ? refining(base, model) : base;
  return {
    ...refined,
    ...givenPlan(options, device),
    ...given({ accumulate, freeze }),
    weights: { ...refined.weights, ...options.weight },
  };
}

/** A training that refines a model. */
function refining(base: AnyTraining, model: SystemConfig): AnyTraining {
  const [own, other] = [systemOf(base.model).name, systemOf(model).name];
  if (own !== other) {
    throw new UsageError(`--init brings a model of the system ${other}, but ${base.name} trains ${own}`);
  }
  if (isSystemTraining(base)) return { ...base, model: model as SystemTrainingConfig['model'] };
  // A model whose keypoints have no names cannot be led by landmarks.
  const dagan = model as AnimationTrainingConfig['model'];
  const unled = { weights: { ...base.weights, landmark: 0 }, guided: 0 };
  const led = dagan.semanticKeypoints !== undefined;
  return { ...base, model: dagan, learningRate: REFINING_RATE, ...(led ? {} : unled) };
}

function withDepth(config: AnimationTrainingConfig, depth: StartingDepth): AnimationTrainingConfig {
  return { ...config, model: { ...config.model, depth: { ...config.model.depth, ...depth.config } } };
}

function perceptualOf({ perceptual, vgg }: AnimationOptions, { weights }: AnyTraining) {
  if (!needsPerceptualNetwork({ weights })) return null;
  if (perceptual === 'default' && vgg !== undefined) throw new UsageError('--vgg goes with --perceptual vgg19');
  if (perceptual === 'vgg19' && vgg === undefined) {
    throw new UsageError("--perceptual vgg19 needs --vgg FILE, torchvision's weights of VGG-19");
  }
  return perceptualNetwork(vgg === undefined ? 'default' : 'vgg19', { file: vgg, learning: true });
}

/** The depth network to take; null where it is in the model, not needed, or not wanted. */
function depthOf(options: AnimationOptions, config: AnyTraining): StartingDepth | null {
  const files = depthFiles(options, config);
  if (files && !usesDepth(config)) throw new UsageError(`${config.name} uses no face depth: leave its files out`);
  return files && startingDepth(files);
}

const usesDepth = (config: AnyTraining): boolean => !isSystemTraining(config) && config.model.depth !== null;

function depthFiles(options: AnimationOptions, config: AnyTraining): DepthFiles | null {
  const { depth, depthEncoder, depthDecoder, init } = options;
  if ((depthEncoder === undefined) !== (depthDecoder === undefined)) {
    throw new UsageError('--depth-encoder and --depth-decoder go together');
  }
  if (depth !== undefined && depth !== 'untrained') return { depth };
  if (depthEncoder !== undefined && depthDecoder !== undefined && init === undefined)
    return { depthEncoder, depthDecoder };
  if (depth === 'untrained' || init !== undefined || !usesDepth(config)) return null;
  throw new UsageError(
    `${config.name} is guided by face depth: --depth FILE, a trained face-depth network, or --depth-encoder and --depth-decoder ` +
      '(or --depth untrained, to try things)',
  );
}
