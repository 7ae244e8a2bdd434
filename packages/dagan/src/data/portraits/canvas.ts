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

  /** The picture: everything that has not been painted shows its place of the portrait. */
  picture(portrait: Picture): Picture {
    const { size, samples } = this;
    const x = this.#x;
    const y = this.#y;
    const painted = this.#painted;
    const result = createPicture(size, size);
    const { data } = result;
    const color = new Float64Array(3);
    const share = 1 / samples ** 2;
    for (let row = 0, to = 0; row < size; row++) {
      for (let column = 0; column < size; column++, to += 3) {
        let red = painted[to]!;
        let green = painted[to + 1]!;
        let blue = painted[to + 2]!;
        for (let k = 0; k < samples; k++) {
          let sample = ((row * samples + k) * size + column) * samples;
          for (const end = sample + samples; sample < end; sample++) {
            const place = x[sample]!;
            if (Number.isNaN(place)) continue; // painted
            colorAt(portrait, place, y[sample]!, color);
            red += color[0]!;
            green += color[1]!;
            blue += color[2]!;
          }
        }
        data[to] = red * share + 0.5;
        data[to + 1] = green * share + 0.5;
        data[to + 2] = blue * share + 0.5;
      }
    }
    return result;
  }
}

/** What a picture shows at a place, in its pixels, interpolated and mirrored beyond its border. */
export function colorAt({ width, height, data }: Picture, x: number, y: number, color: Float64Array): void {
  const u = mirrored(x - 0.5, width - 1);
  const v = mirrored(y - 0.5, height - 1);
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

/** A coordinate folded into [0, last]. */
function mirrored(value: number, last: number): number {
  if (value >= 0 && value <= last) return value;
  const folded = Math.abs(value) % (2 * last);
  return folded <= last ? folded : 2 * last - folded;
}
