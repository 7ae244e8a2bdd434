// What a moving portrait is drawn on: first which place of the portrait every sample shows, then the colours.
import { createPicture, type Picture } from '../../media/pictures/picture.js';
import { TriangleRows } from './triangle-rows.js';

/** A square of samples, `samples` x `samples` of them for a pixel of the picture. */
export class Canvas {
  readonly rows: TriangleRows;
  /** Place in the portrait that a sample shows, in its pixels; not a number where something has been painted. */
  readonly #x: Float32Array;
  readonly #y: Float32Array;
  readonly #depth: Float32Array;
  /** [size, size, 3]: sums of the colours painted. */
  readonly #painted: Float32Array;

  constructor(
    readonly size: number,
    readonly samples: number,
  ) {
    const side = size * samples;
    this.rows = new TriangleRows(side);
    this.#x = new Float32Array(side * side);
    this.#y = new Float32Array(side * side);
    this.#depth = new Float32Array(side * side);
    this.#painted = new Float32Array(size * size * 3);
  }

  clear(): void {
    this.#depth.fill(Infinity);
    this.#x.fill(0);
    this.#painted.fill(0);
  }

  /**
   * Draws triangles where nothing nearer is.
   *
   * @param places [V, 3] in samples; z grows away from the viewer
   * @param shown [V, 3] in pixels of the portrait
   */
  drawSurface(places: Float64Array, shown: Float64Array, triangles: Uint16Array): void {
    const { rows } = this;
    const toX = this.#x;
    const toY = this.#y;
    const depth = this.#depth;
    // The triangle in hand: what its first corner shows, and how much more the others.
    let [ax, ay, az, bx, by, bz, cx, cy, cz] = [0, 0, 0, 0, 0, 0, 0, 0, 0];
    const drawRow = (first: number, count: number, shareB: number, shareC: number): void => {
      const { stepB, stepC } = rows;
      const stepX = stepB * bx + stepC * cx;
      const stepY = stepB * by + stepC * cy;
      const stepZ = stepB * bz + stepC * cz;
      let x = ax + shareB * bx + shareC * cx;
      let y = ay + shareB * by + shareC * cy;
      let z = az + shareB * bz + shareC * cz;
      for (let sample = first; sample < first + count; sample++) {
        if (z < depth[sample]!) {
          depth[sample] = z;
          toX[sample] = x;
          toY[sample] = y;
        }
        x += stepX;
        y += stepY;
        z += stepZ;
      }
    };
    for (let at = 0; at < triangles.length; at += 3) {
      const a = triangles[at]!;
      const b = triangles[at + 1]!;
      const c = triangles[at + 2]!;
      ax = shown[a * 3]!;
      ay = shown[a * 3 + 1]!;
      az = places[a * 3 + 2]!;
      bx = shown[b * 3]! - ax;
      by = shown[b * 3 + 1]! - ay;
      bz = places[b * 3 + 2]! - az;
      cx = shown[c * 3]! - ax;
      cy = shown[c * 3 + 1]! - ay;
      cz = places[c * 3 + 2]! - az;
      rows.visit(places, a, b, c, drawRow);
    }
  }

  /** Whether nothing nearer than `z` has been drawn, nor anything been painted there. */
  isFree(sample: number, z: number): boolean {
    return z <= this.#depth[sample]! && !Number.isNaN(this.#x[sample]!);
  }

  /** Gives a sample a colour in place of what the portrait shows. */
  paint(sample: number, color: ArrayLike<number>): void {
    this.#x[sample] = Number.NaN;
    const side = this.size * this.samples;
    const column = sample % side;
    const row = (sample - column) / side;
    const to = (Math.trunc(row / this.samples) * this.size + Math.trunc(column / this.samples)) * 3;
    for (let channel = 0; channel < 3; channel++) this.#painted[to + channel]! += color[channel]!;
  }

  /**
   * The picture: everything that has not been painted shows its place of the portrait, interpolated. Two channels are
   * computed at a time, as halves of one number, with weights of 8 bits.
   */
  picture({ width, height, words }: Portrait): Picture {
    const { size, samples } = this;
    const x = this.#x;
    const y = this.#y;
    const painted = this.#painted;
    const result = createPicture(size, size);
    const { data } = result;
    const share = 1 / samples ** 2;
    const [lastX, lastY] = [256 * (width - 1), 256 * (height - 1)];
    for (let row = 0, to = 0; row < size; row++) {
      for (let column = 0; column < size; column++, to += 3) {
        let redAndBlue = 0;
        let green = 0;
        for (let k = 0; k < samples; k++) {
          let sample = ((row * samples + k) * size + column) * samples;
          for (const end = sample + samples; sample < end; sample++) {
            const place = x[sample]!;
            if (Number.isNaN(place)) continue; // painted
            // Places in 256ths of a pixel; a hair before the last row and column, so that there is a next one.
            const u = Math.min(lastX - 1, Math.max(0, (256 * place - 127.5) | 0));
            const v = Math.min(lastY - 1, Math.max(0, (256 * y[sample]! - 127.5) | 0));
            const at = (v >> 8) * width + (u >> 8);
            const p = u & 255;
            const q = v & 255;
            const d = (p * q + 128) >> 8;
            const c = q - d;
            const b = p - d;
            const a = 256 - p - c;
            const w00 = words[at]!;
            const w10 = words[at + 1]!;
            const w01 = words[at + width]!;
            const w11 = words[at + width + 1]!;
            redAndBlue +=
              ((Math.imul(w00 & EVEN, a) +
                Math.imul(w10 & EVEN, b) +
                Math.imul(w01 & EVEN, c) +
                Math.imul(w11 & EVEN, d) +
                HALF) >>>
                8) &
              EVEN;
            green +=
              (Math.imul((w00 >>> 8) & 255, a) +
                Math.imul((w10 >>> 8) & 255, b) +
                Math.imul((w01 >>> 8) & 255, c) +
                Math.imul((w11 >>> 8) & 255, d) +
                128) >>
              8;
          }
        }
        data[to] = ((redAndBlue & 0xffff) + painted[to]!) * share + 0.5;
        data[to + 1] = (green + painted[to + 1]!) * share + 0.5;
        data[to + 2] = ((redAndBlue >>> 16) + painted[to + 2]!) * share + 0.5;
      }
    }
    return result;
  }
}

/** A picture with one number for a pixel: red in the lowest 8 bits, then green, then blue. */
export type Portrait = Picture & { words: Uint32Array };

/** Red and blue of a pixel. */
const EVEN = 0x00ff00ff;
/** One half of what is cut off from both. */
const HALF = 0x00800080;

/** The picture with its pixels as numbers. */
export function asPortrait(picture: Picture): Portrait {
  const { width, height, data } = picture;
  const words = new Uint32Array(width * height);
  for (let i = 0, at = 0; i < words.length; i++, at += 3) {
    words[i] = data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16);
  }
  return { ...picture, words };
}

/** What a picture shows at a place, in its pixels, interpolated; beyond its border, what it shows there. */
export function colorAt({ width, height, data }: Picture, x: number, y: number, color: Float64Array): void {
  const u = Math.min(width - 1, Math.max(0, x - 0.5));
  const v = Math.min(height - 1, Math.max(0, y - 0.5));
  const left = Math.min(Math.trunc(u), width - 2);
  const top = Math.min(Math.trunc(v), height - 2);
  const p = u - left;
  const q = v - top;
  const at = (top * width + left) * 3;
  const below = at + width * 3;
  const d = p * q;
  const c = q - d;
  const b = p - d;
  const a = 1 - p - c;
  color[0] = a * data[at]! + b * data[at + 3]! + c * data[below]! + d * data[below + 3]!;
  color[1] = a * data[at + 1]! + b * data[at + 4]! + c * data[below + 1]! + d * data[below + 4]!;
  color[2] = a * data[at + 2]! + b * data[at + 5]! + c * data[below + 2]! + d * data[below + 5]!;
}
