// Where the depth-to-appearance attention looks (Section 3.4, Eq. 9), over a picture: Fig. 9 of the paper.
import { createPicture, type Picture } from '../media/pictures/picture.js';
import { resizeMap, type ScalarMap } from '../tensors/values.js';
import { heatColor } from './colors.js';
import { drawLine, type Point } from './drawing.js';
import type { ValueRange } from './maps.js';

/**
 * Brings weights over the warped features back to the source: each goes to the place that the deformation took its
 * feature from, shared among the four cells around it. What came from outside of the source is lost.
 *
 * @param weights over the warped features, [h, w]
 * @param deformation where each of these features comes from, (x, y) with -1 and 1 at the picture's borders: [h, w, 2]
 * @returns weights over the source, of the same size
 */
export function carryToSource({ width, height, data }: ScalarMap, deformation: ArrayLike<number>): ScalarMap {
  const carried = new Float32Array(width * height);
  for (let i = 0; i < data.length; i++) {
    const x = ((deformation[2 * i]! + 1) * width - 1) / 2;
    const y = ((deformation[2 * i + 1]! + 1) * height - 1) / 2;
    const [left, top] = [Math.floor(x), Math.floor(y)];
    for (const [column, across] of [
      [left, 1 - (x - left)],
      [left + 1, x - left],
    ] as const) {
      for (const [row, down] of [
        [top, 1 - (y - top)],
        [top + 1, y - top],
      ] as const) {
        if (column < 0 || row < 0 || column >= width || row >= height) continue;
        carried[row * width + column]! += data[i]! * across * down;
      }
    }
  }
  return { width, height, data: carried };
}

/** Brightness of the picture below the heat, and the heat's opacity where it is strongest. */
const DIMMED = 0.45;
const OPACITY = 0.85;

/** The picture, dimmed and grey, with the map's heat over it: nothing at the low end of the range, full heat at the high. */
export function overlayHeat(picture: Picture, map: ScalarMap, [low, high]: ValueRange): Picture {
  const { width, height, data } = picture;
  const result = createPicture(width, height);
  const smooth = resizeMap(map, width, height);
  const scale = high > low ? 1 / (high - low) : 0;
  for (let i = 0; i < width * height; i++) {
    const value = Math.min(1, Math.max(0, (smooth.data[i]! - low) * scale));
    const heat = heatColor(value);
    const [red, green, blue] = data.subarray(3 * i, 3 * i + 3) as unknown as [number, number, number];
    const grey = DIMMED * (0.299 * red + 0.587 * green + 0.114 * blue);
    const opacity = OPACITY * Math.min(1, 2 * value);
    for (let c = 0; c < 3; c++) result.data[3 * i + c] = Math.round(grey * (1 - opacity) + heat[c]! * opacity);
  }
  return result;
}

const RING_STEPS = 32;

/** Draws a ring around a point into the picture, dark outside and coloured inside, so that it is seen on any ground. */
export function drawRing(
  picture: Picture,
  [x, y]: Point,
  radius: number,
  color: readonly [number, number, number],
): void {
  const at = (step: number): Point => {
    const angle = (2 * Math.PI * step) / RING_STEPS;
    return [x + radius * Math.cos(angle), y + radius * Math.sin(angle)];
  };
  const thickness = Math.max(1, radius / 5);
  for (const [width, shade] of [
    [thickness + 1, [0, 0, 0]],
    [thickness, color],
  ] as const) {
    for (let step = 0; step < RING_STEPS; step++) drawLine(picture, at(step), at(step + 1), width, shade);
  }
}
