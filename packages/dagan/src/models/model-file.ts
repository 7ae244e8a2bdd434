// Models from and to files: our self-describing safetensors, and published checkpoints as they are.
import { createHash } from 'node:crypto';
import { readStateDict, saveStateDict, type Tensor, tidy } from '@dagan/libtorch';
import { CheckpointError, type CheckpointFile, openCheckpoint, type TensorRecord } from '@dagan/libtorch/checkpoint';
import type { ModelConfig } from './config.js';
import { DaGAN } from './dagan.js';
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

/** Value of `format` in the metadata of our files. */
const FORMAT = 'dagan-model-1';

/** The parts of a model in published files. */
const PARTS = ['generator.', 'kp_detector.', 'depth_encoder.', 'depth_decoder.'] as const;

/** Training in parallel puts `module.` before every name. */
const withoutModule = (name: string): string => name.replace(/(^|\.)module\./, '$1');

/**
 * A model from files, in float32, ready for use (not training). Our own files bring their configuration; that of
 * published ones is read off the tensors.
 *
 * @throws CheckpointError, naming the file, if it cannot be read or its tensors do not make up a model
 */
export function loadModel({ checkpoint, depthEncoder, depthDecoder }: ModelFiles): LoadedModel {
  using main = openCheckpoint(checkpoint);
  if (main.metadata.format === FORMAT) return loadOwn(main);
  using encoder = depthEncoder === undefined ? undefined : openCheckpoint(depthEncoder);
  using decoder = depthDecoder === undefined ? undefined : openCheckpoint(depthDecoder);
  const records = new Map<string, TensorRecord>();
  for (const [name, record] of main.tensors) records.set(withoutModule(name), record);
  if (encoder) addPart(records, encoder, 'depth_encoder', 'encoder.conv1.weight');
  if (decoder) addPart(records, decoder, 'depth_decoder', 'decoder.0.conv.conv.weight');
  const config = located(main, () => inferConfig(new Map([...records].map(([name, { shape }]) => [name, shape]))));
  const model = new DaGAN(config);
  const wanted = new Set([...model.stateDict().keys()].map(publishedName));
  const used = [...records.keys()].filter((name) => wanted.has(name) || PARTS.some((part) => name.startsWith(part)));
  const depthUsed = config.depth ? used : used.filter((name) => !name.startsWith('depth_'));
  fill(model, main, new Map(depthUsed.map((name) => [name, records.get(name)!])), publishedName);
  return { model, metadata: {}, unused: [...records.keys()].filter((name) => !depthUsed.includes(name)) };
}

/**
 * The configuration of the model in a checkpoint, without reading its weights.
 *
 * @throws ArchitectureError, naming what is missing, if there is no model for animation in it
 */
export function configOf({ metadata, tensors }: CheckpointFile): ModelConfig {
  if (metadata.format === FORMAT) return JSON.parse(metadata.config ?? '') as ModelConfig;
  return inferConfig(new Map([...tensors].map(([name, { shape }]) => [withoutModule(name), shape])));
}

/** Adds the tensors of a depth encoder's or decoder's own file, with or without the part's name before theirs. */
function addPart(records: Map<string, TensorRecord>, file: CheckpointFile, part: string, landmark: string): void {
  const names = [...file.tensors.keys()].map(withoutModule);
  const prefixed = names.includes(`${part}.${landmark}`);
  if (!prefixed && !names.includes(landmark)) {
    throw new CheckpointError(file.path, `holds no ${part.replace('_', ' ')}: there is no tensor '${landmark}'`);
  }
  for (const [name, record] of file.tensors) {
    const plain = withoutModule(name);
    if (!prefixed) records.set(`${part}.${plain}`, record);
    else if (plain.startsWith(`${part}.`)) records.set(plain, record);
  }
}

function loadOwn(file: CheckpointFile): LoadedModel {
  const config = located(file, () => JSON.parse(file.metadata.config ?? '') as ModelConfig);
  const model = located(file, () => new DaGAN(config));
  fill(model, file, file.tensors, (name) => name);
  return { model, metadata: file.metadata, unused: [] };
}

function fill(
  model: DaGAN,
  file: CheckpointFile,
  records: ReadonlyMap<string, TensorRecord>,
  rename: (name: string) => string,
): void {
  model.eval().requiresGrad_(false);
  located(file, () =>
    tidy(() => model.loadStateDict(readStateDict(records), { rename })),
  );
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

/** SHA-256 over names, shapes and bytes of all tensors: the same weights have the same hash in any file. */
export function weightsHash(state: ReadonlyMap<string, Tensor>): string {
  const hash = createHash('sha256');
  for (const name of [...state.keys()].sort()) {
    const value = state.get(name)!;
    const data = value.toTypedArray();
    hash.update(`${name} ${value.dtype} ${value.shape.join()}\n`);
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest('hex');
}

/** Writes a model as one self-describing safetensors file, whole or not at all. */
export function saveModel(path: string, model: DaGAN, metadata: ModelMetadata = {}): void {
  const state = model.stateDict();
  saveStateDict(path, state, {
    ...metadata,
    format: FORMAT,
    architecture: 'dagan',
    config: JSON.stringify(model.config),
    sha256: weightsHash(state),
  });
}
