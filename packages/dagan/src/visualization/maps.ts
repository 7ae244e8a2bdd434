// Numbers per pixel as pictures: disparity, occlusion, attention, motion.
import { createPicture, type Picture } from '../media/pictures/picture.js';
import type { ScalarMap } from '../tensors/values.js';
import { heatColor, oklch, type Rgb } from './colors.js';

/** Lowest and highest value that a colour map tells apart. */
export type ValueRange = readonly [low: number, high: number];

const SHADES = 256;
const heat: Rgb[] = Array.from({ length: SHADES }, (_, i) => heatColor(i / (SHADES - 1)));

/** The values between which all but the outermost `tail` of a map lies: single outliers then do not dim the rest. */
export function valueRange({ data }: ScalarMap, tail = 0.01): ValueRange {
  const sorted = Float32Array.from(data).sort();
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))]!;
  return [at(tail), at(1 - tail)];
}

/** The values between which all but the outermost `tail` of several maps together lies. */
export function sharedRange(maps: readonly ScalarMap[], tail?: number): ValueRange {
  const data = new Float32Array(maps.reduce((sum, map) => sum + map.data.length, 0));
  let at = 0;
  for (const map of maps) {
    data.set(map.data, at);
    at += map.data.length;
  }
  return valueRange({ width: data.length, height: 1, data }, tail);
}

/**
 * A map in the heat colours, dark is low. Give every frame of a clip the same `range`, or its colours flicker.
 */
export function heatPicture(map: ScalarMap, [low, high]: ValueRange = valueRange(map)): Picture {
  const picture = createPicture(map.width, map.height);
  const scale = high > low ? (SHADES - 1) / (high - low) : 0;
  for (const [i, value] of map.data.entries()) {
    const shade = Math.round(Math.min(SHADES - 1, Math.max(0, (value - low) * scale)));
    picture.data.set(heat[shade]!, 3 * i);
  }
  return picture;
}

/**
 * A motion field in colours: the hue is the direction, the chroma the distance. Still places are grey.
 *
 * @param field where each position comes from, (x, y) in [-1, 1]: [height, width, 2]
 * @param limit distance (1 is half a side) of the fullest colour
 */
export function motionPicture(width: number, height: number, field: Float32Array, limit = 0.5): Picture {
  const picture = createPicture(width, height);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const dx = field[2 * i]! - ((2 * x) / (width - 1) - 1);
      const dy = field[2 * i + 1]! - ((2 * y) / (height - 1) - 1);
      const distance = Math.min(1, Math.hypot(dx, dy) / limit);
      picture.data.set(oklch(0.7, 0.2 * distance, (Math.atan2(-dy, dx) * 180) / Math.PI), 3 * i);
    }
  }
  return picture;
}
