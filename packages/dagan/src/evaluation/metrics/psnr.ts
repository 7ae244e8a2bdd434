// PSNR: the peak signal-to-noise ratio of two pictures.
import { checkSameSize, type Picture } from './pictures.js';

/** PSNR in dB of a mean squared difference of colours in [0, 1]; Infinity for 0. */
export const psnrOfError = (meanSquare: number): number => (meanSquare > 0 ? -10 * Math.log10(meanSquare) : Infinity);

/**
 * `-10 log10(mean (a - b)^2)` in dB over pixels and channels, colours in [0, 1]: 0 for black against white, Infinity for
 * identical pictures. The published scripts take it the same way, picture by picture.
 */
export function psnr(a: Picture, b: Picture): number {
  checkSameSize(a, b);
  let sum = 0;
  for (let i = 0; i < a.data.length; i++) sum += (a.data[i]! - b.data[i]!) ** 2;
  return psnrOfError(sum / a.data.length / 255 ** 2);
}
