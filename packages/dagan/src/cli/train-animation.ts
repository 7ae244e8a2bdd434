// `dagan train animation`: stage 2, from clips to a model that animates.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { distributed } from '@dagan/libtorch';
import { Command, InvalidArgumentError, Option } from 'commander';
import { OBJECTIVE_WEIGHTS, type ObjectiveTerm, type ObjectiveWeights } from '../losses/index.js';
import { type PerceptualNetworkName, perceptualNetwork } from '../models/perceptual/index.js';
import {
  type AnimationTrainingConfig,
  checkTrainingConfig,
  type DepthFiles,
  datasetPairs,
  launchRanks,
  loadDepthNetwork,
  NonFiniteLossError,
  RankError,
  runLog,
  savedConfig,
  startingModel,
  stopRequest,
  TRAINING_PRESETS,
  tensorBoard,
  trainAnimation,
  trainingPreset,
} from '../training/index.js';
import { UsageError, UserError } from './errors.js';
import { applyThreads, chooseDevice, choosePrecision } from './model.js';
import { addCommonOptions, type CommonOptions, wholeNumber } from './options.js';
import { VERSION } from './provenance.js';
import { Reporter } from './report.js';
import { trainingDisplay } from './training-display.js';

type TrainOptions = CommonOptions & {
  data: string;
  output: string;
  preset: string;
  resume?: boolean;
  steps?: number;
  batchSize?: number;
  accumulate?: number;
  learningRate?: number;
  clipNorm?: number;
  precision?: 'float32' | 'bfloat16' | 'auto';
  seed?: number;
  weight: Partial<ObjectiveWeights>;
  freeze?: string[];
  perceptual?: PerceptualNetworkName;
  vgg?: string;
  init?: string;
  depth?: string;
  depthEncoder?: string;
  depthDecoder?: string;
  heldOut: number;
  evaluationPairs: number;
  checkpointEvery: number;
  evaluateEvery: number;
  picturesEvery: number;
  keep: number;
  cache?: string;
  workers: number;
  device: string;
  threads?: number;
  nproc?: number;
  timeout: number;
};

/** The learning rate that refines a trained model; a rate for random weights ruins it in ten steps. */
const REFINING_RATE = 2e-5;

/** Exit code of a run that Ctrl-C has ended. */
const STOPPED = 130;

/** Milliseconds between two lines about the clips that are being made ready. */
const PREPARING_INTERVAL = 10_000;

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
  const positive = (text: string): number => {
    const value = Number(text);
    if (!(value > 0 && Number.isFinite(value))) throw new InvalidArgumentError('It must be a positive number.');
    return value;
  };
  const command = new Command('animation')
    .description('stage 2: train generator and keypoint detector (the face-depth network stays as it is)')
    .requiredOption('--data <folder>', 'the clips to learn from')
    .requiredOption('-o, --output <folder>', "the run's folder")
    .addOption(
      new Option('--preset <name>', 'which training').choices(Object.keys(TRAINING_PRESETS)).default('starter-256'),
    )
    .option('--resume', 'go on from the newest checkpoint, if there is one; options given again replace what it says')
    .option('--init <file>', 'refine this model: a file of ours, a checkpoint of a training, or published weights')
    .option('--depth <file>', 'trained face-depth network; "untrained" goes without (to try things)')
    .option('--depth-encoder <file>', 'encoder of the face-depth network, where it is a file of its own (as published)')
    .option('--depth-decoder <file>', 'decoder of the face-depth network, likewise')
    .addOption(
      new Option(
        '--perceptual <network>',
        'network that compares pictures: "default" comes from an npm package, "vgg19" (the paper\'s) from --vgg',
      ).choices(['default', 'vgg19']),
    )
    .option('--vgg <file>', "weights of VGG-19 (torchvision's file)")
    .option('--steps <n>', 'steps of the whole run', wholeNumber(1))
    .option('--batch-size <n>', 'pairs per step, over all ranks and parts', wholeNumber(1))
    .option('--accumulate <n>', 'parts to cut the batch into, to need less memory', wholeNumber(1))
    .option('--learning-rate <rate>', `default: the preset's; ${REFINING_RATE} with --init`, positive)
    .option('--clip-norm <norm>', 'largest norm of the gradients', positive)
    .option(
      '--weight <name=value>',
      `weight of a loss: ${Object.keys(OBJECTIVE_WEIGHTS).join(', ')}; repeatable`,
      addWeight,
      {},
    )
    .option(
      '--freeze <part...>',
      'parts that do not learn, such as keypoint_detector or generator.dense_motion_network',
    )
    .addOption(
      new Option('--precision <kind>', "arithmetic (default: the preset's)").choices(['float32', 'bfloat16', 'auto']),
    )
    .option('--seed <n>', 'of all random numbers', wholeNumber(0))
    .option(
      '--held-out <share>',
      'share of the identities to evaluate on, if there is no test/ folder; 0 for none',
      share,
      0.1,
    )
    .option('--evaluation-pairs <n>', 'pairs to evaluate on', wholeNumber(1), 64)
    .option('--evaluate-every <steps>', 'steps between evaluations; 0 for none', wholeNumber(0), 1000)
    .option('--pictures-every <steps>', 'steps between pictures in TensorBoard; 0 for none', wholeNumber(0), 500)
    .option('--checkpoint-every <steps>', 'steps between checkpoints', wholeNumber(1), 500)
    .option('--keep <n>', 'newest checkpoints that stay; the best stays too', wholeNumber(1), 3)
    .option('--cache <folder>', 'where decoded frames are kept (default: .dagan-frames below the data)')
    .option('--workers <n>', 'threads that load frames ahead of time', wholeNumber(1, 256), 1)
    .option('--device <name>', 'cpu, cuda, cuda:1, ...; auto takes the first GPU, in a rank its own', 'auto')
    .option('--threads <n>', 'threads of the processor to use, per rank', wholeNumber(1, 1024))
    .option('--nproc <n>', 'start so many ranks on this machine', wholeNumber(1, 1024))
    .option('--timeout <seconds>', 'how long ranks wait for one another', positive, 600);
  return addCommonOptions(command).addHelpText('after', EXAMPLES).action(runTrainAnimation);
}

function share(text: string): number {
  const value = Number(text);
  if (!(text.trim() !== '' && value >= 0 && value < 1)) throw new InvalidArgumentError('It must be from 0 to below 1.');
  return value;
}

function addWeight(text: string, weights: Partial<ObjectiveWeights>): Partial<ObjectiveWeights> {
  const [, name, value] = /^(\w+)=(\d+(?:\.\d+)?)$/.exec(text) ?? [];
  if (name === undefined || !(name in OBJECTIVE_WEIGHTS)) {
    throw new InvalidArgumentError(`It must be name=number; names are ${Object.keys(OBJECTIVE_WEIGHTS).join(', ')}.`);
  }
  return { ...weights, [name as ObjectiveTerm]: Number(value) };
}

async function runTrainAnimation(options: TrainOptions): Promise<void> {
  if ((options.nproc ?? 1) > 1 && !process.env.RANK) return launch(options);
  checkFiles(options);
  applyThreads(options);
  const stop = stopRequest() ?? interruption();
  const reporter = new Reporter(options);
  const localRank = Number(process.env.LOCAL_RANK ?? 0);
  const several = Number(process.env.WORLD_SIZE ?? 1) > 1;
  const device = chooseDevice(several && options.device === 'auto' ? ownDevice(localRank) : options.device);
  using group = several
    ? distributed.initFromEnvironment({ backend: device === 'cpu' ? 'gloo' : 'nccl', timeoutSeconds: options.timeout })
    : null;

  const saved = options.resume ? savedConfig(options.output) : null;
  const model = options.init !== undefined && !saved ? startingModel({ ...options, checkpoint: options.init }) : null;
  const config = configure(options, device, saved, model?.config);
  asUsage(() => checkTrainingConfig(config, group?.worldSize));
  const perceptual = perceptualOf(options, config);
  perceptual?.to({ device, memoryFormat: 'channels_last' });
  const depth = saved ? null : depthFiles(options, config);

  const speaks = (group?.rank ?? 0) === 0;
  const data = await datasetPairs(options.data, {
    seed: config.seed,
    heldOut: options.evaluateEvery === 0 ? 0 : options.heldOut,
    heldOutPairs: options.evaluationPairs,
    workers: options.workers,
    cacheFolder: options.cache,
    onProgress: speaks ? preparing(reporter) : undefined,
    signal: stop,
    onWarning: speaks ? (text) => reporter.warn(text) : undefined,
  });
  const { checkpointEvery: checkpoint, evaluateEvery: evaluation, picturesEvery: pictures, output } = options;
  try {
    const outcome = await trainAnimation({
      ...{ config, data, perceptual, folder: output, keep: options.keep, resume: options.resume, signal: stop },
      place: { device, group },
      every: { checkpoint, evaluation, pictures },
      start: (state) => {
        model?.load(state);
        if (depth) loadDepthNetwork(state, depth);
      },
      observers: (step) => [
        trainingDisplay({ quiet: options.quiet }),
        runLog(join(output, 'log.jsonl'), step),
        tensorBoard(output, step),
      ],
      metadata: { trained_by: `dagan ${VERSION}` },
    });
    if (outcome.interrupted) {
      if (!process.connected) process.exitCode = STOPPED;
      if (speaks) reporter.notice(`stopped after step ${outcome.step}; --resume goes on from there`);
    } else if (speaks) reporter.result(join(output, 'model.safetensors'));
  } catch (error) {
    if (stop.aborted && (error as Error).name === 'AbortError') {
      process.exitCode = STOPPED;
      return reporter.notice('stopped before the first step');
    }
    if (!(error instanceof NonFiniteLossError)) throw error;
    throw new UserError(
      `${error.message}. ${join(output, 'checkpoints')} holds the state before it: resume with a lower --learning-rate, ` +
        `a --clip-norm, or --precision float32`,
    );
  }
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
async function launch(options: TrainOptions): Promise<void> {
  const stop = interruption();
  try {
    await launchRanks({
      count: options.nproc!,
      script: process.argv[1]!,
      arguments: process.argv.slice(2),
      threads: options.threads,
      signal: stop,
    });
    if (stop.aborted) process.exitCode = STOPPED;
  } catch (error) {
    throw error instanceof RankError ? new UserError(`${error.message}; the other ranks have been ended`) : error;
  }
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

const ownDevice = (localRank: number): string => (chooseDevice('auto') === 'cpu' ? 'cpu' : `cuda:${localRank}`);

/** The saved configuration or the preset's, with what the command line says in its place. */
function configure(
  options: TrainOptions,
  device: string,
  saved: AnimationTrainingConfig | null,
  model?: AnimationTrainingConfig['model'],
): AnimationTrainingConfig {
  const base = saved ?? trainingPreset(options.preset);
  const refined = model ? { ...base, model, learningRate: REFINING_RATE } : base;
  const { steps, batchSize, accumulate, learningRate, clipNorm, freeze, seed, precision } = options;
  const wanted = { steps, batchSize, accumulate, learningRate, clipNorm, freeze, seed };
  const given = Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined));
  return {
    ...refined,
    ...given,
    weights: { ...refined.weights, ...options.weight },
    precision: precision ? choosePrecision(precision, device) : refined.precision,
  };
}

function checkFiles({ data, init, depth, depthEncoder, depthDecoder, vgg }: TrainOptions): void {
  const files = [data, init, depth === 'untrained' ? undefined : depth, depthEncoder, depthDecoder, vgg];
  for (const file of files)
    if (file !== undefined && !existsSync(file)) throw new UserError(`${file}: no such file or folder`);
  if ((depthEncoder === undefined) !== (depthDecoder === undefined)) {
    throw new UsageError('--depth-encoder and --depth-decoder go together');
  }
}

function perceptualOf({ perceptual, vgg }: TrainOptions, { weights }: AnimationTrainingConfig) {
  if (weights.perceptual === 0) return null;
  if (perceptual === 'default' && vgg !== undefined) throw new UsageError('--vgg goes with --perceptual vgg19');
  if (perceptual === 'vgg19' && vgg === undefined) {
    throw new UsageError("--perceptual vgg19 needs --vgg FILE, torchvision's weights of VGG-19");
  }
  return perceptualNetwork(vgg === undefined ? 'default' : 'vgg19', { file: vgg });
}

/** Where the depth network comes from; null where it is in the model, not needed, or not wanted. */
function depthFiles(options: TrainOptions, { model, name }: AnimationTrainingConfig): DepthFiles | null {
  const { depth, depthEncoder, depthDecoder, init } = options;
  if (depth !== undefined && depth !== 'untrained') return { depth };
  if (depthEncoder !== undefined && depthDecoder !== undefined && init === undefined)
    return { depthEncoder, depthDecoder };
  if (depth === 'untrained' || init !== undefined || model.depth === null) return null;
  throw new UsageError(
    `${name} is guided by face depth: --depth FILE, a trained face-depth network, or --depth-encoder and --depth-decoder ` +
      '(or --depth untrained, to try things)',
  );
}

/** What the configuration refuses came from the command line. */
function asUsage(check: () => void): void {
  try {
    check();
  } catch (error) {
    throw error instanceof RangeError ? new UsageError(error.message) : error;
  }
}
