// What every kind of clip writer offers to the encoding process.
import type { ReaderFrame } from './reader.js';

/** An output being filled. */
export type FrameSink = {
  add(frame: ReaderFrame): Promise<void>;
  /** Completes the output. */
  finish(): Promise<void>;
};
