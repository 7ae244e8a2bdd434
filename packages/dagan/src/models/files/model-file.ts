// Models from and to files: our self-describing safetensors, and published checkpoints as they are.
import { createHash } from 'node:crypto';
import { nn, readStateDict, saveStateDict, type Tensor, tidy } from '@dagan/libtorch';
import { CheckpointError, type CheckpointFile, openCheckpoint, type TensorRecord } from '@dagan/libtorch/checkpoint';
import { withKernelsOf } from '../anti-alias.js';
import type { ModelConfig } from '../config/config.js';
import { checkModelConfig } from '../config/config-check.js';
import { DaGAN } from '../dagan.js';
import { ArchitectureError, inferConfig } from './infer-config.js';
import { publishedName } from './published-names.js';

/** Files of one model. The depth network may stand in files of its own, as published. */
export type ModelFiles = { checkpoint: string; depthEncoder?: string; depthDecoder?: string };

/** What a model's file says of it; all values are text. */
export type ModelMetadata = Readonly<Record<string, string>>;

export type LoadedModel = {
  model: DaGAN;
  metadata: ModelMetadata;
  /** Names of tensors that are in the files but no part of a model for animation (the discriminator, the optimisers). */
  unused: readonly string[];
};

/** What decides what a model computes. */
export type ModelIdentity = {
  config: ModelConfig;
  /** Hash of the weights as they are stored; see `weightsHash`. */
  sha256: string;
};

/** Value of `format` in the metadata of our files. */
const FORMAT = 'dagan-model-1';

/** The same of a training's checkpoints, which hold a model (`model.`) and averages of what was trained of it (`average.`). */
export const TRAINING_FORMAT = 'dagan-training-1';

/** A part of a model, which may stand in a file of its own. */
type Part = {
  /** What the names of its tensors begin with in published files. */
  published: string;
  /** The same in our files. */
  own: string;
  module: (model: DaGAN) => nn.Module | undefined;
};

const PARTS = {
  generator: { published: 'generator', own: 'generator', module: (model) => model.generator },
  kp_detector: { published: 'kp_detector', own: 'keypoint_detector', module: (model) => model.keypointDetector },
  depth_encoder: {
    published: 'depth_encoder.encoder',
    own: 'depth_network.encoder',
    module: (model) => model.depthNetwork?.encoder,
  },
  depth_decoder: {
    published: 'depth_decoder.decoder',
    own: 'depth_network.decoder',
    module: (model) => model.depthNetwork?.decoder,
  },
} as const satisfies Record<string, Part>;

type PartName = keyof typeof PARTS;

/** Training in parallel puts `module.` before every name. */
const withoutModule = (name: string): string => name.replace(/(^|\.)module\./, '$1');

const shapesOf = (records: ReadonlyMap<string, TensorRecord>) =>
  new Map([...records].map(([name, { shape }]) => [name, shape]));

/**
 * A model from files, in float32, ready for use (not training). Our own files, and checkpoints of a training, bring their
 * configuration; that of published ones is read off the tensors. Of a checkpoint it is the averaged model, for pictures of
 * the final size.
 *
 * @throws CheckpointError, naming the file, if it cannot be read or its tensors do not make up a model
 */
export function loadModel({ checkpoint, depthEncoder, depthDecoder }: ModelFiles): LoadedModel {
  using main = openCheckpoint(checkpoint);
  if (describesItself(main)) {
    if (depthEncoder === undefined && depthDecoder === undefined) {
      return main.metadata.format === FORMAT ? loadOwn(main) : loadTrained(main);
    }
    throw new CheckpointError(main.path, 'is complete; leave the files of the depth encoder and decoder out');
  }
  using encoder = depthEncoder === undefined ? undefined : openCheckpoint(depthEncoder);
  using decoder = depthDecoder === undefined ? undefined : openCheckpoint(depthDecoder);
  const files = { generator: main, kp_detector: main, depth_encoder: encoder ?? main, depth_decoder: decoder ?? main };
  const records = new Map<string, TensorRecord>();
  for (const [name, record] of main.tensors) records.set(withoutModule(name), record);
  if (encoder) addPart(records, encoder, 'depth_encoder', 'encoder.conv1.weight');
  if (decoder) addPart(records, decoder, 'depth_decoder', 'decoder.0.conv.conv.weight');
  const config = publishedConfig(records, files);
  const model = new DaGAN(config);
  const used = fill(model, records, files, 'published');
  return { model, metadata: {}, unused: [...records.keys()].filter((name) => !used.has(name)) };
}

/**
 * The configuration of the model in a checkpoint, without reading its weights.
 *
 * @throws ArchitectureError, naming what is missing or damaged, if there is no model for animation in it
 */
export function configOf(file: CheckpointFile): ModelConfig {
  const { metadata, tensors } = file;
  if (describesItself(file)) return storedConfig(metadata);
  return inferConfig(new Map([...tensors].map(([name, { shape }]) => [withoutModule(name), shape])));
}

const describesItself = ({ metadata }: CheckpointFile): boolean =>
  metadata.format === FORMAT || metadata.format === TRAINING_FORMAT;

/** The configuration in the metadata of one of our files. */
function storedConfig({ format, config }: ModelMetadata): ModelConfig {
  try {
    const stored = config === undefined ? undefined : JSON.parse(config);
    return checkModelConfig(format === TRAINING_FORMAT ? stored?.model : stored);
  } catch (error) {
    throw new ArchitectureError(`has a damaged configuration in its metadata: ${(error as Error).message}`);
  }
}

function publishedConfig(
  records: ReadonlyMap<string, TensorRecord>,
  files: Readonly<Record<PartName, CheckpointFile>>,
): ModelConfig {
  try {
    return checkModelConfig(inferConfig(shapesOf(records)));
  } catch (error) {
    const part = error instanceof ArchitectureError ? error.part : undefined;
    throw new CheckpointError(files[part ?? 'generator'].path, (error as Error).message);
  }
}

/** Puts a depth encoder's or decoder's own file, with or without the part's name before its tensors, in place of the part. */
function addPart(records: Map<string, TensorRecord>, file: CheckpointFile, part: PartName, landmark: string): void {
  const names = [...file.tensors.keys()].map(withoutModule);
  const prefixed = names.includes(`${part}.${landmark}`);
  if (!prefixed && !names.includes(landmark)) {
    throw new CheckpointError(file.path, `holds no ${part.replace('_', ' ')}: there is no tensor '${landmark}'`);
  }
  for (const name of records.keys()) if (name.startsWith(`${part}.`)) records.delete(name);
  for (const [name, record] of file.tensors) {
    const plain = withoutModule(name);
    if (!prefixed) records.set(`${part}.${plain}`, record);
    else if (plain.startsWith(`${part}.`)) records.set(plain, record);
  }
}

/**
 * The configuration of the model in one of our files and the hash of its weights, without making the model; null for
 * another kind of file.
 *
 * @throws CheckpointError, naming the file, if it is damaged
 */
export function identifyModel(path: string): ModelIdentity | null {
  using file = openCheckpoint(path);
  return file.metadata.format === FORMAT ? identityOf(file) : null;
}

function identityOf(file: CheckpointFile): ModelIdentity {
  const { metadata, tensors } = file;
  const config = located(file, () => storedConfig(metadata));
  const sha256 = hashOf(tensors.values(), (record) => record.read());
  if (metadata.sha256 === undefined || metadata.sha256 === sha256) return { config, sha256 };
  throw new CheckpointError(file.path, 'is damaged: its weights are not those whose hash it states; copy it again');
}

function loadOwn(file: CheckpointFile): LoadedModel {
  const { metadata, tensors } = file;
  const { config } = identityOf(file);
  const model = new DaGAN(config);
  const files = { generator: file, kp_detector: file, depth_encoder: file, depth_decoder: file };
  const used = fill(model, tensors, files, 'own');
  return { model, metadata, unused: [...tensors.keys()].filter((name) => !used.has(name)) };
}

function loadTrained(file: CheckpointFile): LoadedModel {
  const { metadata, tensors } = file;
  const model = new DaGAN(located(file, () => storedConfig(metadata)));
  const below = (prefix: string): [string, TensorRecord][] =>
    [...tensors].flatMap(([name, record]) => (name.startsWith(prefix) ? [[name.slice(prefix.length), record]] : []));
  try {
    const records = new Map([...below('model.'), ...below('average.')]);
    located(file, () => tidy(() => model.loadStateDict(withKernelsOf(model.stateDict(), [...readStateDict(records)]))));
  } catch (error) {
    model.dispose();
    throw error;
  }
  model.eval().requiresGrad_(false);
  const { name = 'unnamed' } = JSON.parse(metadata.config!) as { name?: string };
  const unused = [...tensors.keys()].filter((tensorName) => !/^(model|average)\./.test(tensorName));
  return { model, metadata: { name: `${name}, after step ${metadata.step}` }, unused };
}

/**
 * Copies tensors into a model, part by part, so that weights are in memory little more than once.
 *
 * @param naming whether the records have our names or the published ones
 * @returns the names of the records that were used
 */
function fill(
  model: DaGAN,
  records: ReadonlyMap<string, TensorRecord>,
  files: Readonly<Record<PartName, CheckpointFile>>,
  naming: 'own' | 'published',
): Set<string> {
  const used = new Set<string>();
  model.eval().requiresGrad_(false);
  try {
    for (const [name, part] of Object.entries(PARTS) as [PartName, Part][]) {
      const module = part.module(model);
      if (!module) continue;
      const own = (tensorName: string): string => `${part.own}.${tensorName}`;
      const rename = naming === 'own' ? own : (tensorName: string): string => publishedName(own(tensorName));
      const found = new Map([...records].filter(([tensorName]) => tensorName.startsWith(`${part[naming]}.`)));
      located(files[name], () => tidy(() => module.loadStateDict(readStateDict(found), { rename })));
      for (const tensorName of found.keys()) used.add(tensorName);
    }
  } catch (error) {
    model.dispose();
    throw error;
  }
  return used;
}

/** Runs `body`; what goes wrong names the file. */
function located<T>(file: CheckpointFile, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    const hint = error instanceof ArchitectureError ? '' : 'does not fit the model it describes: ';
    throw new CheckpointError(file.path, `${hint}${(error as Error).message}`);
  }
}

/** SHA-256 over names, types, shapes and bytes of tensors, in the order of their names. */
function hashOf<T extends { name: string; dtype: string; shape: readonly number[] }>(
  tensors: Iterable<T>,
  bytesOf: (tensor: T) => ArrayBufferView,
): string {
  const hash = createHash('sha256');
  for (const tensor of [...tensors].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const { buffer, byteOffset, byteLength } = bytesOf(tensor);
    hash.update(`${tensor.name} ${tensor.dtype} ${tensor.shape.join()}\n`);
    hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  }
  return hash.digest('hex');
}

/** SHA-256 over names, types, shapes and values of all tensors: the same weights have the same hash in any file. */
export function weightsHash(state: ReadonlyMap<string, Tensor>): string {
  const tensors = [...state].map(([name, value]) => ({ name, dtype: value.dtype, shape: value.shape, value }));
  return hashOf(tensors, ({ value }) => value.toTypedArray());
}

/**
 * Writes a model as one self-describing safetensors file, whole or not at all.
 *
 * @param kernels type of trained kernels and matrices, which are nearly all of a model; all else keeps the type that it has.
 *   Running statistics and scales, which float16 might not hold, are lists and stay exact
 * @returns the metadata that the file got
 * @throws CheckpointError if float16 cannot hold a kernel or the file cannot be written
 */
export function saveModel(
  path: string,
  model: DaGAN,
  metadata: ModelMetadata = {},
  { kernels }: { kernels?: 'float32' | 'float16' } = {},
): ModelMetadata {
  return tidy(() => {
    const state = new Map(
      [...model.stateDict()].map(([name, value]) => {
        if (kernels === undefined || !(value instanceof nn.Parameter) || value.ndim < 2) return [name, value];
        const stored = value.detach().to({ dtype: kernels });
        if (stored.isFinite().all().item() === 1) return [name, stored];
        throw new CheckpointError(path, `cannot be written: ${kernels} cannot hold the values of ${name}`);
      }),
    );
    const complete = {
      ...metadata,
      format: FORMAT,
      architecture: 'dagan',
      config: JSON.stringify(model.config),
      sha256: weightsHash(state),
    };
    saveStateDict(path, state, complete);
    return complete;
  });
}
