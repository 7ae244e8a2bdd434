// Loads the addon and gives its functions types. Nothing else in the package touches the addon's file.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { DType, TensorData } from './dtype.js';

/** An opaque reference to a native tensor. */
export type Handle = { readonly __nativeTensor: unique symbol };

/** What crosses the operator door, either way. */
export type NativeValue = Handle | number | bigint | boolean | string | null | undefined | readonly NativeValue[];

/** An operator as LibTorch's dispatcher knows it. */
export type NativeOperator = { index: number; schema: string; arguments: string[] };

/** What the linked LibTorch says of itself. */
export type BuildInfo = {
  /** LibTorch's version, such as "1.13.0". */
  version: string;
  /** CUDA devices that can be used now; 0 without CUDA. */
  cudaDevices: number;
  /** Whether convolutions on the CPU run through oneDNN. */
  onednn: boolean;
  /** LibTorch's own description of how it was built. */
  configuration: string;
  /** LibTorch's own description of its threading. */
  parallel: string;
};

/** What all calls of one operator with inputs of the same shapes took together, without the operators that it called. */
export type OperatorTime = {
  /** As the dispatcher or the autograd engine names it, such as `aten::convolution_backward`. */
  name: string;
  /** Dtypes and shapes of the tensors that went in; `nhwc` where channels lie innermost, `strided` where there are gaps. */
  inputs: string;
  calls: number;
  /** By the clock. */
  milliseconds: number;
  /** What the calling thread computed: with `setThreads(1)` all of it, whatever else the machine did. */
  computed: number;
};

/** A collective under way in a process group. */
export type NativeWork = { wait(): void; isDone(): boolean };

/** Gradients that are averaged over ranks during the backward pass. */
export type NativeGradientBuckets = { start(): void; finish(): void; dispose(): void };

/** A batch norm in training. */
type BatchNormArguments = [
  input: Handle,
  weight: Handle | null,
  bias: Handle | null,
  runningMean: Handle,
  runningVar: Handle,
  momentum: number,
  eps: number,
];

/** The same, and the side of the squares of pixels whose mean is taken behind it. */
type BatchNormReluArguments = [...BatchNormArguments, pool: number];

/** One rank's end of a process group. */
export type NativeProcessGroup = {
  startAllReduce(tensor: Handle, operation: string): NativeWork;
  allReduceWithGradient(tensor: Handle): Handle;
  syncBatchNorm(...args: BatchNormArguments): Handle;
  /** Missing in addons that were built before there was one. */
  syncBatchNormRelu?(...args: BatchNormReluArguments): Handle;
  gradientBuckets(parameters: Handle[], bucketBytes: number): NativeGradientBuckets;
  broadcast(tensor: Handle, root: number): void;
  allGather(tensor: Handle): Handle[];
  barrier(): void;
  dispose(): void;
};

type Addon = {
  lookup(name: string): NativeOperator;
  operatorNames(): string[];
  call(operator: number, args: readonly NativeValue[]): NativeValue;
  fromData(data: TensorData | ArrayBuffer, shape: readonly number[], dtype: DType): Handle;
  toData(tensor: Handle): ArrayBuffer;
  copyTo(tensor: Handle, data: TensorData): void;
  shape(tensor: Handle): number[];
  dtype(tensor: Handle): DType;
  device(tensor: Handle): string;
  isContiguous(tensor: Handle, memoryFormat: string): boolean;
  free(tensor: Handle): boolean;
  liveTensors(): number;
  /** Missing in addons that were built before there was one. */
  trainingConv2d?(input: Handle, weight: Handle, bias: Handle | null, padding: number): Handle;
  /** Missing likewise. */
  batchNormRelu?(...args: BatchNormReluArguments): Handle;
  /** Missing likewise. */
  meanAbsoluteDifference?(a: Handle, b: Handle): Handle;
  gridSample?(input: Handle, grid: Handle, alignCorners: boolean): Handle;
  backward(tensors: Handle[], gradients: (Handle | null)[] | null, retainGraph: boolean, createGraph: boolean): void;
  grad(
    outputs: Handle[],
    inputs: Handle[],
    gradients: (Handle | null)[] | null,
    retainGraph: boolean,
    createGraph: boolean,
    allowUnused: boolean,
  ): (Handle | null)[];
  gradOf(tensor: Handle): Handle | null;
  setGrad(tensor: Handle, gradient: Handle | null): void;
  requiresGrad(tensor: Handle): boolean;
  setRequiresGrad(tensor: Handle, required: boolean): void;
  isLeaf(tensor: Handle): boolean;
  setGradMode(enabled: boolean): boolean;
  setAutocast(device: 'cpu' | 'cuda', enabled: boolean, dtype: DType): { enabled: boolean; dtype: DType };
  manualSeed(seed: number): void;
  randomState(device: string): Handle;
  setRandomState(device: string, state: Handle): void;
  getThreads(): number;
  setThreads(threads: number): void;
  setFlushDenormal(enabled: boolean): boolean;
  buildInfo(): BuildInfo;
  startProfile(): void;
  stopProfile(): OperatorTime[];
  processGroupBackends: ('gloo' | 'nccl')[];
  joinProcessGroup(
    backend: string,
    rank: number,
    worldSize: number,
    host: string,
    port: number,
    timeoutMilliseconds: number,
    storePrefix: string,
  ): NativeProcessGroup;
};

/** The addon's file: `DAGAN_LIBTORCH_ADDON`, or where the build puts it. */
export function addonPath(): string {
  return process.env.DAGAN_LIBTORCH_ADDON || fileURLToPath(new URL('../../build/libtorch.node', import.meta.url));
}

/**
 * OpenMP's threads shall sleep while they wait for each other. By default they spin, and where another program wants the
 * same cores (the decoder of a clip, say) everything waits for a spinning thread: measured five times slower.
 */
function letThreadsSleep(): void {
  process.env.OMP_WAIT_POLICY ??= 'passive';
}

function load(): Addon {
  letThreadsSleep();
  const path = addonPath();
  if (!existsSync(path)) {
    throw new Error(`the LibTorch addon has not been built (${path} is missing): run "npx dagan setup"`);
  }
  try {
    const loaded = createRequire(import.meta.url)(path) as Addon;
    // LibTorch counts physical cores and may find one where virtual machines have several.
    if (!process.env.OMP_NUM_THREADS) loaded.setThreads(availableParallelism());
    return loaded;
  } catch (error) {
    throw new Error(`the LibTorch addon ${path} cannot be loaded: ${(error as Error).message}; run "npx dagan setup"`);
  }
}

let loaded: Addon | undefined;

/** The addon, loaded at first use. */
export function addon(): Addon {
  loaded ??= load();
  return loaded;
}
