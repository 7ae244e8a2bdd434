// ONNX Runtime in the worker: which of its builds, how many threads, and whether WebGPU is of use here.
import { type NetworkRuntime, sessionNetworks } from 'dagan/faces/portable';
import type * as Ort from 'onnxruntime-web';
import { StudioEngineError } from './api.js';
import { RUNTIME_FILES, type RuntimeBuild } from './runtime-files.js';

export type OrtModule = typeof Ort;

/** More threads than this do not make pictures of 256 x 256 any faster. */
const MOST_THREADS = 8;

/** The part of WebGPU's adapters that is looked at; TypeScript's own types do not have WebGPU. */
type Adapter = {
  features: ReadonlySet<string>;
  info?: { vendor?: string; architecture?: string; isFallbackAdapter?: boolean };
};

type Gpu = { requestAdapter(options: { powerPreference: 'high-performance' }): Promise<Adapter | null> };

/** Loads builds of the runtime when they are first needed, and remembers them. */
export class Runtime {
  readonly threads: number;
  readonly #builds = new Map<RuntimeBuild, Promise<OrtModule>>();

  /** @param wanted threads of the processor; one where pages may not share memory */
  constructor(wanted: number = navigator.hardwareConcurrency) {
    this.threads = crossOriginIsolated ? Math.max(1, Math.min(wanted, MOST_THREADS)) : 1;
  }

  /** The build that has WebGPU. */
  withWebGpu(): Promise<OrtModule> {
    return this.#load('Suspending' in WebAssembly ? 'jspi' : 'asyncify');
  }

  /** A build that is quick on the processor, as `asyncify` is not; one that is there already, if there is one. */
  withWasm(): Promise<OrtModule> {
    return this.#builds.get('jspi') ?? this.#load('plain');
  }

  /** Runs the face networks: on the processor, for anything else they are too small. */
  forFaces(): NetworkRuntime {
    const anyBuild = (): Promise<OrtModule> => this.#builds.values().next().value ?? this.withWasm();
    return sessionNetworks(anyBuild, { executionProviders: ['wasm'] });
  }

  #load(build: RuntimeBuild): Promise<OrtModule> {
    const known = this.#builds.get(build);
    if (known) return known;
    const loading = this.#import(build);
    this.#builds.set(build, loading);
    loading.catch(() => this.#builds.delete(build));
    return loading;
  }

  async #import(build: RuntimeBuild): Promise<OrtModule> {
    const modules = {
      plain: () => import('onnxruntime-web/wasm'),
      jspi: () => import('onnxruntime-web/jspi'),
      asyncify: () => import('onnxruntime-web/webgpu'),
    };
    let ort: OrtModule;
    try {
      ort = await modules[build]();
    } catch {
      throw new StudioEngineError(
        'offline',
        'A part of the page could not be loaded: check the connection and try again.',
      );
    }
    ort.env.logLevel = 'error';
    ort.env.wasm.wasmPaths = RUNTIME_FILES[build];
    ort.env.wasm.numThreads = this.threads;
    return ort;
  }
}

/**
 * Why WebGPU is of no use here, in words for people; null if it is worth trying.
 *
 * @param half whether the model computes in float16
 * @param insist whether software that plays a graphics processor, slower than wasm, is good enough
 */
export async function obstacleToWebGpu({ half, insist }: { half: boolean; insist: boolean }): Promise<string | null> {
  const { gpu } = navigator as Navigator & { gpu?: Gpu };
  if (!gpu) return 'this browser has no WebGPU';
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' }).catch(() => null);
  if (!adapter) return 'the browser offers no graphics processor';
  const { info } = adapter;
  if (!insist && (info?.isFallbackAdapter || info?.architecture === 'swiftshader')) {
    return 'the browser offers no graphics processor, only software in its place';
  }
  if (half && !adapter.features.has('shader-f16')) return 'the graphics processor has no 16-bit arithmetic';
  return null;
}
