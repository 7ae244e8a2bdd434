// A recording of what the camera drives: each frame is shown until the next one came.
import type { Picture } from 'dagan/media/portable';
import type { SaveOrder } from './media/media-worker.js';
import { Recording, type SavedVideo } from './media/recording.js';

/** Seconds for which the last frame is shown: nothing came after it that would tell. */
const LAST = 1 / 25;

/** The shortest that a frame is shown, in seconds. */
const LEAST = 0.001;

export class LiveRecording {
  readonly #recording: Promise<Recording>;
  /** The frame before, which waits for the next one to say how long it is shown. */
  #last: { picture: Picture; seconds: number } | null = null;
  #started = 0;
  #count = 0;
  /** The encoder's work on the frame before; frames that come meanwhile are left out. */
  #adding: Promise<void> | null = null;

  readonly #order: SaveOrder;
  readonly #onFault: (error: unknown) => void;

  /** @param onFault is told, once, if the encoder fails on the way */
  constructor(order: SaveOrder, onFault: (error: unknown) => void) {
    this.#order = order;
    this.#onFault = onFault;
    this.#recording = Recording.start(order);
    this.#recording.catch(onFault);
  }

  /** Frames so far. */
  get count(): number {
    return this.#count;
  }

  /** Whether a frame can go on: all of a video have one size. */
  fits({ width, height }: Picture): boolean {
    return width === this.#order.width && height === this.#order.height;
  }

  /** Takes a frame, whose pixels are handed over. @param seconds when it is shown, on any clock */
  add(picture: Picture, seconds: number): void {
    if (this.#adding) return; // the frame before is shown for longer
    if (this.#last) {
      this.#adding = this.#addLast(seconds);
      this.#adding.then(
        () => {
          this.#adding = null;
        },
        (error: unknown) => this.#onFault(error),
      );
    } else this.#started = seconds;
    this.#last = { picture, seconds };
    this.#count++;
  }

  /** Completes the file of at least one frame. @throws Error if the encoder fails */
  async finish(): Promise<SavedVideo> {
    await this.#adding;
    await this.#addLast(this.#last!.seconds + LAST);
    return (await this.#recording).finish();
  }

  /** Ends without a file. */
  cancel(): void {
    this.#recording.then(
      (recording) => recording.cancel(),
      () => {}, // it was told
    );
  }

  /** Hands the frame before to the encoder, which was shown until now. */
  async #addLast(until: number): Promise<void> {
    const { picture, seconds } = this.#last!;
    const recording = await this.#recording;
    await recording.add(picture, seconds - this.#started, Math.max(LEAST, until - seconds));
  }
}
