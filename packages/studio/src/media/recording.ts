// A result being written: encoded in a worker of its own, in memory until it is saved.
import type { Picture } from 'dagan/media/portable';
import type { RemoteWorker } from '../rpc.js';
import { startMediaWorker } from './clip.js';
import type { SavedFormat } from './formats.js';
import type { MediaHandlers, SaveOrder } from './media-worker.js';

/** A finished video. */
export type SavedVideo = { file: Blob; format: SavedFormat; frames: number; warnings: string[] };

/** What is said where there is no kind of file to write. */
export const NO_ENCODER =
  'no kind of file that this browser can write is known yet: wait a moment, or load the page again';

/** So many frames may wait to be encoded. */
const MOST_WAITING = 4;

/** Kinds of file of that size that this browser can write, the best first. */
export async function writableFormats(width: number, height: number): Promise<SavedFormat[]> {
  const worker = startMediaWorker();
  try {
    return await worker.remote.formats({ width, height });
  } finally {
    worker.terminate();
  }
}

export class Recording {
  #waiting: Promise<void>[] = [];
  #frames = 0;

  readonly #worker: RemoteWorker<MediaHandlers>;
  readonly #format: SavedFormat;

  private constructor(worker: RemoteWorker<MediaHandlers>, format: SavedFormat) {
    this.#worker = worker;
    this.#format = format;
  }

  static async start(order: SaveOrder): Promise<Recording> {
    const worker = startMediaWorker();
    try {
      await worker.remote.save(order);
    } catch (error) {
      worker.terminate();
      throw error;
    }
    return new Recording(worker, order.format);
  }

  /** Adds a frame, whose pixels are handed over. Waits while many others are being encoded. */
  async add(picture: Picture, timestamp: number, duration: number): Promise<void> {
    const done = this.#worker.remote.add({ picture, timestamp, duration });
    done.catch(() => {}); // told below, when it is its turn
    this.#waiting.push(done);
    this.#frames++;
    if (this.#waiting.length > MOST_WAITING) await this.#waiting.shift();
  }

  async finish(): Promise<SavedVideo> {
    try {
      await Promise.all(this.#waiting);
      return { ...(await this.#worker.remote.finish()), format: this.#format, frames: this.#frames };
    } finally {
      this.#worker.terminate();
    }
  }

  /** Ends without a file. */
  cancel(): void {
    this.#worker.terminate();
  }
}
