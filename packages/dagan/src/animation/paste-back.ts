// The animated square back into the whole portrait: with soft edges, and in the portrait's colours. Pure arithmetic on
// pixels: runs in Node and in browsers.
import type { Square } from '../faces/framing.js';
import { checkPicture, type Picture } from '../media/pictures/picture.js';
import { resizePicture } from '../media/pictures/resize.js';
import { cutSquare, outsideOf } from './crop.js';

/** How a square is put back. */
export type PasteBackOptions = {
  /** Width of the soft edge, as a part of the square's side. Default 0.15. */
  feather?: number;
  /**
   * What the networks make of the portrait with its own keypoints: the frame in which nothing moves. Differences in
   * colour between it and the portrait are then evened out in all frames, by the same factors, so that nothing flickers.
   */
  still?: Picture;
  /** How much of each pixel of the portrait belongs to the square, 0 to 1, where it is to share with others. Default all. */
  share?: (x: number, y: number) => number;
};

/** A correction of one colour channel: `gain * value + offset`. */
export type ColorMatch = { gain: number; offset: number };

/** Corrections stay within this: more is a difference in what is shown, not in colour. */
const MOST = { gain: 1.25, offset: 24 } as const;

/**
 * Puts animated squares into one portrait. Pixels outside the square are those of the portrait; towards the square's
 * edges it passes softly into the portrait, except where the edge is the portrait's own.
 */
export class PasteBack {
  /** Share of the square's pixels, by column and by row of the part inside the portrait; a pixel has their product. */
  readonly #columns: Float64Array;
  readonly #rows: Float64Array;
  /** What of each of them is the square's own, row by row. */
  readonly #own: Float32Array | undefined;
  readonly #match: readonly ColorMatch[];
  readonly #portrait: Picture;
  readonly #square: Square;

  /**
   * @param portrait the whole portrait
   * @param square where the animated squares belong, in whole pixels of the portrait; it may reach outside
   */
  constructor(portrait: Picture, square: Square, { feather = 0.15, still, share }: PasteBackOptions = {}) {
    this.#portrait = portrait;
    this.#square = square;
    checkPicture(portrait);
    const { width, height } = portrait;
    if (![square.left, square.top, square.side].every(Number.isInteger) || outsideOf(square, width, height) === 1) {
      throw new RangeError('the square must be of whole pixels and lie in the portrait, at least in part');
    }
    if (!(feather > 0 && feather <= 0.5)) throw new RangeError(`the soft edge must be in (0, 0.5], not ${feather}`);
    this.#columns = shares(square.left, square.side, width, feather);
    this.#rows = shares(square.top, square.side, height, feather);
    this.#own = share && this.#ownShares(share);
    this.#match = still
      ? matchColors(cutSquare(portrait, square, still.width), still, edgeShares(still.width, feather))
      : [];
  }

  /**
   * The portrait with one animated square in it, as a new picture.
   *
   * @param portrait another of the same size, as the next frame of a portrait that moves
   */
  paste(animated: Picture, portrait = this.#portrait): Picture {
    const result: Picture = { ...portrait, data: portrait.data.slice() };
    this.addTo(result, animated, portrait);
    return result;
  }

  /**
   * Adds the change that one animated square makes to the portrait: several squares with shares of their own are added to
   * one picture, in any order.
   *
   * @param result begins as the portrait
   */
  addTo(result: Picture, animated: Picture, portrait = this.#portrait): void {
    const { left, top, side } = this.#square;
    const { width, height } = this.#portrait;
    const even = this.#match.length > 0 ? recolor(animated, this.#match) : animated;
    const large = resizePicture(even, side, side, { enlarge: 'lanczos' });
    if (portrait.width !== width || portrait.height !== height) {
      throw new RangeError(
        `portraits must be of one size, ${width} x ${height}, not ${portrait.width} x ${portrait.height}`,
      );
    }
    const [firstX, firstY] = [Math.max(0, left), Math.max(0, top)];
    for (const [row, rowShare] of this.#rows.entries()) {
      let to = ((firstY + row) * width + firstX) * 3;
      let from = ((firstY + row - top) * side + firstX - left) * 3;
      for (const [column, columnShare] of this.#columns.entries()) {
        const share = rowShare * columnShare * (this.#own?.[row * this.#columns.length + column] ?? 1);
        for (let channel = 0; channel < 3; channel++, to++, from++) {
          const change = share * (large.data[from]! - portrait.data[to]!);
          // Rounding of several squares may add up to one step more than there is.
          result.data[to] = Math.min(255, Math.max(0, result.data[to]! + change + 0.5));
        }
      }
    }
  }

  #ownShares(share: (x: number, y: number) => number): Float32Array {
    const [firstX, firstY] = [Math.max(0, this.#square.left), Math.max(0, this.#square.top)];
    const [columns, rows] = [this.#columns.length, this.#rows.length];
    return Float32Array.from({ length: columns * rows }, (_, i) =>
      share(firstX + (i % columns), firstY + Math.floor(i / columns)),
    );
  }
}

/** Shares along one axis, of the square's pixels inside the picture: 1 in the middle, falling to 0 at edges inside it. */
function shares(start: number, side: number, length: number, feather: number): Float64Array {
  const [first, last] = [Math.max(0, start), Math.min(length, start + side)];
  const soft = feather * side;
  return Float64Array.from({ length: last - first }, (_, i) => {
    const at = first + i + 0.5 - start;
    const before = start > 0 ? smoothStep(at / soft) : 1;
    const after = start + side < length ? smoothStep((side - at) / soft) : 1;
    return before * after;
  });
}

/** 0 below 0, 1 above 1, smooth between: 3t^2 - 2t^3. */
export function smoothStep(t: number): number {
  const x = Math.min(1, Math.max(0, t));
  return x * x * (3 - 2 * x);
}

/** Weights of the pixels in which two squares of this size are compared: those of the soft edge. */
function edgeShares(size: number, feather: number): Float64Array {
  const along = shares(1, size, size + 2, feather);
  return Float64Array.from({ length: size * size }, (_, i) => {
    const share = along[Math.floor(i / size)]! * along[i % size]!;
    return 4 * share * (1 - share);
  });
}

/**
 * Corrections that give one picture the mean and the spread of another's colours, channel by channel, within limits.
 *
 * @param weights how much each pixel counts; by default all count the same
 */
export function matchColors(wanted: Picture, given: Picture, weights?: Float64Array): ColorMatch[] {
  if (wanted.width !== given.width || wanted.height !== given.height) {
    throw new RangeError('pictures must be of one size to be matched in colour');
  }
  const statistics = ({ data }: Picture, channel: number): { mean: number; deviation: number } => {
    let [total, sum, squares] = [0, 0, 0];
    for (let i = 0, at = channel; at < data.length; i++, at += 3) {
      const weight = weights ? weights[i]! : 1;
      total += weight;
      sum += weight * data[at]!;
      squares += weight * data[at]! ** 2;
    }
    const mean = sum / total;
    return { mean, deviation: Math.sqrt(Math.max(0, squares / total - mean ** 2)) };
  };
  const limit = (value: number, least: number, most: number): number => Math.min(Math.max(value, least), most);
  return [0, 1, 2].map((channel) => {
    const [goal, own] = [statistics(wanted, channel), statistics(given, channel)];
    // Below two steps of brightness the spread is noise.
    const gain = own.deviation < 2 ? 1 : limit(goal.deviation / own.deviation, 1 / MOST.gain, MOST.gain);
    // The mean of the given picture is moved, not black: a limited gain leaves it where it should be.
    const shift = limit(goal.mean - own.mean, -MOST.offset, MOST.offset);
    return { gain, offset: own.mean + shift - gain * own.mean };
  });
}

/** The picture with its colours corrected. */
export function recolor(picture: Picture, match: readonly ColorMatch[]): Picture {
  const tables = match.map(({ gain, offset }) =>
    Uint8ClampedArray.from({ length: 256 }, (_, value) => gain * value + offset),
  );
  const data = new Uint8Array(picture.data.length);
  for (let at = 0; at < data.length; at += 3) {
    for (let channel = 0; channel < 3; channel++) data[at + channel] = tables[channel]![picture.data[at + channel]!]!;
  }
  return { width: picture.width, height: picture.height, data };
}
