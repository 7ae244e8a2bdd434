// Errors in the mouth and in the eyes.
import type { Rectangle } from '../../media/pictures/picture.js';
import { checkSameSize, type Picture } from './pictures.js';
import { psnrOfError } from './psnr.js';

/** L1 (colours in [0, 1]) and PSNR (dB) inside rectangles; null if there is nothing inside. */
export function regionErrors(
  a: Picture,
  b: Picture,
  rectangles: readonly Rectangle[],
): { l1: number; psnr: number } | null {
  checkSameSize(a, b);
  let [absolute, squared, count] = [0, 0, 0];
  for (const { left, top, width, height } of rectangles) {
    for (let y = top; y < top + height; y++) {
      const start = (y * a.width + left) * 3;
      for (let i = start; i < start + width * 3; i++) {
        const difference = Math.abs(a.data[i]! - b.data[i]!);
        absolute += difference;
        squared += difference ** 2;
      }
    }
    count += width * height * 3;
  }
  if (count === 0) return null;
  return { l1: absolute / count / 255, psnr: psnrOfError(squared / count / 255 ** 2) };
}
