// What every kind of clip reader offers to the decoding process.
import type { Picture } from '../pictures/picture.js';
import type { ClipInfo, DecodeJob } from '../process/messages.js';

/** A frame of full size; `data` of its picture is owned by the receiver. */
export type ReaderFrame = { picture: Picture; timestamp: number; duration: number };

/** An open file or folder. `frames` may be called again after an earlier iteration has ended. */
export type FrameReader = {
  info: Omit<ClipInfo, 'sourceWidth' | 'sourceHeight'>;
  frames(): AsyncGenerator<ReaderFrame, void, undefined>;
  /** Opens other frames of the same file, by what is known of it already, where that saves time. */
  part?(job: DecodeJob): Promise<FrameReader>;
};

/** How a reader tells of things other than frames. */
export type ReaderEvents = {
  /** One line for the user. */
  warning(text: string): void;
  /** Work was done although no frame came of it, so the watchdog must not bark. */
  progress(): void;
};
