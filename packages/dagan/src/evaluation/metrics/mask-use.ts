// Whether the motions that are estimated are used: how much of the picture each motion mask takes (Section 3.3, Eq. 8).
import type { TensorValues } from '../../tensors/values.js';

/** The mean of every motion's mask, the background's first, over pictures and places: [N, K + 1, h, w] -> K + 1 numbers. */
export function maskShares({ shape, data }: TensorValues): number[] {
  const [count, masks, height, width] = shape as [number, number, number, number];
  const places = height * width;
  return Array.from({ length: masks }, (_, mask) => {
    let sum = 0;
    for (let n = 0; n < count; n++) {
      const from = (n * masks + mask) * places;
      for (let at = 0; at < places; at++) sum += data[from + at]!;
    }
    return sum / (count * places);
  });
}
