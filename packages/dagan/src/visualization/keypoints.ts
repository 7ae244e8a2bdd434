// Keypoints drawn onto a picture.
import { createPicture, type Picture } from '../media/pictures/picture.js';
import type { KeypointSet } from '../tensors/keypoint-set.js';
import { distinctColor } from './colors.js';
import { drawLabel, drawLine, LABEL_HEIGHT, type Point } from './drawing.js';

export type KeypointDrawing = {
  /** Draws the columns of each jacobian as two short lines: the keypoint's own x and y direction. */
  axes?: boolean;
  /** How much of the picture's brightness stays, so that the points stand out. */
  brightness?: number;
};

/** A copy of the picture with a dot per keypoint, always the same colour for the same keypoint. */
export function drawKeypoints(
  picture: Picture,
  { value, jacobian }: KeypointSet,
  { axes = false, brightness = 1 }: KeypointDrawing = {},
): Picture {
  const { width, height } = picture;
  const drawn = { width, height, data: picture.data.map((byte) => byte * brightness) };
  const radius = Math.max(2, Math.min(width, height) / 72);
  const pixel = (x: number, y: number): Point => [((x + 1) / 2) * (width - 1), ((y + 1) / 2) * (height - 1)];
  for (let k = 0; k < value.length / 2; k++) {
    const [x, y] = [value[2 * k]!, value[2 * k + 1]!];
    const color = distinctColor(k);
    for (const column of axes && jacobian ? [0, 1] : []) {
      const reach = 0.12;
      const end = pixel(x + reach * jacobian![4 * k + column]!, y + reach * jacobian![4 * k + 2 + column]!);
      drawLine(drawn, pixel(x, y), end, radius / 3, color);
    }
    drawLine(drawn, pixel(x, y), pixel(x, y), radius + 1, [0, 0, 0]);
    drawLine(drawn, pixel(x, y), pixel(x, y), radius, color);
  }
  return drawn;
}

/** Pixels that a legend's column is wide. */
const LEGEND_COLUMN = 44;

/** Which colour is which keypoint, counted from 0: a strip of the given height, in as many columns as it takes. */
export function keypointLegend(count: number, height: number): Picture {
  const rows = Math.max(1, Math.min(count, Math.floor(height / LABEL_HEIGHT)));
  const legend = createPicture(LEGEND_COLUMN * Math.ceil(count / rows), Math.max(height, LABEL_HEIGHT));
  for (let k = 0; k < count; k++) {
    const [left, top] = [LEGEND_COLUMN * Math.floor(k / rows), LABEL_HEIGHT * (k % rows)];
    const dot: Point = [left + 12, top + 8];
    drawLine(legend, dot, dot, 4, distinctColor(k));
    drawLabel(legend, `${k}`, left + 22, top + 3);
  }
  return legend;
}
