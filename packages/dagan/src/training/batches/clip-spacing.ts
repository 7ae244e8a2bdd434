// The spacing of a clip's frames, from looking at some of them.
import { readFolderFrames } from '../../data/frame-folder.js';
import { readPacked } from '../../data/frame-pack.js';
import type { FrameClip } from '../../data/prepare.js';
import { chooseSpacing, frameSketch } from './spacing.js';

/** Widest spacing that is chosen, in frames. */
export const WIDEST_SPACING = 10;

/** Stretches of a clip that are looked at, and the frames of each. */
const STRETCHES = 3;
const LENGTH = 24;

/**
 * How far apart the frames of a clip should be for depth to be learned from them, by the motion in its beginning, middle and
 * end; null for a clip that stands still.
 *
 * @throws MediaError, naming the file, if a frame cannot be read
 */
export async function clipSpacing({ kind, store, frames }: FrameClip): Promise<number | null> {
  const length = Math.min(LENGTH, frames);
  const starts = Array.from({ length: STRETCHES }, (_, i) => Math.round(((frames - length) * i) / (STRETCHES - 1)));
  const stretches: Float32Array[][] = [];
  for (const start of new Set(starts)) {
    const numbers = Array.from({ length }, (_, i) => start + i);
    const pictures = await (kind === 'video' ? readPacked(store, numbers) : readFolderFrames(store, numbers));
    stretches.push(pictures.map(frameSketch));
  }
  return chooseSpacing(stretches, { most: WIDEST_SPACING });
}
