// How far apart the frames of a pair should be: so far that the picture has changed, so near that it can still be matched.
import type { Picture } from '../../media/pictures/picture.js';

/** Side of the small grey pictures on which change is measured: noise and compression are gone, a head's motion is not. */
const SIDE = 32;

export type SpacingOptions = {
  /** Change that neighbouring frames should reach; see `frameChange`. */
  change?: number;
  /** Change that is enough at the widest spacing. Talking heads that do not move stay below it. */
  least?: number;
  /** Widest spacing in frames. */
  most?: number;
};

/** A frame as small grey values with mean 0 and deviation 1, so that neither exposure nor contrast counts: [SIDE SIDE]. */
export function frameSketch({ width, height, data }: Picture): Float32Array {
  const sums = new Float32Array(SIDE * SIDE);
  const counts = new Float32Array(SIDE * SIDE);
  for (let y = 0, pixel = 0; y < height; y++) {
    const row = Math.floor((y * SIDE) / height) * SIDE;
    for (let x = 0; x < width; x++, pixel += 3) {
      const at = row + Math.floor((x * SIDE) / width);
      sums[at]! += data[pixel]! + data[pixel + 1]! + data[pixel + 2]!;
      counts[at]! += 1;
    }
  }
  const grey = sums.map((sum, i) => (counts[i]! > 0 ? sum / counts[i]! : 0));
  const mean = grey.reduce((sum, value) => sum + value, 0) / grey.length;
  const deviation = Math.sqrt(grey.reduce((sum, value) => sum + (value - mean) ** 2, 0) / grey.length);
  return grey.map((value) => (deviation > 0 ? (value - mean) / deviation : 0));
}

/** Mean absolute difference of two sketches: 0 for equal frames, about 1.1 for unrelated ones. */
export function frameChange(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + Math.abs(value - b[i]!), 0) / a.length;
}

/**
 * The smallest spacing at which the frames of a clip typically (in the median) change enough to learn depth from; the widest
 * one if the change is not quite enough there.
 *
 * @param stretches `frameSketch` of consecutive frames, from one or several places in the clip
 * @returns frames from a target to its neighbours, or null if the clip is too still, or too short, at any spacing
 */
export function chooseSpacing(
  stretches: readonly (readonly Float32Array[])[],
  { change = 0.08, least = 0.05, most = 10 }: SpacingOptions = {},
): number | null {
  for (let spacing = 1; spacing <= most; spacing++) {
    const changes = stretches.flatMap((sketches) =>
      sketches.slice(spacing).map((sketch, i) => frameChange(sketches[i]!, sketch)),
    );
    changes.sort((a, b) => a - b);
    const enough = spacing < most ? change : least;
    if (changes.length > 0 && changes[Math.floor(changes.length / 2)]! >= enough) return spacing;
  }
  return null;
}
