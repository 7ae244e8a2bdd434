// Means over the samples of all ranks.
import { tensor, tidy } from '@dagan/libtorch';
import { TrainingSetupError } from '../run/setup-error.js';
import type { TrainingPlace } from './ranks.js';

/** Adds up numbers by name, sample by sample, and gives their means. All ranks must add the same names. */
export class RankMeans<Name extends string> {
  readonly #sums: Record<Name, number>;
  #samples = 0;

  constructor(readonly names: readonly Name[]) {
    this.#sums = Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;
  }

  /** @param samples that these numbers are the mean of */
  add(values: Readonly<Record<Name, number>>, samples = 1): void {
    for (const name of this.names) this.#sums[name] += samples * values[name];
    this.#samples += samples;
  }

  /**
   * The means, and how many samples they are of.
   * @throws TrainingSetupError if no rank has added any
   */
  over({ group, device }: TrainingPlace): { means: Record<Name, number>; samples: number } {
    const own = [...this.names.map((name) => this.#sums[name]), this.#samples];
    const sums = tidy(() => {
      const all = tensor(own, { dtype: 'float64' }).to({ device });
      return (group?.allReduce(all) ?? all).toArray() as number[];
    });
    const samples = sums.at(-1)!;
    if (samples === 0) throw new TrainingSetupError('there are no held-out samples to evaluate on');
    const entries = this.names.map((name, i) => [name, sums[i]! / samples] as const);
    return { means: Object.fromEntries(entries) as Record<Name, number>, samples };
  }
}
