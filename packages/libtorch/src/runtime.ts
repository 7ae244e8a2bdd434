// Random numbers, threads and facts about the linked LibTorch.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { addon, addonPath, type BuildInfo } from './native.js';
import { Tensor } from './tensor.js';

/** Seeds the random numbers of all devices. */
export function manualSeed(seed: number): void {
  if (!Number.isSafeInteger(seed)) throw new RangeError(`a seed must be a whole number, not ${seed}`);
  addon().manualSeed(seed);
}

/** State of a device's random numbers, as a uint8 tensor for `setRandomState`. */
export function randomState(device = 'cpu'): Tensor {
  return new Tensor(addon().randomState(device));
}

/** Takes up the random numbers where `randomState` saw them. */
export function setRandomState(state: Tensor, device = 'cpu'): void {
  addon().setRandomState(device, state.handle);
}

/** Threads that one operator may use on the CPU. */
export function getThreads(): number {
  return addon().getThreads();
}

export function setThreads(threads: number): void {
  addon().setThreads(threads);
}

/** Lets the CPU treat tiny (denormal) numbers as zero, which can be much faster. Returns whether it can. */
export function setFlushDenormal(enabled: boolean): boolean {
  return addon().setFlushDenormal(enabled);
}

/** Tensors alive in this process. Flat over the passes of a loop, or something is not disposed of. */
export function liveTensors(): number {
  return addon().liveTensors();
}

/** Whether the addon has been built, without loading it. */
export function isBuilt(): boolean {
  return existsSync(addonPath());
}

/** CUDA devices that can be used now. LibTorch, whose loading takes a while, is asked only where it was built for them. */
export function cudaDevices(): number {
  return isBuiltForCuda() ? buildInfo().cudaDevices : 0;
}

/** What the record beside the addon says of it; true where there is none. */
function isBuiltForCuda(): boolean {
  try {
    const record: { libtorch?: { cuda?: boolean } } = JSON.parse(
      readFileSync(join(dirname(addonPath()), 'libtorch.json'), 'utf8'),
    );
    return record.libtorch?.cuda !== false;
  } catch {
    return true;
  }
}

/** What the linked LibTorch says of itself. */
export function buildInfo(): BuildInfo {
  return addon().buildInfo();
}
