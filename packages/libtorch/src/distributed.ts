// Process groups: several processes (ranks) that train, evaluate or animate together.
//
// The groups are c10d's, LibTorch's own: Gloo on CPUs, NCCL on CUDA devices. Every rank runs the same program and calls
// the same collectives in the same order, with tensors of the same shape and dtype.
import { addon, type NativeGradientBuckets, type NativeProcessGroup, type NativeWork } from './native.js';
import { type Tensor, tensorOf } from './tensor.js';

/** What carries the data: Gloo between CPUs, NCCL between CUDA devices. */
export type Backend = 'gloo' | 'nccl';

/** How values of the ranks become one. */
export type ReduceOperation = 'sum' | 'mean' | 'max' | 'min';

/** Where a rank finds the others. */
export type InitOptions = {
  /** Default: 'gloo'. */
  backend?: Backend;
  /** This process's number, from 0 to `worldSize - 1`. */
  rank: number;
  /** Number of processes. */
  worldSize: number;
  /** This process's number among those of its machine, to choose a device by. Default: 0. */
  localRank?: number;
  /** Host name or address of rank 0. A world of one needs none. */
  masterAddress?: string;
  /** A free TCP port of rank 0's machine, the same in all ranks. A world of one needs none. */
  masterPort?: number;
  /** How long joining and every collective may wait for other ranks. Default: 600. */
  timeoutSeconds?: number;
  /**
   * Under which name the group meets in a store that runs at the master's address already: a launcher's, or that of an
   * earlier group. Default: rank 0 runs a store for this group.
   */
  storePrefix?: string;
};

/** Environment variables, such as `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Weights and running statistics of a batch norm, [C] each. */
export type BatchNormState = {
  weight: Tensor | null;
  bias: Tensor | null;
  runningMean: Tensor;
  runningVar: Tensor;
  momentum: number;
  eps: number;
};

const batchNormArguments = (input: Tensor, { weight, bias, runningMean, runningVar, momentum, eps }: BatchNormState) =>
  [
    input.handle,
    weight?.handle ?? null,
    bias?.handle ?? null,
    runningMean.handle,
    runningVar.handle,
    momentum,
    eps,
  ] as const;

/** An all-reduce under way. The tensor must not be used before `wait` has returned. */
export class Work {
  readonly #tensor: Tensor;
  readonly #work: NativeWork | null;

  constructor(tensor: Tensor, work: NativeWork | null) {
    this.#tensor = tensor;
    this.#work = work;
  }

  /** Whether `wait` would return (or throw) at once. */
  get done(): boolean {
    return this.#work?.isDone() ?? true;
  }

  /** Blocks until the result is in the tensor, and returns it. Throws as the blocking call would. */
  wait(): Tensor {
    this.#work?.wait();
    return this.#tensor;
  }
}

/**
 * One rank's end of a group. Collectives block until done; they throw an Error that names the rank and the collective
 * when another rank has ended or stays away for longer than the group's timeout. The group is of no use after that.
 */
export class ProcessGroup {
  readonly rank: number;
  readonly worldSize: number;
  /** Number among the ranks on this machine; the CUDA device to use is `cuda:${localRank}`. */
  readonly localRank: number;
  #native: NativeProcessGroup | null;
  #disposed = false;

  /** Use `init` or `initFromEnvironment`. @param native null for a world of one */
  constructor(native: NativeProcessGroup | null, { rank, worldSize, localRank = 0 }: InitOptions) {
    this.#native = native;
    this.rank = rank;
    this.worldSize = worldSize;
    this.localRank = localRank;
  }

  /** Overwrites the tensor with rank `root`'s. Returns the tensor. */
  broadcast(tensor: Tensor, root = 0): Tensor {
    if (!Number.isInteger(root) || root < 0 || root >= this.worldSize) {
      throw new RangeError(`broadcast: the root must be a rank from 0 to ${this.worldSize - 1}, not ${root}`);
    }
    this.#connection()?.broadcast(tensor.handle, root);
    return tensor;
  }

  /** Overwrites the tensor with the sum, mean, maximum or minimum over ranks. Returns the tensor. */
  allReduce(tensor: Tensor, operation: ReduceOperation = 'sum'): Tensor {
    return this.startAllReduce(tensor, operation).wait();
  }

  /** `allReduce` in the background, so that computation can go on; `wait()` on what it returns. */
  startAllReduce(tensor: Tensor, operation: ReduceOperation = 'sum'): Work {
    return new Work(tensor, this.#connection()?.startAllReduce(tensor.handle, operation) ?? null);
  }

  /**
   * The sum over ranks as a new tensor that autograd records: y = sum_r x_r. Since the losses of all ranks depend on
   * x_r, its gradient is the sum over ranks of the gradients of y; all ranks must run that backward pass.
   */
  allReduceWithGradient(tensor: Tensor): Tensor {
    const native = this.#connection();
    return native ? tensorOf(native.allReduceWithGradient(tensor.handle)) : tensor.clone();
  }

  /** The tensors of all ranks, in the order of ranks, as new tensors. */
  allGather(tensor: Tensor): Tensor[] {
    const native = this.#connection();
    return native ? native.allGather(tensor.handle).map(tensorOf) : [tensor.detach().clone()];
  }

  /**
   * What `nn.SyncBatchNorm2d` does in training: batch norm with statistics over all ranks, which autograd records; the
   * running statistics are taken along. Null in a world of one.
   *
   * @param input [N, C, H, W]
   */
  syncBatchNorm(input: Tensor, layer: BatchNormState): Tensor | null {
    const native = this.#connection();
    if (!native) return null;
    return tensorOf(native.syncBatchNorm(...batchNormArguments(input, layer)));
  }

  /** The same, then ReLU and the mean of every `pool` x `pool` pixels (`F.batchNormRelu`). */
  syncBatchNormRelu(input: Tensor, layer: BatchNormState, pool: number): Tensor | null {
    const native = this.#connection();
    if (!native?.syncBatchNormRelu) return null;
    return tensorOf(native.syncBatchNormRelu(...batchNormArguments(input, layer), pool));
  }

  /** What `optim.GradientAverager` is made of; null in a world of one. All ranks must call it with the same parameters. */
  gradientBuckets(parameters: readonly Tensor[], bucketBytes: number): NativeGradientBuckets | null {
    const handles = parameters.map((parameter) => parameter.handle);
    return this.#connection()?.gradientBuckets(handles, bucketBytes) ?? null;
  }

  /** Returns when all ranks have called it. */
  barrier(): void {
    this.#connection()?.barrier();
  }

  /** Leaves the group, after collectives that are under way. Calling it again does nothing. */
  dispose(): void {
    this.#native?.dispose();
    this.#native = null;
    this.#disposed = true;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #connection(): NativeProcessGroup | null {
    if (this.#disposed) throw new TypeError('this process group has been disposed');
    return this.#native;
  }
}

/** The backends that this build of the addon has; without any, a world has one rank. */
export function backends(): readonly Backend[] {
  return addon().processGroupBackends;
}

function checkRange(name: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`${name} must be a whole number from ${least} to ${most}, not ${value}`);
  }
}

/**
 * Joins the group that rank 0 opens at `masterAddress:masterPort`. Blocks until all ranks have joined. A world of one
 * needs neither address nor port, nor a LibTorch with process groups.
 *
 * @throws RangeError or TypeError on options that cannot be, Error if the other ranks do not come in time
 */
export function init(options: InitOptions): ProcessGroup {
  const { backend = 'gloo', rank, worldSize, localRank = 0, masterAddress, masterPort } = options;
  const { timeoutSeconds = 600, storePrefix = '' } = options;
  checkRange('worldSize', worldSize, 1, 65536);
  checkRange('rank', rank, 0, worldSize - 1);
  checkRange('localRank', localRank, 0, worldSize - 1);
  if (!(timeoutSeconds >= 0.001 && timeoutSeconds <= 1e6)) {
    throw new RangeError(`timeoutSeconds must be a positive number up to 1000000, not ${timeoutSeconds}`);
  }
  if (worldSize === 1) return new ProcessGroup(null, options);
  if (!masterAddress) throw new TypeError('masterAddress must name the host of rank 0');
  checkRange('masterPort', masterPort ?? Number.NaN, 1, 65535);
  const available = backends();
  if (available.length > 0 && !available.includes(backend)) {
    throw new TypeError(`this LibTorch has no process groups of '${backend}', only of ${available.join(' and ')}`);
  }
  const milliseconds = Math.round(timeoutSeconds * 1000);
  const native = addon().joinProcessGroup(
    backend,
    rank,
    worldSize,
    masterAddress,
    masterPort!,
    milliseconds,
    storePrefix,
  );
  return new ProcessGroup(native, options);
}

const VARIABLES = ['RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT'] as const;
type Variable = (typeof VARIABLES)[number];

/**
 * Joins the group that `RANK`, `WORLD_SIZE`, `LOCAL_RANK` (0 if not set), `MASTER_ADDR` and `MASTER_PORT` describe, as
 * launchers of distributed PyTorch jobs set them. Without any of them the world is this process alone.
 *
 * Under `torchrun` (`TORCHELASTIC_USE_AGENT_STORE`) the ranks meet in the store of its agent, which must be of the same
 * LibTorch version. Gloo binds to the address from which this machine reaches the master; `GLOO_SOCKET_IFNAME` names another interface.
 *
 * @throws Error that names the variable if one is missing or cannot be
 */
export function initFromEnvironment({
  environment = process.env,
  ...options
}: Pick<InitOptions, 'backend' | 'timeoutSeconds'> & { environment?: Environment } = {}): ProcessGroup {
  const present = VARIABLES.filter((name) => environment[name]);
  if (present.length === 0) return init({ ...options, rank: 0, worldSize: 1 });

  const text = (name: Variable): string => {
    const value = environment[name];
    if (!value) throw new Error(`${name} is not set, but ${present.join(', ')} is: set ${name} too, or none of them`);
    return value;
  };
  const whole = (name: Variable, least: number, most: number): number => {
    const value = text(name);
    const parsed = /^\d+$/.test(value) ? Number(value) : Number.NaN;
    if (!(parsed >= least && parsed <= most)) {
      throw new Error(`${name} must be a whole number from ${least} to ${most}, not '${value}'`);
    }
    return parsed;
  };

  const worldSize = whole('WORLD_SIZE', 1, 65536);
  const rank = whole('RANK', 0, worldSize - 1);
  const localRank = environment.LOCAL_RANK ? whole('LOCAL_RANK', 0, worldSize - 1) : 0;
  if (worldSize === 1) return init({ ...options, rank, worldSize, localRank });
  const masterAddress = text('MASTER_ADDR');
  const masterPort = whole('MASTER_PORT', 1, 65535);
  const attempt = environment.TORCHELASTIC_RESTART_COUNT ?? '0';
  const storePrefix = environment.TORCHELASTIC_USE_AGENT_STORE === 'True' ? `attempt_${attempt}` : undefined;
  return init({ ...options, rank, worldSize, localRank, masterAddress, masterPort, storePrefix });
}
