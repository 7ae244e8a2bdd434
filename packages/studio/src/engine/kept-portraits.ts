// The portrait that is animated, and the encodings of those before it: going back to one takes no time.
import type { Analysis, Engine, InnerMouth, InnerMouthChoice, Look, MotionTransfer, PasteBack } from 'dagan/animation';
import type { Picture, Portrait, Square } from './api.js';

/** Portraits that are kept, at most: each takes some 5 to 20 MB. */
const MOST = 5;

export type EncodedPortrait = {
  /** A twin of the model's engine, which has the encoding; or the face mesh before it. */
  engine: Engine;
  analysis: Analysis;
  motion: MotionTransfer;
  /** By the choice of what mouths show. */
  mouths: ReadonlyMap<InnerMouthChoice, InnerMouth | undefined>;
  /** The whole portrait, and where the networks' square lies in it, in whole pixels. */
  whole: Picture;
  square: Square;
  /** Made at first use. */
  look?: Promise<Look | undefined>;
  pasteBack?: PasteBack;
  /** What the page is told of it. */
  told: Portrait;
};

export class KeptPortraits {
  /** The one to animate. */
  #current: EncodedPortrait | undefined;
  /** By their numbers; the one that was used last is the last. */
  readonly #kept = new Map<number, EncodedPortrait>();
  #numbers = 0;

  get current(): EncodedPortrait | undefined {
    return this.#current;
  }

  /** A number that no portrait has had. */
  nextNumber(): number {
    return this.#numbers++;
  }

  find(number: number): EncodedPortrait | undefined {
    return this.#kept.get(number);
  }

  /** Takes a portrait, new or kept, as the one to animate. The one that has not been used for longest may go. */
  use(portrait: EncodedPortrait): void {
    const before = this.#current;
    this.#current = portrait;
    const { number } = portrait.told;
    this.#kept.delete(number);
    this.#kept.set(number, portrait);
    if (before && before !== portrait && !this.#kept.has(before.told.number)) before.engine.dispose();
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MOST) this.forget(oldest!);
  }

  /** Keeps a portrait no longer; the one to animate goes on until there is another. */
  forget(number: number): void {
    const portrait = this.#kept.get(number);
    this.#kept.delete(number);
    if (portrait !== this.#current) portrait?.engine.dispose();
  }

  /** Ends the use of the one to animate, and keeps it no longer. */
  clear(): void {
    const portrait = this.#current;
    this.#current = undefined;
    if (!portrait) return;
    this.#kept.delete(portrait.told.number);
    portrait.engine.dispose();
  }

  /** Forgets all, as for another model. */
  clearAll(): void {
    this.clear();
    for (const number of this.#kept.keys()) this.forget(number);
  }
}
