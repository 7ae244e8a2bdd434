// Which engine animates: LibTorch, or ONNX Runtime with an exported model.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { isBuilt } from '@dagan/libtorch';
import { openCheckpoint } from '@dagan/libtorch/checkpoint';
import { type Command, Option } from 'commander';
import {
  EXECUTION_PROVIDERS,
  LibtorchEngine,
  loadOnnxRuntimeEngine,
  readManifest,
} from '../animation/engines/index.js';
import type { Engine } from '../animation/index.js';
import { type ExportPrecision, exportModel, MANIFEST_FORMAT, MANIFEST_NAME } from '../export/index.js';
import { type ModelMetadata, weightsHash } from '../models/index.js';
import { defaultCheckpoint, defaultExport } from './default-model.js';
import { UserError } from './errors.js';
import { applyThreads, chooseDevice, chooseModel, choosePrecision, isExportedModel, NETWORK_SIZE } from './model.js';
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
        'model ONNX Runtime, for another LibTorch, for the default model the faster that is there',
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
  if (exported !== undefined && takesOnnx(options)) return onnxEngine(exported, options);
  if (!isBuilt()) {
    const model = options.checkpoint ?? defaultCheckpoint() ?? 'a model';
    const remedy = 'run "npm run setup", or name the folder of an exported model (`dagan export`) with --checkpoint';
    throw new UserError(`LibTorch has not been set up, and ${model} needs it: ${remedy}`);
  }
  if (options.engine === 'onnx') return onnxEngine(await exportOnce(options, reporter), options);
  applyThreads(options);
  const device = chooseDevice(options.device);
  const precision = choosePrecision(options.precision, device);
  const { model, metadata } = chooseModel(options, reporter);
  const engine = new LibtorchEngine(model, { size: NETWORK_SIZE, precision, device });
  return { engine, metadata };
}

/** The folder of the exported model that the options name, or that is the default. */
function exportedFolder({ checkpoint, depthEncoder, depthDecoder }: EngineOptions): string | undefined {
  if (checkpoint === undefined) return defaultExport();
  checkFiles([checkpoint]);
  if (!isExportedModel(checkpoint)) return undefined;
  if (depthEncoder === undefined && depthDecoder === undefined) return checkpoint;
  throw new UserError(`${checkpoint}: is complete; leave --depth-encoder and --depth-decoder out`);
}

/**
 * Whether ONNX Runtime runs a model for which there are both: as the options say, else if the model was named as an
 * exported one. The default model runs where it is faster: LibTorch is on GPUs and where it computes in bfloat16.
 */
function takesOnnx({ engine, checkpoint, device, precision }: EngineOptions): boolean {
  if (engine !== 'auto') return engine === 'onnx';
  if (checkpoint !== undefined || !isBuilt()) return true;
  const itsOwn = EXECUTION_PROVIDERS.some((name) => name === device && name !== 'cpu' && name !== 'cuda');
  if (itsOwn) return true;
  const chosen = chooseDevice(device);
  return chosen === 'cpu' && choosePrecision(precision, chosen) === 'float32';
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
  const engine = await loadOnnxRuntimeEngine(folder, { size: manifest.size ?? NETWORK_SIZE, threads, provider });
  return { engine, metadata: manifest.metadata };
}

/**
 * Exports the model into the user's cache, unless the same weights have been.
 *
 * @returns the exported model's folder
 */
export async function exportOnce(
  options: ModelFileOptions,
  reporter: Reporter,
  precision: ExportPrecision = 'float32',
): Promise<string> {
  const path = options.checkpoint ?? defaultCheckpoint();
  const known = path?.endsWith('.safetensors') ? statedHash(path) : undefined;
  if (known !== undefined && existsSync(join(cacheFolder(known, precision), MANIFEST_NAME))) {
    return cacheFolder(known, precision);
  }
  const { model, metadata } = chooseModel(options, reporter);
  const hash = metadata.sha256 ?? weightsHash(model.stateDict());
  const folder = cacheFolder(hash, precision);
  if (!existsSync(join(folder, MANIFEST_NAME))) {
    reporter.notice(`exporting the model to ${folder}`);
    await exportModel(model, folder, { precision, metadata, exportedBy: `dagan ${VERSION}` });
  }
  model.dispose();
  return folder;
}

function statedHash(path: string): string | undefined {
  using file = openCheckpoint(path);
  return file.metadata.sha256;
}

/** Where exported graphs of these weights are kept; another version of this program may export others. */
function cacheFolder(hash: string, precision: ExportPrecision): string {
  const root = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  return join(root, 'dagan', `${MANIFEST_FORMAT}-${VERSION}`, precision === 'float32' ? hash : `${hash}-${precision}`);
}
