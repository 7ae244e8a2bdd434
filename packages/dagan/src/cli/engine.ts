// Which engine animates: LibTorch, or ONNX Runtime with an exported model.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { buildInfo, getThreads, isBuilt } from '@dagan/libtorch';
import { type Command, Option } from 'commander';
import { shareThreads } from '../animation/engines/engine-threads.js';
import {
  EXECUTION_PROVIDERS,
  ExportedModelError,
  LibtorchEngine,
  loadLibtorchEngine,
  loadOnnxRuntimeEngine,
  readManifest,
} from '../animation/engines/index.js';
import type { Engine } from '../animation/index.js';
import { type ExportPrecision, exportModel, MANIFEST_FORMAT, MANIFEST_NAME } from '../export/index.js';
import { identifyModel, type ModelIdentity, type ModelMetadata, weightsHash } from '../models/index.js';
import { defaultCheckpoint, defaultExport } from './default-model.js';
import { UserError } from './errors.js';
import {
  applyThreads,
  chooseDevice,
  chooseModel,
  chooseModelFiles,
  choosePrecision,
  isExportedModel,
  NETWORK_SIZE,
} from './model.js';
import { checkFiles, type ModelFileOptions, type ModelOptions } from './options.js';
import { VERSION } from './provenance.js';
import type { Reporter } from './report.js';

export type EngineOptions = ModelOptions & { engine: 'auto' | 'libtorch' | 'onnx' };

export type ChosenEngine = { engine: Engine; metadata: ModelMetadata };

export function addEngineOption(command: Command): Command {
  return command.addOption(
    new Option(
      '--engine <name>',
      'what runs the networks; onnx: ONNX Runtime, which needs no LibTorch but an exported model (a folder as ' +
        '--checkpoint) and takes dml, coreml and webgpu as --device too, where they are there; auto: for an exported ' +
        'model ONNX Runtime, for another LibTorch, for the default model the faster that is there, on cuda what has it',
    )
      .choices(['auto', 'libtorch', 'onnx'])
      .default('auto'),
  );
}

/**
 * The engine and model that the options ask for.
 *
 * @throws UserError if what they ask for is not there
 */
export async function chooseEngine(options: EngineOptions, reporter: Reporter): Promise<ChosenEngine> {
  const exported = exportedFolder(options);
  if (exported !== undefined && runtimeOfExported(options, cudaDevices) === 'onnx')
    return onnxEngine(exported, options);
  if (!isBuilt()) {
    const model = options.checkpoint ?? defaultCheckpoint() ?? 'a model';
    const remedy = 'run "npm run setup", or name the folder of an exported model (`dagan export`) with --checkpoint';
    throw new UserError(`LibTorch has not been set up, and ${model} needs it: ${remedy}`);
  }
  if (options.engine === 'onnx') return onnxEngine(await exportOnce(options, reporter), options);
  applyThreads(options);
  const device = chooseDevice(options.device);
  const precision = choosePrecision(options.precision, device);
  const { model, metadata, trained } = chooseModel(options, reporter);
  const settings = { size: NETWORK_SIZE, precision, device };
  const files = trained && device === 'cpu' && shareThreads(getThreads()).length > 1 && chooseModelFiles(options);
  if (!files) return { engine: new LibtorchEngine(model, settings), metadata };
  // Loading it here has shown that the files are sound; each engine reads them for itself.
  model.dispose();
  return { engine: await loadLibtorchEngine(files, settings), metadata };
}

/** The folder of the exported model that the options name, or that is the default. */
function exportedFolder({ checkpoint, depthEncoder, depthDecoder }: EngineOptions): string | undefined {
  if (checkpoint === undefined) return defaultExport();
  checkFiles([checkpoint]);
  if (!isExportedModel(checkpoint)) return undefined;
  if (depthEncoder === undefined && depthDecoder === undefined) return checkpoint;
  throw new UserError(`${checkpoint}: is complete; leave --depth-encoder and --depth-decoder out`);
}

/** How many GPUs LibTorch can use; null if it has not been set up. */
const cudaDevices = (): number | null => (isBuilt() ? buildInfo().cudaDevices : null);

/**
 * What runs an exported model, which both can run: as the options say, else on a GPU that is asked for LibTorch if it has
 * one. Otherwise ONNX Runtime runs a model that was named. The default model runs where it is faster: LibTorch is on GPUs
 * and where it computes in bfloat16.
 *
 * @param gpusOfLibtorch how many it can use; null if it has not been set up. Called only where it matters, since it loads
 *   LibTorch
 */
export function runtimeOfExported(
  { engine, checkpoint, device, precision }: Pick<EngineOptions, 'engine' | 'checkpoint' | 'device' | 'precision'>,
  gpusOfLibtorch: () => number | null,
): 'libtorch' | 'onnx' {
  if (engine !== 'auto') return engine;
  const onGpu = /^cuda(:\d+)?$/.test(device);
  if (checkpoint !== undefined && !onGpu) return 'onnx';
  const gpus = gpusOfLibtorch();
  if (gpus === null) return 'onnx';
  if (gpus > 0 && (onGpu || device === 'auto')) return 'libtorch';
  if (checkpoint !== undefined) return 'onnx';
  const onProcessor = device === 'auto' || device === 'cpu';
  if (onProcessor && choosePrecision(precision, 'cpu') === 'bfloat16') return 'libtorch';
  return onProcessor || EXECUTION_PROVIDERS.some((name) => name === device) ? 'onnx' : 'libtorch';
}

async function onnxEngine(folder: string, { device, precision, threads }: EngineOptions): Promise<ChosenEngine> {
  const manifest = readManifest(folder);
  if (precision !== 'auto' && precision !== manifest.precision) {
    throw new UserError(`${folder} was exported in ${manifest.precision}: leave --precision out, or export it anew`);
  }
  const provider = device === 'auto' ? 'cpu' : EXECUTION_PROVIDERS.find((name) => name === device);
  if (provider === undefined) {
    throw new UserError(`ONNX Runtime has no device '${device}': name auto, ${EXECUTION_PROVIDERS.join(', ')}`);
  }
  try {
    const engine = await loadOnnxRuntimeEngine(folder, { size: manifest.size ?? NETWORK_SIZE, threads, provider });
    return { engine, metadata: manifest.metadata };
  } catch (error) {
    if (provider !== 'cuda' || !(error instanceof ExportedModelError) || error.cause === undefined) throw error;
    throw withoutCuda(error.cause as Error, cudaDevices());
  }
}

/** Says why there is no CUDA for an exported model, and what helps. @param gpus that LibTorch can use; null if it has not been set up */
export function withoutCuda(refusal: Error, gpus: number | null): UserError {
  const onnx = `ONNX Runtime cannot use it (${refusal.message.trim()})`;
  if (gpus !== null && gpus > 0) return new UserError(`cannot use cuda: ${onnx}; LibTorch can: --engine libtorch`);
  const libtorch = gpus === null ? 'LibTorch has not been set up' : 'LibTorch finds no CUDA device here';
  return new UserError(
    `cannot use cuda: ${libtorch}, and ${onnx}; build with a LibTorch that has CUDA or add ONNX Runtime's CUDA ` +
      'libraries (docs/troubleshooting.md, GPU), or leave --device out',
  );
}

/**
 * Exports the model into the user's cache, unless the same one has been.
 *
 * @returns the exported model's folder
 * @throws CheckpointError if the file is damaged, also where an undamaged one has been exported
 */
export async function exportOnce(
  options: ModelFileOptions,
  reporter: Reporter,
  precision: ExportPrecision = 'float32',
): Promise<string> {
  const path = options.checkpoint ?? defaultCheckpoint();
  const alone = options.depthEncoder === undefined && options.depthDecoder === undefined;
  const known = path !== undefined && alone ? identifyModel(path) : null;
  if (known !== null && existsSync(join(cacheFolder(known, precision), MANIFEST_NAME))) {
    return cacheFolder(known, precision);
  }
  const { model, metadata } = chooseModel(options, reporter);
  const identity = known ?? { config: model.config, sha256: weightsHash(model.stateDict()) };
  const folder = cacheFolder(identity, precision);
  if (!existsSync(join(folder, MANIFEST_NAME))) {
    reporter.notice(`exporting the model to ${folder}`);
    await exportModel(model, folder, { precision, metadata, exportedBy: `dagan ${VERSION}` });
  }
  model.dispose();
  return folder;
}

/** Where exported graphs of this model are kept; another version of this program may export others. */
function cacheFolder({ config, sha256 }: ModelIdentity, precision: ExportPrecision): string {
  const identity = `${sha256} ${JSON.stringify(config)}`;
  const hash = createHash('sha256').update(identity).digest('hex');
  const root = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  return join(root, 'dagan', `${MANIFEST_FORMAT}-${VERSION}`, precision === 'float32' ? hash : `${hash}-${precision}`);
}
