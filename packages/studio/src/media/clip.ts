// A driving clip: opened, looked through and read in a worker of its own.
import type { ReaderFrame } from 'dagan/media/portable';
import { RemoteWorker } from '../rpc.js';
import type { ClipFacts, FrameOrder, MediaHandlers } from './media-worker.js';

/** Starts the worker for media. */
export const startMediaWorker = (): RemoteWorker<MediaHandlers> =>
  new RemoteWorker<MediaHandlers>(
    new Worker(new URL('./media-worker.ts', import.meta.url), { type: 'module', name: 'media' }),
  );

export class Clip {
  private constructor(
    private readonly worker: RemoteWorker<MediaHandlers>,
    readonly file: File,
    readonly facts: ClipFacts,
  ) {}

  /**
   * Opens a file.
   *
   * @throws Error that names the file and says what is wrong with it
   */
  static async open(file: File): Promise<Clip> {
    if (typeof VideoDecoder === 'undefined') {
      throw new Error(`${file.name}: this browser cannot decode clips frame by frame (no WebCodecs); use a newer one`);
    }
    const worker = startMediaWorker();
    try {
      return new Clip(worker, file, await worker.remote.open(file));
    } catch (error) {
      worker.terminate();
      throw error;
    }
  }

  /** Frames in order, the next one decoded while one is worked on. One reading at a time. */
  async *frames(order: FrameOrder, onWarnings: (texts: string[]) => void = () => {}): AsyncGenerator<ReaderFrame> {
    const { remote } = this.worker;
    await remote.read(order);
    try {
      let coming = remote.next(undefined);
      for (;;) {
        const frame = await coming;
        if (frame === null) break;
        coming = remote.next(undefined);
        coming.catch(() => {}); // told when it is its turn
        yield frame;
      }
      onWarnings(await remote.stop(undefined));
    } finally {
      remote.stop(undefined).catch(() => {}); // the worker may have been ended
    }
  }

  /** Frees the file and its decoder. */
  close(): void {
    this.worker.terminate();
  }
}
