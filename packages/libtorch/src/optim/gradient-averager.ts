// Data-parallel training: every rank computes the gradients of its share of the batch, and all step along their mean
// (Li et al., "PyTorch Distributed: Experiences on Accelerating Data Parallel Training", 2020).
import type { ProcessGroup } from '../distributed.js';
import type { NativeGradientBuckets } from '../native.js';
import type { Parameter } from '../nn/module.js';

/**
 * Makes the gradients of parameters their mean over all ranks. They travel in buckets, each as soon as the backward pass
 * has completed its gradients, so that computing and sending overlap.
 *
 * Parameters that require no gradient when this is made are left out. All ranks must make it with the same parameters and
 * run the same passes. In a world of one nothing happens.
 */
export class GradientAverager {
  #buckets: NativeGradientBuckets | null;

  /** @param bucketBytes how much travels at once: less starts earlier, more has less overhead */
  constructor(
    parameters: readonly Parameter[],
    group: ProcessGroup | null,
    { bucketBytes = 4 * 2 ** 20 }: { bucketBytes?: number } = {},
  ) {
    const learning = parameters.filter((parameter) => parameter.requiresGrad);
    this.#buckets = learning.length > 0 ? (group?.gradientBuckets(learning, bucketBytes) ?? null) : null;
  }

  /** Call it before the backward pass after which the gradients are complete. What it adds to is sent along. */
  start(): void {
    this.#buckets?.start();
  }

  /**
   * Blocks until all gradients are means. A parameter that got no gradient in any rank keeps none.
   *
   * @throws Error that names the rank if another one has ended or stays away; the gradients are of no use then
   */
  finish(): void {
    this.#buckets?.finish();
  }

  /** Lets the parameters go. */
  dispose(): void {
    this.#buckets?.dispose();
    this.#buckets = null;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
