// Colours that are evenly spaced to the eye, computed in Oklab (Björn Ottosson, 2020, "A perceptual color space for image processing").

/** Red, green and blue, 0 to 255. */
export type Rgb = readonly [number, number, number];

/** Linear light in [0, 1] to an sRGB byte (IEC 61966-2-1). */
function encode(linear: number): number {
  const value = linear <= 0.0031308 ? 12.92 * linear : 1.055 * linear ** (1 / 2.4) - 0.055;
  return Math.round(255 * Math.min(1, Math.max(0, value)));
}

/** Oklab to linear sRGB; values outside [0, 1] cannot be shown. */
function oklabToLinear(lightness: number, a: number, b: number): Rgb {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
}

/**
 * The colour of a lightness (0 to 1), chroma (0 is grey, about 0.3 the most) and hue (degrees; 30 red, 110 yellow, 145
 * green, 265 blue, 330 pink). Where a screen cannot show so much chroma, as much as it can.
 */
export function oklch(lightness: number, chroma: number, hue: number): Rgb {
  const angle = (hue * Math.PI) / 180;
  const at = (c: number): Rgb => oklabToLinear(lightness, c * Math.cos(angle), c * Math.sin(angle));
  const shown = (color: Rgb): boolean => color.every((value) => value >= -1e-4 && value <= 1 + 1e-4);
  let [low, high] = [0, chroma];
  if (shown(at(chroma))) low = chroma;
  for (let step = 0; step < 20 && high - low > 1e-4; step++) {
    const middle = (low + high) / 2;
    if (shown(at(middle))) low = middle;
    else high = middle;
  }
  const [red, green, blue] = at(low);
  return [encode(red), encode(green), encode(blue)];
}

/**
 * The colour map for depth and heat: from near black through violet, red and orange to a pale yellow. Lightness grows in
 * equal steps, so equal differences look equal, in grey and to the colour-blind too.
 *
 * @param value 0 (far, cold) to 1 (near, hot)
 */
export function heatColor(value: number): Rgb {
  const t = Math.min(1, Math.max(0, value));
  return oklch(0.13 + 0.84 * t, 0.05 + 0.16 * Math.sin(Math.PI * t) ** 0.8, 285 + 180 * t);
}

/** A colour per index, far apart in hue for neighbours (the golden angle) and of the same lightness. */
export function distinctColor(index: number): Rgb {
  return oklch(0.76, 0.19, 30 + index * 137.508);
}
