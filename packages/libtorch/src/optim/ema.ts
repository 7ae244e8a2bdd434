// Exponential moving average of a network's weights (Polyak and Juditsky, "Acceleration of Stochastic Approximation by
// Averaging", 1992): the average of the last steps is often the better network than the last step itself.
import { noGrad } from '../autograd.js';
import type { DType } from '../dtype.js';
import { copyState, type Module, Parameter, type StateDict } from '../nn/module.js';
import { call } from '../operator.js';
import { keep, tidy } from '../scope.js';
import type { Tensor } from '../tensor.js';

const FRACTIONAL: ReadonlySet<DType> = new Set(['float64', 'float32', 'float16', 'bfloat16']);

/**
 * Keeps a second set of a module's parameters that follows the first: average <- decay average + (1 - decay) parameter at
 * every `update()`. Running statistics are averaged alike: of themselves they are those of the last few batches, too noisy
 * for weights of many steps. Whole numbers (counters) are copied.
 */
export class ExponentialMovingAverage {
  readonly module: Module;
  readonly decay: number;
  readonly #averages: ReadonlyMap<string, Tensor>;
  #swapped = false;

  /** @param decay how slowly the average forgets, from 0 (it is the last step) to below 1 */
  constructor(module: Module, decay = 0.999) {
    if (!(decay >= 0 && decay < 1))
      throw new RangeError(`the decay of an average must be from 0 to below 1, not ${decay}`);
    this.module = module;
    this.decay = decay;
    const copies = tidy(() => [...module.stateDict()].map(([name, value]) => [name, keep(copyOf(value))] as const));
    this.#averages = new Map(copies);
  }

  /**
   * Takes the module's present state into the average. Call it after every step of the optimiser.
   *
   * @param decay for this time; a small one in the first steps lets the average forget the random start
   */
  update(decay = this.decay): void {
    this.#refuseSwapped('update');
    tidy(() =>
      noGrad(() => {
        const [averages, parameters]: [Tensor[], Tensor[]] = [[], []];
        for (const [name, value] of this.module.stateDict()) {
          const average = this.#averages.get(name)!;
          if (value instanceof Parameter) {
            averages.push(average);
            parameters.push(value);
          } else if (FRACTIONAL.has(value.dtype)) {
            call('aten::lerp_.Scalar', [average, value, 1 - decay]); // a constant stays what it is, to the last bit
          } else average.copy_(value);
        }
        if (averages.length === 0) return;
        call('aten::_foreach_mul_.Scalar', [averages, decay]);
        call('aten::_foreach_add_.List', [averages, parameters], { alpha: 1 - decay });
      }),
    );
  }

  /** The averaged state, under the module's names; the tensors stay this object's own. */
  stateDict(): Map<string, Tensor> {
    this.#refuseSwapped('stateDict');
    return new Map(this.#averages);
  }

  /**
   * Copies a saved average back.
   * @throws StateDictError, before anything is changed, if names or shapes do not fit the module
   */
  loadStateDict(state: StateDict): void {
    this.#refuseSwapped('loadStateDict');
    copyState(state, this.#averages);
  }

  /** Runs `body` with the average in the module's place, and puts the module's own state back, also after an error. */
  use<T>(body: () => T): T {
    this.swapIn();
    try {
      return body();
    } finally {
      this.swapOut();
    }
  }

  /** Puts the average into the module and keeps the module's own state aside, until `swapOut`. */
  swapIn(): void {
    this.#refuseSwapped('swapIn');
    this.#exchange();
    this.#swapped = true;
  }

  /** Ends what `swapIn` began. */
  swapOut(): void {
    if (!this.#swapped) throw new Error('swapOut: the average is not in the module; call swapIn first');
    this.#exchange();
    this.#swapped = false;
  }

  #exchange(): void {
    tidy(() =>
      noGrad(() => {
        for (const [name, value] of this.module.stateDict()) {
          const average = this.#averages.get(name)!;
          const before = copyOf(value);
          value.copy_(average);
          average.copy_(before);
        }
      }),
    );
  }

  #refuseSwapped(what: string): void {
    if (this.#swapped) throw new Error(`${what}: the average is in the module; call swapOut first`);
  }

  /** Frees the averages; the module stays as it is. */
  dispose(): void {
    for (const average of this.#averages.values()) average.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** A copy without history, in the same memory layout. */
const copyOf = (value: Tensor): Tensor => value.detach().clone();
