// Frames of a clip with the times at which they are written.
import type { Clip, ClipFrame } from '../media/process/clip.js';

/** A frame that is written so many times. */
export type Timed<Frame extends ClipFrame> = Frame & { times: number };

/** Every frame once. */
export async function* once<Frame extends ClipFrame>(frames: AsyncIterable<Frame>): AsyncGenerator<Timed<Frame>> {
  for await (const frame of frames) yield { ...frame, times: 1 };
}

/** Share of a frame by which time stamps may be off the grid (containers round them). */
const JITTER = 0.12;

/**
 * Puts frames onto a constant rate: position k shows the frame that the clip shows at k / rate. Frames that no position
 * falls to are left out, except the first.
 */
export async function* atRate<Frame extends ClipFrame>(
  frames: AsyncIterable<Frame>,
  rate: number,
): AsyncGenerator<Timed<Frame>> {
  let written = 0;
  for await (const frame of frames) {
    const until = Math.ceil((frame.timestamp + frame.duration) * rate - JITTER);
    const times = Math.max(written === 0 ? 1 : 0, until - written);
    if (times === 0) continue;
    written += times;
    yield { ...frame, times };
  }
}

/** How many frames a clip gives at a rate, as far as known. */
export function expectedFrames(
  { frameCount, duration }: Pick<Clip, 'frameCount' | 'duration'>,
  rate?: number,
): number | undefined {
  return rate !== undefined && duration !== undefined ? Math.round(duration * rate) : frameCount;
}
