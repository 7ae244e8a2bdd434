// Exported models on ONNX Runtime's Node package: animation without LibTorch.
import { availableParallelism } from 'node:os';
import { ExportedModelError, exportedFiles, readExportedFile, readManifest } from '../../export/exported-folder.js';
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

/**
 * The engine for an exported model's folder. The files must be the ones that the manifest was written for.
 *
 * @throws ExportedModelError for missing or damaged files and for providers that are not there; what ONNX Runtime itself
 *   refuses is its `cause`
 */
export async function loadOnnxRuntimeEngine(
  folder: string,
  { size, batchSize, threads = availableParallelism(), provider = 'cpu' }: OnnxRuntimeOptions = {},
): Promise<OnnxEngine> {
  const manifest = readManifest(folder);
  const { InferenceSession, Tensor, env } = await loadOnnxRuntime();
  const read = (file: string): Promise<Uint8Array> =>
    readExportedFile(folder, exportedFiles(manifest).find((described) => described.file === file)!);
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
    const message = `${folder} cannot be run on ${provider}: ${(error as Error).message}`;
    throw new ExportedModelError(message, { cause: error });
  }
}
