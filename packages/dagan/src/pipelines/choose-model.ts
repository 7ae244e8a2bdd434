// The model that is run: which files, which device, which arithmetic.
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { buildInfo, setThreads } from '@dagan/libtorch';
import { DaganError } from '../errors.js';
import { weightsIn } from '../export/exported-folder.js';
import { MANIFEST_NAME } from '../export/manifest.js';
import type { AnimationModel } from '../models/animation-model.js';
import { MODEL_PRESETS } from '../models/config/config.js';
import { DaGAN } from '../models/dagan.js';
import { fillByFormula } from '../models/files/formula-weights.js';
import { loadModel, type ModelFiles, type ModelMetadata } from '../models/files/model-file.js';
import { publishedName } from '../models/files/names.js';
import type { Precision } from '../models/inference/inference.js';
import { multipliesBfloat16, processorFeatures } from '../processor.js';
import { defaultModel } from './default-model.js';
import type { Teller } from './events.js';

/** Side of the pictures that the published networks were made for, in pixels. */
export const NETWORK_SIZE = 256;

/** A model's files, if it is not the default one. */
export type ModelFileChoice = {
  /** A model file of ours, a training's checkpoint, published weights, or an exported model's folder. */
  checkpoint?: string;
  /** Files of the face-depth network, where it is not in the checkpoint (as published). */
  depthEncoder?: string;
  depthDecoder?: string;
};

/** Which model is run, and how. */
export type ModelChoice = ModelFileChoice & {
  /** Default `auto`: bfloat16 on GPUs and on processors with units for it. */
  precision?: Precision | 'auto';
  /** `cpu`, `cuda`, `cuda:1`, ...; default `auto`, the first GPU there is. */
  device?: string;
  /** Threads of the processor; default one per processor. */
  threads?: number;
};

/** What is said of results that no training stands behind. */
const UNTRAINED =
  'No trained weights found: using UNTRAINED weights. The output shows that the program works, not a face.';

export type ChosenModel = {
  model: AnimationModel;
  metadata: ModelMetadata;
  /** Whether training made the weights; if not, they follow a formula. */
  trained: boolean;
};

/** The files of the model that is named, else of the default one; undefined if there is none. @throws DaganError */
export function chooseModelFiles(choice: ModelFileChoice): ModelFiles | undefined {
  const byDefault = choice.checkpoint === undefined ? defaultModel() : undefined;
  const checkpoint = choice.checkpoint ?? byDefault?.folder ?? byDefault?.checkpoint;
  if (checkpoint === undefined) return undefined;
  const { depthEncoder, depthDecoder } = choice;
  for (const file of [checkpoint, depthEncoder, depthDecoder]) {
    if (file !== undefined && !existsSync(file)) {
      throw new DaganError('no-file', `${file}: no such file`, { path: file });
    }
  }
  return {
    checkpoint: isExportedModel(checkpoint) ? weightsIn(checkpoint) : checkpoint,
    ...(depthEncoder !== undefined && { depthEncoder }),
    ...(depthDecoder !== undefined && { depthDecoder }),
  };
}

/** Loads the model that is named, else the default one, else makes up one without training (and warns). */
export function chooseModel(choice: ModelFileChoice, tell: Teller): ChosenModel {
  const files = chooseModelFiles(choice);
  if (files) {
    const { model, metadata } = loadModel(files);
    return { model, metadata, trained: true };
  }
  if (choice.depthEncoder !== undefined || choice.depthDecoder !== undefined) {
    throw new DaganError(
      'depth-files-alone',
      'files of a depth encoder and decoder go with the file of the other networks',
      {},
    );
  }
  tell.warn('untrained', UNTRAINED, {});
  const model = fillByFormula(new DaGAN(MODEL_PRESETS.dagan), { rename: publishedName });
  return { model: model.eval().requiresGrad_(false), metadata: {}, trained: false };
}

/** Whether a path, which must be there, is the folder of an exported model. @throws DaganError for another folder */
export function isExportedModel(path: string): boolean {
  if (!statSync(path).isDirectory()) return false;
  if (existsSync(join(path, MANIFEST_NAME))) return true;
  throw new DaganError('not-exported', `${path}: holds no ${MANIFEST_NAME}, so it is no exported model`, { path });
}

/** The device to run LibTorch on. @throws DaganError for one that is not there */
export function chooseDevice(device = 'auto'): string {
  const { cudaDevices } = buildInfo();
  if (device === 'auto') return cudaDevices > 0 ? 'cuda' : 'cpu';
  if (device === 'cpu') return device;
  const [, index] = /^cuda(?::(\d+))?$/.exec(device) ?? [null, null];
  if (index === null) {
    throw new DaganError('no-device', `there is no device '${device}': name auto, cpu, cuda, cuda:1, ...`, { device });
  }
  if (Number(index ?? 0) >= cudaDevices) {
    const there = cudaDevices === 0 ? 'LibTorch finds no CUDA device here' : `there are ${cudaDevices} CUDA devices`;
    throw new DaganError('no-cuda-device', `cannot use ${device}: ${there}`, { device });
  }
  return device;
}

/** The arithmetic to use; `auto` is bfloat16 on a GPU and on processors with units for it, float32 elsewhere. */
export function choosePrecision(precision: Precision | 'auto' | undefined, device: string): Precision {
  if (precision !== undefined && precision !== 'auto') return precision;
  if (device !== 'cpu') return 'bfloat16';
  return multipliesBfloat16(processorFeatures()) ? 'bfloat16' : 'float32';
}

/** Sets the number of LibTorch's threads, where one is asked for. */
export function applyThreads({ threads }: Pick<ModelChoice, 'threads'>): void {
  if (threads !== undefined) setThreads(threads);
}
