// A module's buffers, kept aside: a forward pass in training mode changes running statistics even if no step follows.
import { keep, nn, noGrad, type Tensor, tidy } from '@dagan/libtorch';

/**
 * Runs a step in a scope of its own: what it returns belongs to the caller's. If it throws, the buffers of some modules (running
 * statistics, vectors of spectral norms) are what they were.
 */
export function keepingBuffers<T>(modules: readonly nn.Module[], step: () => T): T {
  return tidy(() => {
    using before = new BufferSnapshot(modules);
    try {
      return step();
    } catch (error) {
      before.restore();
      throw error;
    }
  });
}

class BufferSnapshot {
  readonly #copies: readonly (readonly [buffer: Tensor, copy: Tensor])[];

  constructor(modules: readonly nn.Module[]) {
    const buffers = modules.flatMap((module) => [...module.stateDict().values()]);
    this.#copies = buffers
      .filter((value) => !(value instanceof nn.Parameter))
      .map((buffer) => [buffer, keep(tidy(() => buffer.detach().clone()))]);
  }

  /** Puts the buffers back to what they were. */
  restore(): void {
    noGrad(() => {
      for (const [buffer, copy] of this.#copies) buffer.copy_(copy);
    });
  }

  [Symbol.dispose](): void {
    for (const [, copy] of this.#copies) copy.dispose();
  }
}
