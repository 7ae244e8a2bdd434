// `dagan average`: one model that is the mean of several.
import { basename, extname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type nn, tidy } from '@dagan/libtorch';
import { CheckpointError, openCheckpoint } from '@dagan/libtorch/checkpoint';
import { Command, InvalidArgumentError } from 'commander';
import { weightsIn } from '../export/exported-folder.js';
import type { SystemConfig } from '../models/animation-model.js';
import { averageStates } from '../models/files/average.js';
import { type DepthFileConfig, loadDepthFile, saveDepthFile } from '../models/files/depth-file.js';
import { DEPTH_FORMAT, stageOf } from '../models/files/formats.js';
import { loadModel, type ModelMetadata, saveModel } from '../models/files/model-file.js';
import { systemOf } from '../models/files/systems.js';
import { isExportedModel } from '../pipelines/choose-model.js';
import { checkWritable, guardInputs } from '../pipelines/pairs.js';
import { joinSections } from '../training/loop/state-sections.js';
import { VERSION } from '../version.js';
import { UsageError, UserError } from './errors.js';
import { addCommonOptions, type CommonOptions, checkFiles } from './options.js';
import { Reporter } from './report.js';

type AverageOptions = CommonOptions & { output: string; shares?: number[]; name?: string };

/** The networks of a file. */
type Networks<Config> = { config: Config; state: nn.StateDict };

/** Networks that can be averaged with their like. */
type Kind<Config> = {
  holds: string;
  read(path: string): Networks<Config>;
  write(output: string, networks: Networks<Config>, metadata: ModelMetadata): void;
};

const MODEL: Kind<SystemConfig> = {
  holds: 'a model',
  read: (path) => {
    const { model } = loadModel({ checkpoint: path });
    return { config: model.config, state: model.stateDict() };
  },
  write: (output, { config, state }, metadata) => {
    const model = systemOf(config).build(config);
    model.loadStateDict(state);
    saveModel(output, model, metadata);
  },
};

const DEPTH_ALONE: Kind<DepthFileConfig> = {
  holds: 'face depth alone',
  read: (path) => {
    const { network, config, poseNetwork, poseConfig } = loadDepthFile(path);
    const state = joinSections([
      ['depth_network.', network],
      ...(poseNetwork ? ([['pose_network.', poseNetwork]] as const) : []),
    ]);
    return { config: { depth: config, pose: poseConfig }, state };
  },
  write: (output, { config, state }, metadata) => saveDepthFile(output, state, config, metadata),
};

const EXAMPLES = `
The files are models, checkpoints of a training (their averaged weights) or exported folders, or all of them face depth
alone (depth.safetensors, checkpoints of stage 1). They must descend from the same weights: the mean of networks that were
trained independently is of no use. Judge the result as you would any model, by "dagan evaluate".

Examples:
  dagan average runs/a/checkpoints/step-00000560.safetensors runs/a/model.safetensors -o mean.safetensors
  dagan average old.safetensors new.safetensors --shares 0.2,0.8 -o mean.safetensors
  dagan average runs/depth/checkpoints/*.safetensors -o depth.safetensors`;

export function averageCommand(): Command {
  const command = new Command('average')
    .description('write the mean of the weights of several models')
    .argument('<models...>', 'two files at least, of the same architecture')
    .requiredOption('-o, --output <file>', 'the model file to write, .safetensors')
    .option('--shares <numbers>', 'how much each counts, such as 0.2,0.8 (default: all the same)', readShares)
    .option('--name <text>', "the model's name, kept in the file and in the outputs' comments");
  return addCommonOptions(command).addHelpText('after', EXAMPLES).action(runAverage);
}

function readShares(text: string): number[] {
  const shares = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (shares.every((share) => share > 0 && Number.isFinite(share))) return shares;
  throw new InvalidArgumentError('They must be positive numbers, with commas between them.');
}

async function runAverage(inputs: string[], options: AverageOptions): Promise<void> {
  const { output, name, shares = inputs.map(() => 1) } = options;
  if (inputs.length < 2) throw new UsageError(`${inputs[0]}: a mean takes two models at least`);
  if (shares.length !== inputs.length) {
    throw new UsageError(`--shares has ${shares.length} numbers for ${inputs.length} models`);
  }
  if (extname(output).toLowerCase() !== '.safetensors') {
    throw new UsageError(`${output}: models are written as .safetensors; end the name after -o with it`);
  }
  checkFiles(inputs);
  guardInputs(output, inputs);
  await checkWritable(output);
  const files = inputs.map((input) => (isExportedModel(input) ? weightsIn(input) : input));
  const metadata = files.map(metadataOf);
  const kinds = metadata.map((each) => (isDepthAlone(each) ? DEPTH_ALONE : MODEL));
  const odd = kinds.findIndex((kind) => kind !== kinds[0]);
  if (odd > 0) {
    const [first, other] = [kinds[0]!.holds, kinds[odd]!.holds];
    throw new UserError(`${inputs[odd]}: holds ${other}, ${inputs[0]} ${first}; average like with like`);
  }
  const about = { ...aboutMean(inputs, shares, metadata), ...(name === undefined ? {} : { name }) };
  if (kinds[0] === MODEL) writeMean(MODEL, files, shares, output, about);
  else writeMean(DEPTH_ALONE, files, shares, output, about);
  using written = openCheckpoint(output);
  const reporter = new Reporter(options);
  reporter.result(`${output}: the mean of ${inputs.length} files that hold ${kinds[0]!.holds}`);
  reporter.result(`sha256 of the weights: ${written.metadata.sha256}`);
}

/** Reads the files, averages them and writes the result. */
function writeMean<Config>(
  { read, write }: Kind<Config>,
  files: readonly string[],
  shares: readonly number[],
  output: string,
  about: ModelMetadata,
): void {
  tidy(() => {
    const parts = files.map((path, i) => ({ path, share: shares[i]!, ...read(path) }));
    const [first, ...others] = parts as [(typeof parts)[0], ...typeof parts];
    for (const { path, config } of others) {
      if (isDeepStrictEqual(config, first.config)) continue;
      throw new CheckpointError(path, `cannot be averaged with ${first.path}: it is of another architecture`);
    }
    write(output, { config: first.config, state: averageStates([first, ...others]) }, about);
  });
}

const metadataOf = (path: string): ModelMetadata => {
  using file = openCheckpoint(path);
  return file.metadata;
};

const isDepthAlone = (metadata: ModelMetadata): boolean =>
  metadata.format === DEPTH_FORMAT || stageOf({ metadata }) === 'depth';

/** What is said of a mean: where it comes from, and what all its parts say of name and licence. */
function aboutMean(
  inputs: readonly string[],
  shares: readonly number[],
  metadata: readonly ModelMetadata[],
): ModelMetadata {
  const names = new Set(metadata.map(({ name }) => name));
  const [name] = names;
  const licences = [...new Set(metadata.flatMap(({ license }) => license ?? []))];
  return {
    ...(name !== undefined && names.size === 1 ? { name } : {}),
    ...(licences.length > 0 ? { license: licences.join('; ') } : {}),
    averaged_from: inputs.map((input, i) => `${basename(input)} (${shares[i]})`).join(', '),
    averaged_by: `dagan ${VERSION}`,
  };
}
