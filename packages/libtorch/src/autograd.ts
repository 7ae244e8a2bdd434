// Reverse-mode differentiation and mixed precision, as scopes around code.
import type { DType } from './dtype.js';
import { addon } from './native.js';
import { synchronous } from './scope.js';
import { Tensor } from './tensor.js';

/** Runs `body` without recording for autograd. */
export function noGrad<T>(body: () => T): T {
  const before = addon().setGradMode(false);
  try {
    return synchronous('noGrad', body());
  } finally {
    addon().setGradMode(before);
  }
}

/** Runs `body` with recording for autograd, also inside `noGrad`. */
export function enableGrad<T>(body: () => T): T {
  const before = addon().setGradMode(true);
  try {
    return synchronous('enableGrad', body());
  } finally {
    addon().setGradMode(before);
  }
}

/** Backward pass from several tensors at once, such as the losses of one step. */
export function backward(tensors: readonly Tensor[], { retainGraph = false } = {}): void {
  addon().backward(
    tensors.map((entry) => entry.handle),
    null,
    retainGraph,
    false,
  );
}

/**
 * Gradients of `outputs` with respect to `inputs`, returned instead of added to `grad`.
 *
 * @param gradients weights of the outputs' elements; needed for outputs with more than one
 * @param createGraph to differentiate the result again
 * @param allowUnused gives null for inputs that the outputs do not depend on, instead of an error
 */
export function grad(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  options: { gradients?: readonly Tensor[]; retainGraph?: boolean; createGraph?: boolean; allowUnused?: boolean } = {},
): (Tensor | null)[] {
  const { gradients, createGraph = false, retainGraph = createGraph, allowUnused = false } = options;
  return addon()
    .grad(
      outputs.map((entry) => entry.handle),
      inputs.map((entry) => entry.handle),
      gradients ? gradients.map((entry) => entry.handle) : null,
      retainGraph,
      createGraph,
      allowUnused,
    )
    .map((handle) => (handle === null ? null : new Tensor(handle)));
}

/**
 * Runs `body` with convolutions and matrix products in 16 bits and what is sensitive in float32, as LibTorch's autocast
 * decides. Weights stay float32.
 */
export function autocast<T>(
  { device = 'cpu', dtype = 'bfloat16', enabled = true }: { device?: string; dtype?: DType; enabled?: boolean },
  body: () => T,
): T {
  const kind = device.startsWith('cuda') ? 'cuda' : 'cpu';
  const before = addon().setAutocast(kind, enabled, dtype);
  try {
    return synchronous('autocast', body());
  } finally {
    addon().setAutocast(kind, before.enabled, before.dtype);
  }
}
