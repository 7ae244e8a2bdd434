// `dagan evaluate`: how good models are, by the paper's measures, in figures and pictures.
import { existsSync } from 'node:fs';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { distributed } from '@dagan/libtorch';
import { Command, Option } from 'commander';
import { LibtorchEngine } from '../animation/engines/libtorch.js';
import { INNER_MOUTHS, type InnerMouthChoice } from '../animation/inner-mouth.js';
import { type Contestant, modelContestant } from '../evaluation/contestants.js';
import { evaluate } from '../evaluation/evaluate.js';
import { Instruments } from '../evaluation/instruments.js';
import type { Protocol } from '../evaluation/measures.js';
import { expressionTable, summaryTable } from '../evaluation/summary.js';
import { weightsHash } from '../models/files/model-file.js';
import { type KeypointSource, withKeypointsOf } from '../pipelines/choose-keypoints.js';
import { applyThreads, chooseDevice, chooseModel, choosePrecision, NETWORK_SIZE } from '../pipelines/choose-model.js';
import { Teller } from '../pipelines/events.js';
import { FaceFinder } from '../pipelines/find-faces.js';
import { stopRequest } from '../training/ranks/launch-ranks.js';
import { VERSION } from '../version.js';
import { textOf, UsageError, UserError } from './errors.js';
import { evaluationProgress } from './evaluation-progress.js';
import {
  addCommonOptions,
  addComputeOptions,
  addDepthFileOptions,
  type CommonOptions,
  keypointsOption,
  type ModelOptions,
  wholeNumber,
} from './options.js';
import { launchOwnRanks, ownDevice } from './own-ranks.js';
import { Reporter } from './report.js';

type EvaluateCommandOptions = CommonOptions &
  Omit<ModelOptions, 'checkpoint'> & {
    checkpoint?: string[];
    data: string;
    protocol: Protocol;
    pairs?: string;
    portraits?: string;
    sources?: number;
    size: number;
    every: number;
    limit?: number;
    seed: number;
    motion?: 'absolute' | 'relative';
    adaptScale?: boolean;
    keypoints: KeypointSource;
    innerMouth: InnerMouthChoice;
    output: string;
    paperCompatible?: boolean;
    identityNetwork?: string;
    vgg?: string;
    nproc?: number;
  };

/** How long a rank that is done waits for the others: as long as the work may take. */
const PATIENCE_SECONDS = 7 * 24 * 3600;

const EXAMPLES = `
self: the first frame of every clip is animated by the clip and compared with it, frame by frame (the frame that is the
source is not scored). cross: every clip animates another person, and likeness, pose and expression are judged. Copying the
source is always measured beside the models. What is measured, and by which networks: docs/evaluation.md.

The folder gets evaluation.json, report.html (one file, to be opened in a browser), rows/ (figures of every frame) and worst/
(pictures). Run again with the same folder, it measures only what is missing: after an interruption, or for one more model.

Examples:
  dagan evaluate --data clips/ --checkpoint model.safetensors -o results/
  dagan evaluate --data clips/ --checkpoint ours.safetensors --checkpoint fomm.safetensors -o results/ --every 5
  dagan evaluate --data clips/ --protocol cross --portraits portraits/ --checkpoint model.safetensors -o cross/
  dagan evaluate --data vox/ --pairs vox_evaluation.csv --paper-compatible --checkpoint vox-adv.pth.tar \\
      --depth-encoder encoder.pth --depth-decoder depth.pth -o vox-results/ --nproc 4`;

export function evaluateCommand(): Command {
  const command = new Command('evaluate')
    .description('measure models on clips: the same person, or across identities')
    .requiredOption('--data <folder>', 'clips to evaluate on (its test/ if it has one); the root of a list of pairs')
    .option(
      '--checkpoint <file>',
      'model, as for animate; repeat it to compare several (default: the one in weights/)',
      (file: string, before: string[] = []) => [...before, file],
    )
    .addOption(
      new Option('--protocol <kind>', 'self: the same person; cross: other people')
        .choices(['self', 'cross'])
        .default('self'),
    )
    .option('--pairs <file>', 'list of pairs in one of the published layouts (csv), instead of all clips')
    .option('--portraits <folder>', 'cross: pictures of the people to animate (default: first frames of other clips)')
    .option('--sources <n>', 'cross: people for each driving clip (default: 1)', wholeNumber(1))
    .option('--size <n>', 'side of the frames in pixels, that of the models', wholeNumber(16, 4096), NETWORK_SIZE)
    .option('--every <n>', 'score every n-th frame of a clip', wholeNumber(1), 1)
    .option('--limit <n>', 'at most so many clips or pairs, drawn by the seed', wholeNumber(1))
    .option('--seed <n>', 'of what is drawn', wholeNumber(0), 0)
    .addOption(
      new Option('--motion <kind>', 'default: absolute for self, relative for cross').choices(['absolute', 'relative']),
    )
    .option('--adapt-scale', 'scale relative movement by the sizes of the two faces')
    .addOption(keypointsOption())
    .addOption(
      new Option(
        '--inner-mouth <source>',
        'measure frames as the networks paint them, or with the inside of mouths that animate puts in: drawn; cross also auto',
      )
        .choices(INNER_MOUTHS)
        .default('painted'),
    )
    .option('-o, --output <folder>', 'folder for the results', 'evaluation')
    .option('--paper-compatible', "measure with the published scripts' quirks too")
    .option('--identity-network <file>', 'ArcFace network (ONNX) for CSIM and AED (default: faceres)')
    .option('--vgg <file>', "VGG-19 (torchvision's file) for the perceptual distance (default: Inception v3)")
    .option('--nproc <n>', 'start so many processes on this machine', wholeNumber(1, 1024));
  addDepthFileOptions(command);
  addComputeOptions(command);
  return addCommonOptions(command).addHelpText('after', EXAMPLES).action(runEvaluate);
}

async function runEvaluate(options: EvaluateCommandOptions): Promise<void> {
  check(options);
  if ((options.nproc ?? 1) > 1 && !process.env.RANK)
    return launchOwnRanks({ nproc: options.nproc!, threads: options.threads });
  // Figures are kept case by case, so a rank can stop wherever it is.
  stopRequest()?.addEventListener('abort', () => process.exit(130));
  applyThreads(options);
  const several = Number(process.env.WORLD_SIZE ?? 1) > 1;
  const wanted = several && options.device === 'auto' ? ownDevice() : options.device;
  const device = chooseDevice(wanted);
  using group = several ? distributed.initFromEnvironment({ backend: 'gloo', timeoutSeconds: PATIENCE_SECONDS }) : null;
  const reporter = new Reporter({ ...options, quiet: options.quiet || (group?.rank ?? 0) > 0 });
  await using faces = new FaceFinder(new Teller());
  const contestants = await modelsOf(options, device, { reporter, faces });
  try {
    await using instruments = await Instruments.load({
      identityNetwork: options.identityNetwork,
      vgg: options.vgg,
      device,
      onNotice: (text) => reporter.notice(text),
    });
    const { data, protocol, pairs, portraits, sources, size, every, limit, seed } = options;
    const { motion, adaptScale, output, paperCompatible } = options;
    const result = await evaluate({
      ...{ data, protocol, pairs, portraits, sources, size, every, limit, seed },
      ...{ motion, adaptScale, output, paperCompatible },
      ...{ contestants, instruments, group, program: `dagan ${VERSION}`, onProgress: evaluationProgress(reporter) },
    });
    if (result)
      reporter.result(`${summaryTable(result)}\n\n${expressionTable(result)}\n${join(output, 'report.html')}`);
  } catch (error) {
    throw error instanceof RangeError ? new UserError(textOf(error)) : error;
  } finally {
    for (const contestant of contestants) contestant.dispose();
  }
}

function check(options: EvaluateCommandOptions): void {
  const { checkpoint = [], protocol, pairs, portraits, sources, depthEncoder, depthDecoder } = options;
  const files = [options.data, pairs, portraits, options.identityNetwork, options.vgg];
  for (const file of files) {
    if (file !== undefined && !existsSync(file)) throw new UserError(`${file}: no such file or folder`);
  }
  if (protocol === 'self' && (portraits !== undefined || sources !== undefined)) {
    throw new UsageError('--portraits and --sources go with --protocol cross');
  }
  if (protocol === 'self' && options.innerMouth === 'auto') {
    throw new UsageError(
      '--inner-mouth auto goes with --protocol cross: of the same person it would show the true result',
    );
  }
  if (pairs !== undefined && (portraits !== undefined || sources !== undefined)) {
    throw new UsageError('--pairs names the sources; leave --portraits and --sources out');
  }
  if (checkpoint.length > 1 && (depthEncoder !== undefined || depthDecoder !== undefined)) {
    throw new UsageError(
      '--depth-encoder and --depth-decoder belong to one checkpoint: make one file of each model first (dagan import)',
    );
  }
}

/** The models as contestants, under names that tell them apart. @param faces gives what finds the keypoints of the mesh */
async function modelsOf(
  options: EvaluateCommandOptions,
  device: string,
  { reporter, faces }: { reporter: Reporter; faces: FaceFinder },
): Promise<Contestant[]> {
  const { checkpoint = [], depthEncoder, depthDecoder, size, keypoints, innerMouth } = options;
  const precision = choosePrecision(options.precision, device);
  const files = checkpoint.length > 0 ? checkpoint : [undefined];
  const contestants: Contestant[] = [];
  for (const [at, file] of files.entries()) {
    const { model, metadata, trained } = chooseModel({ checkpoint: file, depthEncoder, depthDecoder }, reporter.tell);
    const hash = weightsHash(model.stateDict());
    const facts = {
      model: metadata.name ?? (trained ? basename(file ?? 'default') : 'untrained'),
      ...(file !== undefined && { file: basename(file) }),
      ...(metadata.training_steps !== undefined && { steps: metadata.training_steps }),
      weights: `sha256 ${hash}`,
      ...(innerMouth !== 'painted' && { mouths: innerMouth }),
    };
    let own: LibtorchEngine;
    try {
      own = new LibtorchEngine(model, { size, precision, device });
    } catch (error) {
      throw error instanceof RangeError
        ? new UsageError(`${file ?? 'the default model'}: ${error.message} (--size)`)
        : error;
    }
    const engine = await withKeypointsOf(keypoints, own, () => faces.analyzer());
    const name = file === undefined ? (trained ? 'default' : 'untrained') : shortName(checkpoint, at);
    const changes = [...(engine === own ? [] : ['mesh']), ...(innerMouth === 'painted' ? [] : [`mouth ${innerMouth}`])];
    const identity = [hash, precision, device.split(':')[0], ...changes].join(' ');
    contestants.push(modelContestant(engine, { name, identity, facts, innerMouth }));
  }
  return contestants;
}

/** A checkpoint's name without its ending, or where others are called so too, with its folder's. */
function shortName(files: readonly string[], at: number): string {
  const stem = (path: string): string => basename(path, extname(path));
  const own = stem(files[at]!);
  const alike = files.filter((path) => stem(path) === own);
  if (alike.length === 1 && own !== 'copy') return own;
  const long = `${basename(dirname(resolve(files[at]!)))}/${own}`;
  const twice = alike.filter((path) => `${basename(dirname(resolve(path)))}/${own}` === long).length > 1;
  return twice ? `${long} (${at + 1})` : long;
}
