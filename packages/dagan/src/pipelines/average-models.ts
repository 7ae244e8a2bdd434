// One model that is the mean of several.
import { basename } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type nn, tidy } from '@dagan/libtorch';
import { CheckpointError, openCheckpoint } from '@dagan/libtorch/checkpoint';
import { weightsIn } from '../export/exported-folder.js';
import type { SystemConfig } from '../models/animation-model.js';
import { averageStates } from '../models/files/average.js';
import { type DepthFileConfig, loadDepthFile, saveDepthFile } from '../models/files/depth-file.js';
import { DEPTH_FORMAT, stageOf } from '../models/files/formats.js';
import { loadModel, type ModelMetadata, saveModel } from '../models/files/model-file.js';
import { systemOf } from '../models/files/systems.js';
import { joinSections } from '../training/loop/state-sections.js';
import { VERSION } from '../version.js';
import { isExportedModel } from './choose-model.js';
import { checkWritable, guardInputs } from './pairs.js';

export type AverageModelsOptions = {
  /** Two files at least: models, checkpoints of a training, exported folders; or all of them face depth alone. */
  inputs: readonly string[];
  /** How much each counts. */
  shares: readonly number[];
  /** The model file to write. */
  output: string;
  /** The model's name; by default that of all its parts, if they have one. */
  name?: string;
};

/** What was averaged, and the hash of the mean's weights. */
export type AveragedModels = { holds: string; sha256: string | undefined };

/**
 * Writes the mean of the weights of several models.
 *
 * @throws CheckpointError if files are damaged or not alike; DaganError for an output that cannot be written
 */
export async function averageModels({ inputs, shares, output, name }: AverageModelsOptions): Promise<AveragedModels> {
  guardInputs(output, inputs);
  await checkWritable(output);
  const files = inputs.map((input) => (isExportedModel(input) ? weightsIn(input) : input));
  const metadata = files.map(metadataOf);
  const kinds = metadata.map((each) => (isDepthAlone(each) ? DEPTH_ALONE : MODEL));
  const odd = kinds.findIndex((kind) => kind !== kinds[0]);
  if (odd > 0) {
    const [first, other] = [kinds[0]!.holds, kinds[odd]!.holds];
    throw new CheckpointError(inputs[odd]!, `holds ${other}, ${inputs[0]} ${first}; average like with like`);
  }
  const about = { ...aboutMean(inputs, shares, metadata), ...(name === undefined ? {} : { name }) };
  if (kinds[0] === MODEL) writeMean(MODEL, files, shares, output, about);
  else writeMean(DEPTH_ALONE, files, shares, output, about);
  using written = openCheckpoint(output);
  return { holds: kinds[0]!.holds, sha256: written.metadata.sha256 };
}

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
