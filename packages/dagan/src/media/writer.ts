/** What every kind of clip writer offers to the encoding thread. */

import type { ReaderFrame } from './reader.js';

/** An output being filled. */
export type FrameSink = {
  add(frame: ReaderFrame): Promise<void>;
  /** Completes the output. */
  finish(): Promise<void>;
  /** Frees what is held; the caller removes an output that was not finished. */
  close(): Promise<void>;
};
