// A fetched model made ready: its networks on WebGPU where that works, else on wasm, and what they can do.
import { InnerMouth, PLANE } from 'dagan/animation';
import { daganConfig, type Manifest, OnnxEngine } from 'dagan/onnx';
import { type LoadedModel, type Provider, StudioEngineError } from './api.js';
import type { FetchedModel } from './model-files.js';
import { obstacleToWebGpu, type Runtime } from './runtime.js';

export type Model = {
  engine: OnnxEngine;
  facts: LoadedModel;
  /** Whether keypoints of drivers are the same whichever portrait they move. */
  seesDriversAlone: boolean;
};

/**
 * The sessions on WebGPU where it works, else on wasm.
 *
 * @throws StudioEngineError `no-webgpu` if it was asked for by name; the signal's reason
 */
export async function prepareModel(
  runtime: Runtime,
  fetched: FetchedModel,
  wanted: 'auto' | Provider,
  signal: AbortSignal,
): Promise<Model> {
  let fallback: string | null = null;
  if (wanted !== 'wasm') {
    const half = fetched.manifest.precision === 'float16';
    fallback = await obstacleToWebGpu({ half, insist: wanted === 'webgpu' });
    if (fallback === null) {
      try {
        return await start(runtime, fetched, 'webgpu', null);
      } catch (error) {
        signal.throwIfAborted();
        fallback = `the model does not run on the graphics processor (${(error as Error).message})`;
      }
    }
    if (wanted === 'webgpu')
      throw new StudioEngineError('no-webgpu', `WebGPU cannot be used: ${fallback}. Choose wasm.`);
  }
  signal.throwIfAborted();
  return start(runtime, fetched, 'wasm', fallback);
}

async function start(
  runtime: Runtime,
  fetched: FetchedModel,
  provider: Provider,
  fallback: string | null,
): Promise<Model> {
  const { manifest, read, bytes } = fetched;
  const ort = provider === 'webgpu' ? await runtime.withWebGpu() : await runtime.withWasm();
  const { threads } = runtime;
  const version = ort.env.versions.web ?? ort.env.versions.common;
  // WebAssembly computes convolutions of 8 bits in half the time (measured on an AMD EPYC); graphics processors have none.
  const int8 = provider === 'wasm' && manifest.int8 !== undefined;
  const where = provider === 'webgpu' ? 'WebGPU' : `wasm, ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
  const engine = await OnnxEngine.create(
    ort,
    { manifest, read },
    {
      int8,
      description: `ONNX Runtime ${version}, ${int8 ? 'int8' : manifest.precision}, ${where}`,
      session: {
        executionProviders: [provider],
        graphOptimizationLevel: 'all',
        logSeverityLevel: 3,
        extra: { session: { intra_op: { allow_spinning: '0' } } }, // decoding and encoding want the cores too
      },
    },
  );
  if (provider === 'webgpu') await tryOut(engine);
  const { size, description } = engine;
  const facts = { provider, fallback, description, size, bytes, ...abilities(manifest), weights: manifest.metadata };
  return { engine, facts, seesDriversAlone: (manifest.graphs.drive?.inputs.length ?? 1) === 1 };
}

type Abilities = Pick<
  LoadedModel,
  'hasDepth' | 'hasAttention' | 'hasOcclusion' | 'hasNames' | 'hasInnerMouth' | 'templates'
>;

/** What of a model can be shown, by what its graphs give. */
function abilities(manifest: Manifest): Abilities {
  const { graphs, keypoints: count, motion = PLANE, metadata } = manifest;
  const gives = (step: keyof Manifest['graphs'], name: string): boolean =>
    graphs[step]?.outputs.some((output) => output.name === name) ?? false;
  const names = daganConfig(manifest)?.semanticKeypoints ?? {};
  return {
    hasDepth: gives('drive', 'disparity') || gives('source', 'disparity'),
    hasAttention: gives('generate', 'attention_key'),
    hasOcclusion: gives('generate', 'occlusion_map'),
    hasNames: Object.keys(names).length > 0,
    hasInnerMouth: InnerMouth.of(names) !== undefined,
    templates:
      motion.dimensions === 2
        ? { count, hasJacobians: gives('drive', 'jacobians'), names, model: metadata.sha256 }
        : null,
  };
}

/** Runs all networks once: drivers that cannot do it fail here and not in the middle of a clip. @throws Error */
async function tryOut(engine: OnnxEngine): Promise<void> {
  const { size } = engine;
  const { meshPoints } = engine.motion;
  const data = Uint8Array.from({ length: 3 * size * size }, (_, i) => (i * 37) % 251);
  const picture = { width: size, height: size, data };
  const value = meshPoints && Float32Array.from({ length: 2 * meshPoints.length }, (_, i) => Math.sin(i) / 2);
  try {
    const { keypoints } = await engine.setSource(picture, value && { keypoints: { value, jacobian: null } });
    const [found] = meshPoints ? [{ keypoints }] : await engine.drive([picture]);
    await engine.generate([found!.keypoints]);
    if (!keypoints.value.every(Number.isFinite)) throw new Error('its results are not numbers');
  } catch (error) {
    engine.dispose();
    throw error;
  }
}
