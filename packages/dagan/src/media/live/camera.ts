// What gives pictures live: whoever takes them gets the newest, and what nobody took in time is dropped. Nothing queues up, so a
// slow taker sees fewer pictures and none that is old.
import type { Picture } from '../pictures/picture.js';

/** A picture, and when it came (`performance.now()`). */
export type CameraFrame = { picture: Picture; taken: number };

/** A camera, or what stands in for one. */
export type Camera = AsyncDisposable & {
  /** The newest picture that nobody has taken, as soon as there is one; undefined where there are no more. */
  newest(): Promise<CameraFrame | undefined>;
  /** Pictures that nobody took. */
  readonly dropped: number;
};

/** A camera of any pictures that come in their own time. */
export class NewestFrames implements Camera {
  #dropped = 0;
  #waiting: CameraFrame | undefined;
  #end: { error?: unknown } | undefined;
  #wake: () => void = () => {};
  readonly #close: () => Promise<void>;

  /** @param close ends the pictures */
  constructor(pictures: AsyncIterable<Picture>, close: () => Promise<void>) {
    this.#close = close;
    void this.#read(pictures);
  }

  get dropped(): number {
    return this.#dropped;
  }

  async newest(): Promise<CameraFrame | undefined> {
    while (!this.#waiting) {
      if (this.#end) {
        if ('error' in this.#end) throw this.#end.error;
        return undefined;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const frame = this.#waiting;
    this.#waiting = undefined;
    return frame;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end ??= {};
    this.#wake();
    await this.#close();
  }

  async #read(pictures: AsyncIterable<Picture>): Promise<void> {
    try {
      for await (const picture of pictures) {
        if (this.#end) return;
        if (this.#waiting) this.#dropped++;
        this.#waiting = { picture, taken: performance.now() };
        this.#wake();
      }
      this.#end ??= {};
    } catch (error) {
      this.#end ??= { error };
    }
    this.#wake();
  }
}
