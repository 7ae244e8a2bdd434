// Random numbers, threads and facts about the linked LibTorch.
import { existsSync } from 'node:fs';
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

/** What the linked LibTorch says of itself. */
export function buildInfo(): BuildInfo {
  return addon().buildInfo();
}
