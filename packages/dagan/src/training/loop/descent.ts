// Parameters that learn from one loss: their optimisers, the means of their gradients over the ranks, the largest norm of these.
import { backward, type distributed, type nn, optim, type Tensor } from '@dagan/libtorch';
import { NonFiniteLossError } from '../run/non-finite-loss.js';

export class Descent {
  readonly #parameters: readonly nn.Parameter[];
  readonly #averager: optim.GradientAverager;

  /**
   * @param name of what learns, for errors
   * @param clipNorm largest Euclidean norm of all gradients together; null for any
   */
  constructor(
    readonly name: string,
    readonly optimizers: readonly optim.Adam[],
    readonly clipNorm: number | null,
    group: distributed.ProcessGroup | null,
  ) {
    this.#parameters = optimizers.flatMap(({ parameters }) => parameters);
    this.#averager = new optim.GradientAverager(this.#parameters, group);
  }

  zeroGrad(): void {
    for (const optimizer of this.optimizers) optimizer.zeroGrad();
  }

  /**
   * Adds the gradients of a loss.
   * @param last whether no other loss follows before `finish`: what is complete then travels during the backward pass
   */
  backward(loss: Tensor, { last }: { last: boolean }): void {
    if (last) this.#averager.start();
    backward([loss]);
  }

  /**
   * Makes the gradients means over the ranks and clips them -> their norm before.
   * @throws NonFiniteLossError in all ranks, before anything has learned
   */
  finish(): number {
    this.#averager.finish();
    const norm = optim.clipGradNorm(this.#parameters, this.clipNorm ?? Number.POSITIVE_INFINITY);
    if (!Number.isFinite(norm)) throw new NonFiniteLossError(`gradient of ${this.name}`);
    return norm;
  }

  step(): void {
    for (const optimizer of this.optimizers) optimizer.step();
  }

  set learningRate(rate: number) {
    for (const optimizer of this.optimizers) optimizer.lr = rate;
  }

  /** Frees the optimisers' averages; the parameters stay. */
  dispose(): void {
    for (const optimizer of this.optimizers) optimizer.dispose();
    this.#averager.dispose();
  }
}
