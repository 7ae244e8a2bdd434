// A way to move points of a picture that shares nothing with the code under test: the smoothest map of the plane that takes
// given points to given points.
import { createPicture, type Picture } from '../src/media/index.js';

export type Point = readonly [x: number, y: number];

/** How a warp is fitted. */
export type LandmarkWarpOptions = {
  /** The length that is taken for 1, so that `smoothing` does not depend on the picture's size. Default 1. */
  scale?: number;
  /** 0 (default) meets every point; more bends less and misses them a little. One for all, or one for each. */
  smoothing?: number | readonly number[];
};

/**
 * Thin-plate spline through landmarks: f(p) = A (p, 1) + sum_i w_i U(|p - p_i|), U(r) = r^2 log r, of all maps with
 * f(p_i) = q_i the one that bends least (Bookstein, "Principal Warps", 1989).
 */
export class LandmarkWarp {
  readonly #centers: readonly Point[];
  /** Of each coordinate: a weight for every landmark, then those of 1, x and y. */
  readonly #coefficients: readonly [Float64Array, Float64Array];
  readonly #scale: number;

  /**
   * @param from landmarks
   * @param to where they go, as many
   * @throws RangeError for fewer than three landmarks, or if all lie on one line
   */
  constructor(from: readonly Point[], to: readonly Point[], { scale = 1, smoothing = 0 }: LandmarkWarpOptions = {}) {
    if (from.length !== to.length) throw new RangeError(`${from.length} landmarks, ${to.length} places for them to go`);
    if (from.length < 3) throw new RangeError(`a warp needs three landmarks at least, not ${from.length}`);
    this.#scale = scale;
    this.#centers = from.map(([x, y]): Point => [x / scale, y / scale]);
    const count = from.length;
    const give = (i: number): number => (typeof smoothing === 'number' ? smoothing : smoothing[i]!);
    const matrix = Array.from({ length: count + 3 }, () => new Float64Array(count + 3));
    for (const [i, p] of this.#centers.entries()) {
      for (const [j, q] of this.#centers.entries()) matrix[i]![j] = i === j ? give(i) : bump(p, q);
      for (const [k, value] of [1, ...p].entries()) {
        matrix[i]![count + k] = value;
        matrix[count + k]![i] = value;
      }
    }
    const wanted = [0, 1].map((axis) => Float64Array.from({ length: count + 3 }, (_, i) => to[i]?.[axis] ?? 0));
    solve(matrix, wanted);
    this.#coefficients = wanted as [Float64Array, Float64Array];
  }

  /** Where a point goes. */
  at(x: number, y: number): Point {
    const place: Point = [x / this.#scale, y / this.#scale];
    const [across, along] = this.#coefficients;
    const count = this.#centers.length;
    let [toX, toY] = [0, 0];
    for (const [i, center] of this.#centers.entries()) {
      const value = bump(place, center);
      toX += across[i]! * value;
      toY += along[i]! * value;
    }
    const plane = (c: Float64Array) => c[count]! + c[count + 1]! * place[0] + c[count + 2]! * place[1];
    return [toX + plane(across), toY + plane(along)];
  }
}

/** U(r) = r^2 log r, written with the squared distance. */
function bump([x, y]: Point, [u, v]: Point): number {
  const square = (x - u) ** 2 + (y - v) ** 2;
  return square === 0 ? 0 : 0.5 * square * Math.log(square);
}

/** Solves a linear system for several right sides in place, by elimination with the largest pivot of each column. */
function solve(matrix: Float64Array[], sides: readonly Float64Array[]): void {
  const size = matrix.length;
  for (let column = 0; column < size; column++) {
    let pivot = column;
    for (let row = column + 1; row < size; row++) {
      if (Math.abs(matrix[row]![column]!) > Math.abs(matrix[pivot]![column]!)) pivot = row;
    }
    if (!(Math.abs(matrix[pivot]![column]!) > 1e-12)) throw new RangeError('the landmarks lie on one line');
    for (const rows of [matrix, ...sides] as (Float64Array | Float64Array[])[]) {
      [rows[column], rows[pivot]] = [rows[pivot]!, rows[column]!];
    }
    for (let row = column + 1; row < size; row++) {
      const factor = matrix[row]![column]! / matrix[column]![column]!;
      if (factor === 0) continue;
      for (let i = column; i < size; i++) matrix[row]![i]! -= factor * matrix[column]![i]!;
      for (const side of sides) side[row]! -= factor * side[column]!;
    }
  }
  for (let row = size - 1; row >= 0; row--) {
    for (const side of sides) {
      let value = side[row]!;
      for (let i = row + 1; i < size; i++) value -= matrix[row]![i]! * side[i]!;
      side[row] = value / matrix[row]![row]!;
    }
  }
}
/** The warp is computed at the corners of squares of so many pixels and interpolated inside. */
const STRIDE = 4;

/** The picture that shows at p what `picture` shows at `warp.at(p)`, mirrored beyond its border. */
export function resample(picture: Picture, warp: LandmarkWarp): Picture {
  const { width, height, data } = picture;
  const result = createPicture(width, height);
  const columns = Math.ceil(width / STRIDE) + 1;
  const corners = Array.from({ length: columns * (Math.ceil(height / STRIDE) + 1) }, (_, i) =>
    warp.at((i % columns) * STRIDE + 0.5, Math.floor(i / columns) * STRIDE + 0.5),
  );
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = Math.floor(y / STRIDE) * columns + Math.floor(x / STRIDE);
      const [s, t] = [(x % STRIDE) / STRIDE, (y % STRIDE) / STRIDE];
      const placeAt = (axis: 0 | 1): number =>
        (1 - t) * ((1 - s) * corners[at]![axis] + s * corners[at + 1]![axis]) +
        t * ((1 - s) * corners[at + columns]![axis] + s * corners[at + columns + 1]![axis]);
      const [u, v] = [mirrored(placeAt(0) - 0.5, width - 1), mirrored(placeAt(1) - 0.5, height - 1)];
      const [left, top] = [Math.min(Math.floor(u), width - 2), Math.min(Math.floor(v), height - 2)];
      const [p, q] = [u - left, v - top];
      for (let channel = 0; channel < 3; channel++, to++) {
        const from = (top * width + left) * 3 + channel;
        const below = from + width * 3;
        const value =
          (1 - q) * ((1 - p) * data[from]! + p * data[from + 3]!) + q * ((1 - p) * data[below]! + p * data[below + 3]!);
        result.data[to] = Math.round(value);
      }
    }
  }
  return result;
}

/** A coordinate folded into [0, last]. */
function mirrored(value: number, last: number): number {
  const folded = Math.abs(value) % (2 * last);
  return folded <= last ? folded : 2 * last - folded;
}
