// The model that a command runs: which files, which device, which arithmetic.
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { buildInfo, setThreads } from '@dagan/libtorch';
import { MANIFEST_NAME, weightsIn } from '../export/index.js';
import {
  DaGAN,
  fillByFormula,
  loadModel,
  MODEL_PRESETS,
  type ModelFiles,
  type ModelMetadata,
  publishedName,
} from '../models/index.js';
import { defaultModel } from './default-model.js';
import { UserError } from './errors.js';
import type { ModelFileOptions, ModelOptions } from './options.js';
import { multipliesBfloat16, processorFeatures } from './processor.js';
import type { Reporter } from './report.js';

/** Side of the pictures that the published networks were made for, in pixels. */
export const NETWORK_SIZE = 256;

/** What is said of results that no training stands behind. */
const UNTRAINED =
  'No trained weights found: using UNTRAINED weights. The output shows that the program works, not a face.';

export type ChosenModel = {
  model: DaGAN;
  metadata: ModelMetadata;
  /** Whether training made the weights; if not, they follow a formula. */
  trained: boolean;
};

/** The files of the model that the options name, else of the default one; undefined if there is none. */
export function chooseModelFiles(options: ModelFileOptions): ModelFiles | undefined {
  const byDefault = options.checkpoint === undefined ? defaultModel() : undefined;
  const checkpoint = options.checkpoint ?? byDefault?.folder ?? byDefault?.checkpoint;
  if (checkpoint === undefined) return undefined;
  const { depthEncoder, depthDecoder } = options;
  for (const file of [checkpoint, depthEncoder, depthDecoder]) {
    if (file !== undefined && !existsSync(file)) throw new UserError(`${file}: no such file`);
  }
  return {
    checkpoint: isExportedModel(checkpoint) ? weightsIn(checkpoint) : checkpoint,
    ...(depthEncoder !== undefined && { depthEncoder }),
    ...(depthDecoder !== undefined && { depthDecoder }),
  };
}

/** Loads the model that the options name, else the default one, else makes up one without training (and warns). */
export function chooseModel(options: ModelFileOptions, reporter: Reporter): ChosenModel {
  const files = chooseModelFiles(options);
  if (files) {
    const { model, metadata } = loadModel(files);
    return { model, metadata, trained: true };
  }
  if (options.depthEncoder !== undefined || options.depthDecoder !== undefined) {
    throw new UserError('--depth-encoder and --depth-decoder go with --checkpoint, the file of the other networks');
  }
  reporter.warn(UNTRAINED);
  const model = fillByFormula(new DaGAN(MODEL_PRESETS.dagan), { rename: publishedName });
  return { model: model.eval().requiresGrad_(false), metadata: {}, trained: false };
}

/** Whether a path, which must be there, is the folder of an exported model. @throws UserError for another folder */
export function isExportedModel(path: string): boolean {
  if (!statSync(path).isDirectory()) return false;
  if (existsSync(join(path, MANIFEST_NAME))) return true;
  throw new UserError(`${path}: holds no ${MANIFEST_NAME}, so it is no exported model (\`dagan export\` makes one)`);
}

/** The device to run on. Throws a UserError for one that is not there. */
export function chooseDevice(device: string): string {
  const { cudaDevices } = buildInfo();
  if (device === 'auto') return cudaDevices > 0 ? 'cuda' : 'cpu';
  if (device === 'cpu') return device;
  const [, index] = /^cuda(?::(\d+))?$/.exec(device) ?? [null, null];
  if (index === null) throw new UserError(`there is no device '${device}': name auto, cpu, cuda, cuda:1, ...`);
  if (Number(index ?? 0) >= cudaDevices) {
    const there = cudaDevices === 0 ? 'LibTorch finds no CUDA device here' : `there are ${cudaDevices} CUDA devices`;
    throw new UserError(`cannot use ${device}: ${there} (\`dagan doctor\` says why)`);
  }
  return device;
}

/** The arithmetic to use; `auto` is bfloat16 on a GPU and on processors with units for it, float32 elsewhere. */
export function choosePrecision(precision: ModelOptions['precision'], device: string): 'float32' | 'bfloat16' {
  if (precision !== 'auto') return precision;
  if (device !== 'cpu') return 'bfloat16';
  return multipliesBfloat16(processorFeatures()) ? 'bfloat16' : 'float32';
}

/** Sets the number of threads, where one is asked for. */
export function applyThreads({ threads }: Pick<ModelOptions, 'threads'>): void {
  if (threads !== undefined) setThreads(threads);
}
