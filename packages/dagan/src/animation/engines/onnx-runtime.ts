// Exported models on ONNX Runtime's Node package: animation without LibTorch.
import { availableParallelism } from 'node:os';
import { checkExportedFile, ExportedModelError, exportedFiles, readManifest } from '../../export/exported-folder.js';
import { loadOnnxRuntime } from '../../onnx-runtime.js';
import { multipliesInt8, processorFeatures } from '../../processor.js';
import type { Engine } from '../engine.js';
import { EngineThreads, type LoadedEngine, type ModelFacts, shareThreads } from './engine-threads.js';
import { OnnxEngine } from './onnx.js';
import type { OnnxRuntimeOptions } from './options.js';
import { preparedGraphs, worthPreparing } from './prepared-graphs.js';

/**
 * Settings of sessions in which sums of 8-bit products are whole. Processors without VNNI cut them off at 16 bits otherwise; on those
 * with it, where they are whole, the same setting takes the kernels that do without, in five times the time.
 */
export const exactIn8Bits = (features = processorFeatures()): Record<string, string> =>
  multipliesInt8(features) ? {} : { x64quantprecision: '1' };

/**
 * The engine for an exported model's folder. The files must be the ones that the manifest was written for. On a processor
 * with several threads it is several engines that work on different frames.
 *
 * @throws ExportedModelError for missing or damaged files and for providers that are not there; what ONNX Runtime itself
 *   refuses is its `cause`, as long as there is one engine
 */
export async function loadOnnxRuntimeEngine(folder: string, options: OnnxRuntimeOptions = {}): Promise<Engine> {
  return (await openOnnxRuntimeEngine(folder, options)).engine;
}

/** The same, with what the manifest says of the model. */
export async function openOnnxRuntimeEngine(folder: string, options: OnnxRuntimeOptions = {}): Promise<LoadedEngine> {
  const { threads = availableParallelism(), provider = 'cpu', batchSize, ownThread = false } = options;
  const shares = ownThread ? [threads] : shareThreads(threads);
  if (provider !== 'cpu' || batchSize !== undefined || (shares.length === 1 && !ownThread)) {
    return { engine: await loadOnnxEngine(folder, { ...options, threads }), facts: factsOf(folder) };
  }
  const setups = shares.map((share) => ({ runtime: 'onnx', folder, options: { ...options, threads: share } }) as const);
  const engine = await EngineThreads.load(setups, (one) => one.replace(/\d+ threads$/, `${threads} threads`));
  return { engine, facts: engine.facts };
}

/** What the manifest of an exported model says of it. */
export function factsOf(folder: string): ModelFacts {
  const { config, metadata } = readManifest(folder);
  return { config, metadata };
}

/**
 * One engine in this thread; see `loadOnnxRuntimeEngine`.
 *
 * @param checked whether another engine of the same model has been loaded: its files are then known to be whole
 */
export async function loadOnnxEngine(
  folder: string,
  { size, batchSize, threads = availableParallelism(), int8 = false, provider = 'cpu' }: OnnxRuntimeOptions = {},
  { checked = false } = {},
): Promise<OnnxEngine> {
  const manifest = readManifest(folder);
  if (!checked) for (const described of exportedFiles(manifest)) checkExportedFile(folder, described);
  const { InferenceSession, Tensor, env } = await loadOnnxRuntime();
  const runtime = env.versions.node ?? env.versions.common;
  const precision = int8 && manifest.int8 ? 'int8' : manifest.precision;
  const where = provider === 'cpu' ? `cpu, ${precision}, ${threads} threads` : `${provider}, ${precision}`;
  const graphs = {
    executionProviders: [provider],
    graphOptimizationLevel: 'all',
    extra: { session: { ...exactIn8Bits(), intra_op: { allow_spinning: '0' } } }, // the codecs' processes want the cores too
  } as const;
  const options = {
    ...{ size, batchSize, int8, description: `ONNX Runtime ${runtime}, ${where}` },
    session: {
      ...graphs,
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      // Both keep more memory than they need, and gain nothing.
      ...{ enableCpuMemArena: false, enableMemPattern: false },
      logSeverityLevel: 3,
    },
  } as const;
  const openFrom = (from: string, more = {}) => {
    const session = { ...options.session, ...more };
    return OnnxEngine.open({ InferenceSession, Tensor }, { manifest, folder: from }, { ...options, session });
  };
  try {
    const make = (into: string) =>
      OnnxEngine.prepare({ InferenceSession, Tensor }, { manifest, folder }, options, into);
    const prepared =
      provider === 'cpu' && worthPreparing(manifest)
        ? await preparedGraphs({ manifest, size, int8, session: graphs, runtime }, checked ? undefined : make)
        : undefined;
    if (prepared !== undefined) {
      const engine = await openFrom(prepared, { graphOptimizationLevel: 'disabled' }).catch(() => undefined);
      if (engine) return engine; // else another program has made room in the cache
    }
    return await openFrom(folder);
  } catch (error) {
    if (error instanceof ExportedModelError || error instanceof RangeError) throw error;
    const message = `${folder} cannot be run on ${provider}: ${(error as Error).message}`;
    throw new ExportedModelError(message, { cause: error });
  }
}
