// Models from and to files: our self-describing safetensors, checkpoints of a training, and published files as they are.
import { createHash } from 'node:crypto';
import { nn, readStateDict, saveStateDict, type Tensor, tidy } from '@dagan/libtorch';
import { CheckpointError, type CheckpointFile, openCheckpoint, type TensorRecord } from '@dagan/libtorch/checkpoint';
import type { AnimationModel, SystemConfig } from '../animation-model.js';
import { withKernelsOf } from '../anti-alias.js';
import { MODEL_FORMAT, stageOf } from './formats.js';
import { inferDepthConfig } from './infer-config.js';
import { ArchitectureError, located } from './located.js';
import { type NamedTensors, readNamed, strangers, within } from './names.js';
import { checkSystemConfig, systemOf, systemOfTensors } from './systems.js';

/** Files of one model. The depth network may stand in files of its own, as published. */
export type ModelFiles = { checkpoint: string; depthEncoder?: string; depthDecoder?: string };

/** What a model's file says of it; all values are text. */
export type ModelMetadata = Readonly<Record<string, string>>;

export type LoadedModel = {
  model: AnimationModel;
  metadata: ModelMetadata;
  /** Names of tensors that are in the files but no part of a model for animation (the discriminator, the optimisers). */
  unused: readonly string[];
};

/** What decides what a model computes. */
export type ModelIdentity = {
  config: SystemConfig;
  /** Hash of the weights as they are stored; see `weightsHash`. */
  sha256: string;
};

/** The file that holds a part of a model, and what the part's names begin with. */
type Part = { file: CheckpointFile; prefix: string };

const ENCODER = 'depth_network.encoder.';
const DECODER = 'depth_network.decoder.';
const MISFIT = 'does not fit the model it describes';

/**
 * A model from files, in float32, ready for use (not training). Our own files, and checkpoints of a training, bring their
 * configuration; that of published ones is read off the tensors. Of a checkpoint it is the averaged model, for pictures of
 * the final size.
 *
 * @throws CheckpointError, naming the file, if it cannot be read or its tensors do not make up a model
 */
export function loadModel({ checkpoint, depthEncoder, depthDecoder }: ModelFiles): LoadedModel {
  using main = openCheckpoint(checkpoint);
  if (describesItself(main) && (depthEncoder ?? depthDecoder) !== undefined) {
    throw new CheckpointError(main.path, 'is complete; leave the files of the depth encoder and decoder out');
  }
  using encoder = depthEncoder === undefined ? undefined : openCheckpoint(depthEncoder);
  using decoder = depthDecoder === undefined ? undefined : openCheckpoint(depthDecoder);
  const tensors = readNamed(main);
  if (encoder) {
    replacePart(
      tensors,
      { file: encoder, prefix: ENCODER },
      "depth encoder: there is no tensor 'encoder.conv1.weight'",
    );
    located(encoder.path, MISFIT, () => inferDepthConfig(tensors));
  }
  if (decoder) {
    replacePart(
      tensors,
      { file: decoder, prefix: DECODER },
      "depth decoder: there is no tensor 'decoder.0.conv.conv.weight'",
    );
  }
  if (main.metadata.format === MODEL_FORMAT) identityOf(main); // sound, or an error
  const config = located(main.path, MISFIT, () => configIn(main, tensors));
  const system = systemOf(config);
  const model = system.build(config);
  const own = new Map([
    [ENCODER, encoder],
    [DECODER, decoder],
  ]);
  const unused = fill(
    model,
    tensors,
    system.names.parts.map((prefix) => ({ file: own.get(prefix) ?? main, prefix })),
  );
  return { model, metadata: metadataOf(main), unused };
}

/** Puts the tensors of a part's own file in place of the part's. @param lacking what is said of a file without any */
function replacePart(tensors: Map<string, TensorRecord>, { file, prefix }: Part, lacking: string): void {
  const named = readNamed(file);
  const part = within(prefix, named);
  if (part.size === 0) throw new CheckpointError(file.path, `holds no ${lacking}`);
  for (const name of tensors.keys()) if (name.startsWith(prefix)) tensors.delete(name);
  for (const [name, record] of [...part, ...strangers(named)]) tensors.set(name, record);
}

/**
 * Copies tensors into a model, part by part, so that weights are in memory little more than once.
 *
 * @returns names of the tensors that belong to no part of the model
 */
function fill(model: AnimationModel, tensors: NamedTensors, parts: readonly Part[]): string[] {
  const state = model.eval().requiresGrad_(false).stateDict();
  const own = parts.filter(({ prefix }) => within(prefix, state).size > 0);
  const unused = new Map([...tensors].filter(([name]) => !state.has(name)));
  try {
    for (const { file, prefix } of own) {
      const target = within(prefix, state);
      const copy = (): void => {
        const loaded = readStateDict(within(prefix, tensors));
        // A training's last pictures may have been smaller than those that the model is for.
        nn.copyState(stageOf(file) ? withKernelsOf(target, [...loaded]) : loaded, target);
      };
      located(file.path, MISFIT, () => tidy(copy), unused);
    }
  } catch (error) {
    model.dispose();
    throw error;
  }
  return [...tensors.keys()].filter((name) => !own.some(({ prefix }) => name.startsWith(prefix)));
}

/** Side of the pictures that a model was trained for, in pixels, where its file or the manifest of its export says it. */
export function trainedSize({ training_size: side }: ModelMetadata): number | undefined {
  return side !== undefined && /^[1-9]\d{1,4}$/.test(side) ? Number(side) : undefined;
}

/** What the file of a model says of it. @throws CheckpointError if it cannot be read */
export function metadataIn(path: string): ModelMetadata {
  using file = openCheckpoint(path);
  return metadataOf(file);
}

/** What the file of a model says of it. */
function metadataOf({ metadata }: CheckpointFile): ModelMetadata {
  if (metadata.format === MODEL_FORMAT) return metadata;
  if (stageOf({ metadata }) !== 'animation') return {};
  const { name = 'unnamed' } = JSON.parse(metadata.config!) as { name?: string };
  return { name: `${name}, after step ${metadata.step}` };
}

/**
 * The configuration of the model in a checkpoint, without reading its weights.
 *
 * @throws ArchitectureError, naming what is missing or damaged, if there is no model for animation in it
 */
export function configOf(file: CheckpointFile): SystemConfig {
  return configIn(file, readNamed(file));
}

function configIn(file: CheckpointFile, tensors: NamedTensors): SystemConfig {
  return describesItself(file) ? storedConfig(file) : systemOfTensors(tensors).inferConfig(tensors);
}

const describesItself = (file: CheckpointFile): boolean =>
  file.metadata.format === MODEL_FORMAT || stageOf(file) === 'animation';

/** The configuration in the metadata of one of our files. */
function storedConfig({ metadata }: CheckpointFile): SystemConfig {
  try {
    const stored = metadata.config === undefined ? undefined : JSON.parse(metadata.config);
    return checkSystemConfig(metadata.format === MODEL_FORMAT ? stored : stored?.model);
  } catch (error) {
    throw new ArchitectureError(`has a damaged configuration in its metadata: ${(error as Error).message}`);
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
  return file.metadata.format === MODEL_FORMAT ? identityOf(file) : null;
}

function identityOf(file: CheckpointFile): ModelIdentity {
  const { path, metadata, tensors } = file;
  const config = located(path, MISFIT, () => storedConfig(file));
  const sha256 = hashOf(tensors.values(), (record) => record.read());
  if (metadata.sha256 === undefined || metadata.sha256 === sha256) return { config, sha256 };
  throw new CheckpointError(path, 'is damaged: its weights are not those whose hash it states; copy it again');
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
  model: AnimationModel,
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
      format: MODEL_FORMAT,
      architecture: systemOf(model.config).name,
      config: JSON.stringify(model.config),
      sha256: weightsHash(state),
    };
    saveStateDict(path, state, complete);
    return complete;
  });
}
