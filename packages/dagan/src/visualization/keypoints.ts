// Keypoints drawn onto a picture.
import type { KeypointSet } from '../animation/engine.js';
import type { Picture } from '../media/picture.js';
import { distinctColor } from './colors.js';
import { drawLine, type Point } from './drawing.js';

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
