// Exported models on ONNX Runtime's Node package: animation without LibTorch.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { checkManifest, MANIFEST_NAME, type Manifest } from '../../export/manifest.js';
import { loadOnnxRuntime } from '../../onnx-runtime.js';
import { OnnxEngine } from './onnx.js';

/** Where ONNX Runtime can compute, by the names that its package gives. */
export const EXECUTION_PROVIDERS = ['cpu', 'cuda', 'tensorrt', 'dml', 'coreml', 'webgpu'] as const;

export type ExecutionProvider = (typeof EXECUTION_PROVIDERS)[number];

export type OnnxRuntimeOptions = {
  /** Side of the pictures in pixels; 256 if not given and not fixed by the export. */
  size?: number;
  batchSize?: number;
  /** Threads of the processor; one per processor if not given. */
  threads?: number;
  /** Where to compute; which ones there are depends on system and package. */
  provider?: ExecutionProvider;
};

/** A folder does not hold a usable exported model. The message names the file and the remedy. */
export class ExportedModelError extends Error {
  override readonly name = 'ExportedModelError';
}

/** Reads the manifest of an exported model's folder. @throws ExportedModelError */
export async function readManifest(folder: string): Promise<Manifest> {
  const path = join(folder, MANIFEST_NAME);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch {
    throw new ExportedModelError(`${path} cannot be read: name the folder that \`dagan export\` wrote`);
  }
  try {
    return checkManifest(JSON.parse(text));
  } catch (error) {
    throw new ExportedModelError(`${path}: ${(error as Error).message}; export the model again`);
  }
}

/**
 * The engine for an exported model's folder. The files must be the ones that the manifest was written for.
 *
 * @throws ExportedModelError for missing or damaged files and for providers that are not there
 */
export async function loadOnnxRuntimeEngine(
  folder: string,
  { size, batchSize, threads = availableParallelism(), provider = 'cpu' }: OnnxRuntimeOptions = {},
): Promise<OnnxEngine> {
  const manifest = await readManifest(folder);
  const { InferenceSession, Tensor, env } = await loadOnnxRuntime();
  const read = async (file: string): Promise<Uint8Array> => {
    const path = join(folder, file);
    const bytes = await readFile(path).catch(() => {
      throw new ExportedModelError(`${path} cannot be read: export the model again`);
    });
    const { sha256 } = Object.values(manifest.graphs).find((graph) => graph.file === file)!;
    if (createHash('sha256').update(bytes).digest('hex') === sha256) return bytes;
    throw new ExportedModelError(`${path} is not the file that its manifest was written for: export the model again`);
  };
  const where =
    provider === 'cpu' ? `cpu, ${manifest.precision}, ${threads} threads` : `${provider}, ${manifest.precision}`;
  try {
    return await OnnxEngine.create(
      { InferenceSession, Tensor },
      { manifest, read },
      {
        size,
        batchSize,
        description: `ONNX Runtime ${env.versions.node ?? env.versions.common}, ${where}`,
        session: {
          executionProviders: [provider],
          intraOpNumThreads: threads,
          interOpNumThreads: 1,
          graphOptimizationLevel: 'all',
          logSeverityLevel: 3,
          extra: { session: { intra_op: { allow_spinning: '0' } } }, // the codecs' processes want the cores too
        },
      },
    );
  } catch (error) {
    if (error instanceof ExportedModelError || error instanceof RangeError) throw error;
    throw new ExportedModelError(`${folder} cannot be run on ${provider}: ${(error as Error).message}`);
  }
}
