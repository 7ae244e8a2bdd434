// L1: the mean absolute difference of two pictures.
import { checkSameSize, type Picture } from './pictures.js';

/**
 * `mean |a - b|` over pixels and channels, colours in [0, 1]: 0 for identical pictures, 1 for black against white.
 * The first-order model's "L1" (Siarohin et al., 2019, Section 4.1).
 */
export function l1(a: Picture, b: Picture): number {
  return l1Bytes(a, b) / 255;
}

/** The same with colours in 0 ... 255. */
export function l1Bytes(a: Picture, b: Picture): number {
  checkSameSize(a, b);
  let sum = 0;
  for (let i = 0; i < a.data.length; i++) sum += Math.abs(a.data[i]! - b.data[i]!);
  return sum / a.data.length;
}
