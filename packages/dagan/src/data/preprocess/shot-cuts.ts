// Finds where a video cuts from one shot to another: between two frames nearly everything changes at once.
import type { Picture } from '../../media/pictures/picture.js';

/** The picture is compared as so many blocks along either side. */
const BLOCKS = 16;

/** A mean change of the blocks' brightness by more than this, out of 255, ... */
const LEAST_CHANGE = 14;

/** ... and so many times as much as in the frames before is a cut. */
const TIMES_USUAL = 5;

/** How fast the usual change follows. */
const MEMORY = 0.1;

/** Looks at the frames of one video in order. */
export class ShotCuts {
  #before: Float64Array | undefined;
  #usual = 0;

  /** Whether a new shot begins with this frame. The first frame does not count. */
  begins(picture: Picture): boolean {
    const blocks = brightness(picture);
    const before = this.#before;
    this.#before = blocks;
    if (!before) return false;
    const change = blocks.reduce((sum, value, index) => sum + Math.abs(value - before[index]!), 0) / blocks.length;
    const cut = change > Math.max(LEAST_CHANGE, TIMES_USUAL * this.#usual);
    this.#usual = cut ? 0 : this.#usual + MEMORY * (change - this.#usual);
    return cut;
  }
}

/** Mean brightness of each block, from every second pixel. */
function brightness({ width, height, data }: Picture): Float64Array {
  const sums = new Float64Array(BLOCKS * BLOCKS);
  const counts = new Float64Array(BLOCKS * BLOCKS);
  for (let y = 0; y < height; y += 2) {
    const row = Math.floor((y * BLOCKS) / height) * BLOCKS;
    for (let x = 0; x < width; x += 2) {
      const block = row + Math.floor((x * BLOCKS) / width);
      const at = (y * width + x) * 3;
      sums[block] = sums[block]! + 0.3 * data[at]! + 0.6 * data[at + 1]! + 0.1 * data[at + 2]!;
      counts[block] = counts[block]! + 1;
    }
  }
  return sums.map((sum, index) => sum / Math.max(1, counts[index]!));
}
