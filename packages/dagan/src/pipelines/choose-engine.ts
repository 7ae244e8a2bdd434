// Which engine runs the networks: LibTorch, or ONNX Runtime with an exported model.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cudaDevices, isBuilt } from '@dagan/libtorch';
import type { Engine } from '../animation/engine.js';
import type { ModelFacts } from '../animation/engines/engine-threads.js';
import { LibtorchEngine, openLibtorchEngine } from '../animation/engines/libtorch.js';
import { openOnnxRuntimeEngine } from '../animation/engines/onnx-runtime.js';
import { EXECUTION_PROVIDERS } from '../animation/engines/options.js';
import { ResizedEngine } from '../animation/resized-engine.js';
import { DaganError } from '../errors.js';
import { exportModel } from '../export/export-model.js';
import { ExportedModelError, readManifest } from '../export/exported-folder.js';
import { type ExportPrecision, MANIFEST_FORMAT, MANIFEST_NAME, type Manifest } from '../export/manifest.js';
import { identifyModel, type ModelIdentity, metadataIn, trainedSize, weightsHash } from '../models/files/model-file.js';
import type { Precision } from '../models/inference/inference.js';
import { multipliesInt8, processorFeatures } from '../processor.js';
import { userCache } from '../user-cache.js';
import { VERSION } from '../version.js';
import {
  applyThreads,
  chooseDevice,
  chooseModel,
  chooseModelFiles,
  choosePrecision,
  isExportedModel,
  type ModelChoice,
  type ModelFileChoice,
  NETWORK_SIZE,
} from './choose-model.js';
import { defaultCheckpoint, defaultExport } from './default-model.js';
import type { Teller } from './events.js';

export type EngineChoice = Omit<ModelChoice, 'precision'> & {
  /** As of a model; `int8` of an export that has it, which `auto` takes on processors with VNNI. */
  precision?: ModelChoice['precision'] | 'int8';
  /** What runs the networks; default `auto`. */
  engine?: 'auto' | 'libtorch' | 'onnx';
};

export type ChosenEngine = ModelFacts & {
  engine: Engine;
  /** The arithmetic of the generator. */
  precision: Precision | ExportPrecision | 'int8';
};

/** What engines are for. */
export type EngineUse = {
  /**
   * `clip`, the default: several engines beside each other, each with a frame of its own. `figure`: one engine that has
   * all threads, and LibTorch where it has been set up, as figures show more of its networks. `inspection`: the same, and
   * LibTorch computes as the model was trained, for the numbers on the way. `live`: one engine that has all threads, by what a
   * clip takes, in a thread of its own.
   */
  use?: 'clip' | 'figure' | 'inspection' | 'live';
};

/**
 * The engine and model that are asked for. The model is loaded once for each engine that computes, and no more.
 *
 * @throws DaganError, CheckpointError or ExportedModelError if what is asked for is not there
 */
export async function chooseEngine(
  choice: EngineChoice,
  tell: Teller,
  { use = 'clip' }: EngineUse = {},
): Promise<ChosenEngine> {
  const exported = exportedFolder(choice);
  if (exported !== undefined && runtimeFor(choice, use, exported) === 'onnx') return onnxEngine(exported, choice, use);
  if (choice.precision === 'int8') {
    const message = `${exported ?? choice.checkpoint ?? 'this model'}: is not run in int8 here`;
    throw new DaganError('no-int8', message, {});
  }
  requireLibtorch(choice);
  if (choice.engine === 'onnx') return onnxEngine(await exportOnce(choice, tell), choice, use);
  applyThreads(choice);
  const device = chooseDevice(choice.device);
  const precision = choosePrecision(choice.precision, device);
  const settings = { precision, device, ...alone(use), asTrained: use === 'inspection' };
  const files = chooseModelFiles(choice);
  if (files) {
    const size = trainedSize(metadataIn(files.checkpoint)) ?? NETWORK_SIZE;
    const { engine, facts } = await openLibtorchEngine(files, { ...settings, size });
    return { engine: forAnimations(engine), ...facts, precision };
  }
  const { model, metadata } = chooseModel(choice, tell);
  const { config } = model;
  return { engine: new LibtorchEngine(model, { ...settings, size: NETWORK_SIZE }), config, metadata, precision };
}

/** The engine for pictures of the side that animations have, whatever its networks were trained for. */
const forAnimations = (engine: Engine): Engine =>
  engine.size === NETWORK_SIZE ? engine : new ResizedEngine(engine, NETWORK_SIZE);

/** One engine rather than several beside each other. */
function alone(use: EngineUse['use']): { batchSize?: number; ownThread?: boolean } {
  if (use === 'clip') return {};
  return use === 'live' ? { ownThread: true } : { batchSize: 1 };
}

/** @throws DaganError if LibTorch has not been set up */
export function requireLibtorch({ checkpoint = defaultCheckpoint() ?? 'a model' }: ModelFileChoice): void {
  if (isBuilt()) return;
  const message = `LibTorch has not been set up, and ${checkpoint} needs it`;
  throw new DaganError('no-libtorch', message, { model: checkpoint });
}

/** The exported model that runs on ONNX Runtime for a figure; undefined where LibTorch runs. */
export function exportForFigure(choice: EngineChoice): string | undefined {
  const exported = exportedFolder(choice);
  return exported !== undefined && runtimeFor(choice, 'figure', exported) === 'onnx' ? exported : undefined;
}

function runtimeFor(choice: EngineChoice, use: EngineUse['use'], exported: string): 'libtorch' | 'onnx' {
  const { engine = 'auto', checkpoint, device = 'auto', precision = 'auto' } = choice;
  if (use === 'clip' || use === 'live') {
    const int8 = checkpoint === undefined && paintsInInt8(readManifest(exported), choice);
    return runtimeOfExported({ engine, checkpoint, device, precision, int8 }, gpusOfLibtorch);
  }
  return engine !== 'auto' ? engine : isBuilt() && precision !== 'int8' ? 'libtorch' : 'onnx';
}

/** Whether an exported model's frames are painted in 8 bits: where that is asked for, or there and faster. */
function paintsInInt8({ int8 }: Manifest, { precision = 'auto', device = 'auto' }: EngineChoice): boolean {
  if (int8 === undefined || precision !== 'auto') return int8 !== undefined && precision === 'int8';
  return (device === 'auto' || device === 'cpu') && multipliesInt8(processorFeatures());
}

/** The folder of the exported model that is named, or that is the default. */
function exportedFolder({ checkpoint, depthEncoder, depthDecoder }: EngineChoice): string | undefined {
  if (checkpoint === undefined) return defaultExport();
  if (!existsSync(checkpoint)) {
    throw new DaganError('no-file', `${checkpoint}: no such file or folder`, { path: checkpoint });
  }
  if (!isExportedModel(checkpoint)) return undefined;
  if (depthEncoder === undefined && depthDecoder === undefined) return checkpoint;
  throw new DaganError('complete-model', `${checkpoint}: is complete and takes no files of a depth network`, {
    path: checkpoint,
  });
}

/** How many GPUs LibTorch can use; null if it has not been set up. */
const gpusOfLibtorch = (): number | null => (isBuilt() ? cudaDevices() : null);

/**
 * What runs an exported model, which both can run: as the choice says, else on a GPU that is asked for LibTorch if it has
 * one. Otherwise ONNX Runtime runs a model that was named. The default model runs where it is faster: LibTorch is on GPUs
 * and where it computes in bfloat16, but for exports that ONNX Runtime paints in 8 bits (`int8`) on processors without AMX.
 *
 * @param gpusOfLibtorch how many it can use; null if it has not been set up. Called only where it matters, since it loads
 *   LibTorch
 */
export function runtimeOfExported(
  {
    engine,
    checkpoint,
    device,
    precision,
    int8 = false,
  }: Required<Pick<EngineChoice, 'engine' | 'device' | 'precision'>> &
    Pick<EngineChoice, 'checkpoint'> & { int8?: boolean },
  gpusOfLibtorch: () => number | null,
): 'libtorch' | 'onnx' {
  if (engine !== 'auto') return engine;
  if (precision === 'int8') return 'onnx';
  const onGpu = /^cuda(:\d+)?$/.test(device);
  if (checkpoint !== undefined && !onGpu) return 'onnx';
  const gpus = gpusOfLibtorch();
  if (gpus === null) return 'onnx';
  if (gpus > 0 && (onGpu || device === 'auto')) return 'libtorch';
  if (checkpoint !== undefined) return 'onnx';
  const onProcessor = device === 'auto' || device === 'cpu';
  const inBfloat16 = onProcessor && choosePrecision(precision, 'cpu') === 'bfloat16';
  if (inBfloat16 && (!int8 || processorFeatures().amxBf16)) return 'libtorch';
  return onProcessor || EXECUTION_PROVIDERS.some((name) => name === device) ? 'onnx' : 'libtorch';
}

async function onnxEngine(
  folder: string,
  { device = 'auto', precision = 'auto', threads }: EngineChoice,
  use: EngineUse['use'],
): Promise<ChosenEngine> {
  const manifest = readManifest(folder);
  const int8 = use !== 'figure' && use !== 'inspection' && paintsInInt8(manifest, { precision, device });
  if (precision !== 'auto' && precision !== manifest.precision && !int8) {
    throw new DaganError('exported-precision', `${folder} was exported in ${manifest.precision}`, {
      path: folder,
      precision: manifest.precision,
    });
  }
  const provider = device === 'auto' ? 'cpu' : EXECUTION_PROVIDERS.find((name) => name === device);
  if (provider === undefined) {
    const message = `ONNX Runtime has no device '${device}': name auto, ${EXECUTION_PROVIDERS.join(', ')}`;
    throw new DaganError('no-device', message, { device });
  }
  try {
    const { engine, facts } = await openOnnxRuntimeEngine(folder, {
      ...{ size: manifest.size ?? trainedSize(manifest.metadata) ?? NETWORK_SIZE, threads, provider, int8 },
      ...alone(use),
    });
    return { engine: forAnimations(engine), ...facts, precision: int8 ? 'int8' : manifest.precision };
  } catch (error) {
    if (provider !== 'cuda' || !(error instanceof ExportedModelError) || error.cause === undefined) throw error;
    const refusal = (error.cause as Error).message.trim();
    throw new DaganError('no-cuda', `cannot use cuda: ONNX Runtime cannot (${refusal})`, {
      ...{ refusal, gpus: gpusOfLibtorch() },
    });
  }
}

/**
 * Exports the model into the user's cache, unless the same one has been.
 *
 * @returns the exported model's folder
 * @throws CheckpointError if the file is damaged, also where an undamaged one has been exported
 */
export async function exportOnce(
  choice: ModelFileChoice,
  tell: Teller,
  precision: ExportPrecision = 'float32',
): Promise<string> {
  const path = choice.checkpoint ?? defaultCheckpoint();
  const alone = choice.depthEncoder === undefined && choice.depthDecoder === undefined;
  const known = path !== undefined && alone ? identifyModel(path) : null;
  if (known !== null && existsSync(join(cacheFolder(known, precision), MANIFEST_NAME))) {
    return cacheFolder(known, precision);
  }
  const { model, metadata } = chooseModel(choice, tell);
  const identity = known ?? { config: model.config, sha256: weightsHash(model.stateDict()) };
  const folder = cacheFolder(identity, precision);
  if (!existsSync(join(folder, MANIFEST_NAME))) {
    tell.notice('exporting', `exporting the model to ${folder}`, { folder });
    await exportModel(model, folder, { precision, metadata, exportedBy: `dagan ${VERSION}` });
  }
  model.dispose();
  return folder;
}

/** Where exported graphs of this model are kept; another version of this program may export others. */
function cacheFolder({ config, sha256 }: ModelIdentity, precision: ExportPrecision): string {
  const identity = `${sha256} ${JSON.stringify(config)}`;
  const hash = createHash('sha256').update(identity).digest('hex');
  return userCache(`${MANIFEST_FORMAT}-${VERSION}`, precision === 'float32' ? hash : `${hash}-${precision}`);
}
