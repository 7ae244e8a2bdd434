// A driving clip: opened, looked through and read in a worker of its own.
import type { ReaderFrame } from 'dagan/media/portable';
import type { FrameRange } from '../clip-part.js';
import { RemoteWorker } from '../rpc.js';
import type { ClipFacts, FrameOrder, MediaHandlers } from './media-worker.js';

/** Starts the worker for media. */
export const startMediaWorker = (): RemoteWorker<MediaHandlers> =>
  new RemoteWorker<MediaHandlers>(
    new Worker(new URL('./media-worker.ts', import.meta.url), { type: 'module', name: 'media' }),
  );

export class Clip {
  #facts: ClipFacts;
  #warnings: readonly string[] = [];
  #holders = 1;
  readonly #ends: (() => void)[] = [];

  readonly #worker: RemoteWorker<MediaHandlers>;

  private constructor(
    worker: RemoteWorker<MediaHandlers>,
    readonly file: File,
    facts: ClipFacts,
  ) {
    this.#worker = worker;
    this.#facts = facts;
  }

  /** What the file says of itself, without what a reading has shown to be wrong. */
  get facts(): ClipFacts {
    return this.#facts;
  }

  /**
   * Opens a file.
   *
   * @throws Error that names the file and says what is wrong with it
   */
  static async open(file: File): Promise<Clip> {
    const worker = startMediaWorker();
    try {
      return new Clip(worker, file, await worker.remote.open(file));
    } catch (error) {
      worker.terminate();
      throw error;
    }
  }

  /** What the last reading has shown to be wrong with the file. */
  get warnings(): readonly string[] {
    return this.#warnings;
  }

  /** Frames in order, the next one decoded while one is worked on. One reading at a time. */
  async *frames(order: FrameOrder): AsyncGenerator<ReaderFrame> {
    const { remote } = this.#worker;
    await remote.read(order);
    try {
      let coming = remote.next();
      for (;;) {
        const frame = await coming;
        if (frame === null) break;
        coming = remote.next();
        coming.catch(() => {}); // told when it is its turn
        yield frame;
      }
      this.#warnings = await remote.stop();
      // It ends earlier than it says, or has holes.
      if (this.#warnings.length > 0) this.#facts = { ...this.#facts, frameCount: undefined, duration: undefined };
    } finally {
      remote.stop().catch(() => {}); // the worker may have been ended
    }
  }

  /** What is known of a part of the clip. Ends a reading. */
  factsOf({ start, end }: FrameRange): Promise<ClipFacts> {
    return this.#worker.remote.facts({ start, end });
  }

  /** Keeps the clip of use for one more, also after it was closed by others. @returns what ends that */
  hold(): () => void {
    this.#holders++;
    return () => this.close();
  }

  /** Frees the file and its decoder, as soon as nobody holds the clip any more. */
  close(): void {
    if (--this.#holders > 0) return;
    this.#worker.terminate();
    for (const end of this.#ends) end();
  }

  /** Has something freed together with the clip. */
  onClosed(free: () => void): void {
    this.#ends.push(free);
  }
}
