// Random numbers that depend on a key alone, so that any sample of any epoch can be drawn without drawing those before it.
import { createHash } from 'node:crypto';

/**
 * The generator xoshiro128** (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2018), started from
 * the SHA-256 of a key such as `('clip', seed, epoch, index)`: equal keys give equal numbers on every machine, different
 * keys unrelated ones.
 */
export class Random {
  readonly #state: Uint32Array;

  constructor(...key: readonly (string | number)[]) {
    const hash = createHash('sha256').update(JSON.stringify(key)).digest();
    this.#state = Uint32Array.from([0, 4, 8, 12], (at) => hash.readUInt32LE(at));
  }

  /** 32 random bits. */
  #bits(): number {
    const state = this.#state;
    const [s0, s1, s2, s3] = [state[0]!, state[1]!, state[2]!, state[3]!];
    const result = Math.imul(rotated(Math.imul(s1, 5), 7), 9) >>> 0;
    state[2] = s2 ^ s0 ^ (s1 << 9);
    state[3] = rotated(s3 ^ s1, 11);
    state[1] = s1 ^ s2 ^ s0;
    state[0] = s0 ^ s3 ^ s1;
    return result;
  }

  /** A number in [0, 1), a multiple of 2^-53. */
  next(): number {
    return ((this.#bits() >>> 5) * 2 ** 26 + (this.#bits() >>> 6)) / 2 ** 53;
  }

  /** A number in [least, most). */
  between(least: number, most: number): number {
    return least + (most - least) * this.next();
  }

  /** A whole number from 0 to `count - 1`. */
  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** Puts an array in random order, in place (Fisher and Yates). */
  shuffle<List extends { length: number; [index: number]: Item }, Item>(list: List): List {
    for (let last = list.length - 1; last > 0; last--) {
      const other = this.below(last + 1);
      const moved = list[last]!;
      list[last] = list[other]!;
      list[other] = moved;
    }
    return list;
  }
}

function rotated(bits: number, by: number): number {
  return (bits << by) | (bits >>> (32 - by));
}
