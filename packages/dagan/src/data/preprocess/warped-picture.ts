// Warping a picture, and painting into it what a warp cannot show.
import { boundsOf } from '../../faces/geometry.js';
import type { LandmarkWarp, Point } from '../../geometry/landmark-warp.js';
import { createPicture, type Picture } from '../../media/pictures/picture.js';

/** The warp is computed at the corners of squares of so many pixels and interpolated inside. */
const STRIDE = 4;

/** Where a pixel is asked whether it is inside. */
const SUBPIXELS = [1 / 6, 1 / 2, 5 / 6];

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

/** Fills a polygon with a colour, its edges smooth. */
export function paint({ width, height, data }: Picture, polygon: readonly Point[], color: readonly number[]): void {
  const { left, top, width: across, height: along } = boundsOf(polygon.flat(), 2);
  for (let y = Math.max(0, Math.floor(top)); y < Math.min(height, top + along); y++) {
    for (let x = Math.max(0, Math.floor(left)); x < Math.min(width, left + across); x++) {
      let inside = 0;
      for (const v of SUBPIXELS) for (const u of SUBPIXELS) inside += contains(polygon, x + u, y + v) ? 1 : 0;
      const cover = inside / SUBPIXELS.length ** 2;
      for (let channel = 0; channel < 3; channel++) {
        const at = (y * width + x) * 3 + channel;
        data[at] = Math.round((1 - cover) * data[at]! + cover * color[channel]!);
      }
    }
  }
}

/** Whether a ray from the point crosses the polygon's sides an odd number of times. */
export function contains(polygon: readonly Point[], x: number, y: number): boolean {
  let inside = false;
  for (const [i, [x1, y1]] of polygon.entries()) {
    const [x2, y2] = polygon[(i + 1) % polygon.length]!;
    if (y1 > y !== y2 > y && x < x1 + ((y - y1) / (y2 - y1)) * (x2 - x1)) inside = !inside;
  }
  return inside;
}
