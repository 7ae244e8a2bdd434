// Which engine animates: LibTorch, or ONNX Runtime with an exported model.
import { existsSync, statSync } from 'node:fs';
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
import { exportModel, MANIFEST_FORMAT, MANIFEST_NAME } from '../export/index.js';
import { type ModelMetadata, weightsHash } from '../models/index.js';
import { defaultCheckpoint, defaultExport } from './default-model.js';
import { UserError } from './errors.js';
import { applyThreads, chooseDevice, chooseModel, choosePrecision, NETWORK_SIZE } from './model.js';
import type { ModelOptions } from './options.js';
import { VERSION } from './provenance.js';
import type { Reporter } from './report.js';

export type EngineOptions = ModelOptions & { engine: 'auto' | 'libtorch' | 'onnx' };

export type ChosenEngine = {
  engine: Engine;
  metadata: ModelMetadata;
  /** Whether training made the weights. */
  trained: boolean;
};

export function addEngineOption(command: Command): Command {
  return command.addOption(
    new Option(
      '--engine <name>',
      'what runs the networks; onnx: ONNX Runtime, which needs no LibTorch but an exported model (a folder as ' +
        '--checkpoint) and takes dml, coreml and webgpu as --device too, where they are there; auto: LibTorch if it has ' +
        'been set up and the model is not an exported one',
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
  if (exported !== undefined) {
    if (options.engine === 'libtorch') {
      throw new UserError(
        `${exported}: exported models run on ONNX Runtime; name the model's own file, or leave --engine out`,
      );
    }
    return onnxEngine(exported, options);
  }
  if (!isBuilt()) {
    const model = options.checkpoint ?? 'a model';
    const remedy = 'run "npm run setup", or name the folder of an exported model (`dagan export`) with --checkpoint';
    throw new UserError(`LibTorch has not been set up, and ${model} needs it: ${remedy}`);
  }
  if (options.engine === 'onnx') return exportedOnTheFly(options, reporter);
  applyThreads(options);
  const device = chooseDevice(options.device);
  const precision = choosePrecision(options.precision, device);
  const { model, metadata, trained } = chooseModel(options, reporter);
  const engine = new LibtorchEngine(model, { size: NETWORK_SIZE, precision, device });
  return { engine, metadata, trained };
}

/** The folder of an exported model, where the options name one, or name nothing and one is all there is. */
function exportedFolder({ checkpoint, engine }: EngineOptions): string | undefined {
  if (checkpoint !== undefined) {
    if (!existsSync(checkpoint)) throw new UserError(`${checkpoint}: no such file or folder`);
    if (!statSync(checkpoint).isDirectory()) return undefined;
    if (existsSync(join(checkpoint, MANIFEST_NAME))) return checkpoint;
    throw new UserError(
      `${checkpoint}: holds no ${MANIFEST_NAME}, so it is no exported model (\`dagan export\` makes one)`,
    );
  }
  const needed = engine === 'onnx' || (engine === 'auto' && !isBuilt()) || defaultCheckpoint() === undefined;
  return engine !== 'libtorch' && needed ? defaultExport() : undefined;
}

async function onnxEngine(folder: string, { device, precision, threads }: EngineOptions): Promise<ChosenEngine> {
  const manifest = await readManifest(folder);
  if (precision !== 'auto' && precision !== manifest.precision) {
    throw new UserError(`${folder} was exported in ${manifest.precision}: leave --precision out, or export it anew`);
  }
  const provider = device === 'auto' ? 'cpu' : EXECUTION_PROVIDERS.find((name) => name === device);
  if (provider === undefined) {
    throw new UserError(`ONNX Runtime has no device '${device}': name auto, ${EXECUTION_PROVIDERS.join(', ')}`);
  }
  const engine = await loadOnnxRuntimeEngine(folder, { size: manifest.size ?? NETWORK_SIZE, threads, provider });
  return { engine, metadata: manifest.weights, trained: true };
}

/** Exports the model into the user's cache, unless the same weights have been, and runs it from there. */
async function exportedOnTheFly(options: EngineOptions, reporter: Reporter): Promise<ChosenEngine> {
  const path = options.checkpoint ?? defaultCheckpoint();
  const known = path?.endsWith('.safetensors') ? statedHash(path) : undefined;
  if (known !== undefined && existsSync(join(cacheFolder(known), MANIFEST_NAME))) {
    return onnxEngine(cacheFolder(known), options);
  }
  const { model, metadata, trained } = chooseModel(options, reporter);
  const hash = metadata.sha256 ?? weightsHash(model.stateDict());
  const folder = cacheFolder(hash);
  if (!existsSync(join(folder, MANIFEST_NAME))) {
    reporter.notice(`exporting the model to ${folder}`);
    await exportModel(model, folder, { metadata, exportedBy: `dagan ${VERSION}` });
  }
  model.dispose();
  return { ...(await onnxEngine(folder, options)), trained };
}

function statedHash(path: string): string | undefined {
  using file = openCheckpoint(path);
  return file.metadata.sha256;
}

/** Where exported graphs of these weights are kept; another version of this program may export others. */
function cacheFolder(hash: string): string {
  const root = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  return join(root, 'dagan', `${MANIFEST_FORMAT}-${VERSION}`, hash);
}
