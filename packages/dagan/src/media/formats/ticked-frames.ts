// Frames on the clock of an animated picture, in whole ticks: each is shown until the next one.
import type { Picture } from '../pictures/picture.js';
import type { ReaderFrame } from './reader.js';

/** Of a format: delays count in `ticksPerSecond`; shorter ones than `leastTicks` are shown slowly by browsers. */
export type Ticks = { readonly ticksPerSecond: number; readonly leastTicks: number };

export class TickedFrames {
  readonly #ticks: Ticks;
  readonly #push: (picture: Picture, delay: number) => Promise<void>;
  /** The frame before, until the next one says how long it is shown. */
  #held: { picture: Picture; start: number } | undefined;
  #end = 0;
  #skipped = 0;

  /** @param push gets each frame with its delay in ticks, once that is known */
  constructor(ticks: Ticks, push: (picture: Picture, delay: number) => Promise<void>) {
    this.#ticks = ticks;
    this.#push = push;
  }

  /** What there is to say of frames that came too fast for the format; undefined if none did. */
  get warning(): string | undefined {
    if (this.#skipped === 0) return undefined;
    const rate = Math.floor(this.#ticks.ticksPerSecond / this.#ticks.leastTicks);
    return `${this.#skipped} frames were left out, as this format shows ${rate} a second at most`;
  }

  /** Times are rounded, not durations, so that the animation keeps step with what it shows. */
  async add({ picture, timestamp, duration }: ReaderFrame): Promise<void> {
    const { ticksPerSecond, leastTicks } = this.#ticks;
    const start = Math.round(timestamp * ticksPerSecond);
    this.#end = Math.round((timestamp + duration) * ticksPerSecond);
    if (this.#held && start - this.#held.start < leastTicks) {
      this.#skipped++;
      return;
    }
    await this.#pushUntil(start);
    this.#held = { picture, start };
  }

  /** Gives the last frame. */
  async finish(): Promise<void> {
    await this.#pushUntil(this.#end);
    this.#held = undefined;
  }

  async #pushUntil(until: number): Promise<void> {
    if (!this.#held) return;
    await this.#push(this.#held.picture, Math.max(this.#ticks.leastTicks, until - this.#held.start));
  }
}
