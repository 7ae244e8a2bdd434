// Augmentation: what is done to all frames of a sample alike, so that what moves between them is still the face alone.
import type { Picture, Rectangle } from '../media/pictures/picture.js';
import type { Random } from './random.js';

/** How much samples are varied. The defaults are those the published models were trained with. */
export type AugmentationOptions = {
  /** Probability that a sample is mirrored left to right. Default 0.5. */
  horizontalFlip?: number;
  /** Probability that the frames of a sample swap their parts in time. Default 0.5. */
  timeFlip?: number;
  /** Brightness, contrast and saturation are multiplied by a factor from [1 - x, 1 + x]. Default 0.1. */
  brightness?: number;
  contrast?: number;
  saturation?: number;
  /** The hue is turned by up to this part of the full circle, in either direction. Default 0.1. */
  hue?: number;
  /** The frames are shown up to 1 + x times as large: a square of them, anywhere. Default 0. */
  zoom?: number;
};

/** One change of colours; `amount` is the factor, for the hue the turn. */
export type ColorStep = { kind: 'brightness' | 'contrast' | 'saturation' | 'hue'; amount: number };

/** A square within another: its side as a part of the other's, and how far it lies to the right and down, 0 to 1. */
export type View = { side: number; right: number; down: number };

/** What is done to one sample. */
export type Augmentation = {
  mirror: boolean;
  /** Whether the frames are in reverse order. */
  reverse: boolean;
  /** In the order in which they are applied. */
  colors: readonly ColorStep[];
  /** What is shown of the frames. */
  view: View;
};

/** The augmentation that changes nothing. */
export const UNCHANGED: Augmentation = {
  mirror: false,
  reverse: false,
  colors: [],
  view: { side: 1, right: 0, down: 0 },
};

const DEFAULTS = {
  horizontalFlip: 0.5,
  timeFlip: 0.5,
  brightness: 0.1,
  contrast: 0.1,
  saturation: 0.1,
  hue: 0.1,
  zoom: 0,
};

const MOST = {
  horizontalFlip: 1,
  timeFlip: 1,
  brightness: Infinity,
  contrast: Infinity,
  saturation: Infinity,
  hue: 0.5,
  zoom: 1,
};

/** Fills in the defaults. Throws a `RangeError` for an amount that makes no sense. */
export function augmentationSettings(options: AugmentationOptions): Required<AugmentationOptions> {
  const settings = { ...DEFAULTS, ...options };
  for (const [name, most] of Object.entries(MOST)) {
    const value = settings[name as keyof typeof MOST];
    if (!(value >= 0 && value <= most)) throw new RangeError(`${name} must be in [0, ${most}], not ${value}`);
  }
  return settings;
}

/** Draws what is done to a sample: the four changes of colours come in random order, each with an amount drawn evenly. */
export function drawAugmentation(random: Random, settings: Required<AugmentationOptions>): Augmentation {
  const mirror = random.chance(settings.horizontalFlip);
  const reverse = random.chance(settings.timeFlip);
  const factor = (range: number) => random.between(Math.max(0, 1 - range), 1 + range);
  const colors: ColorStep[] = [
    { kind: 'brightness', amount: factor(settings.brightness) },
    { kind: 'contrast', amount: factor(settings.contrast) },
    { kind: 'saturation', amount: factor(settings.saturation) },
    { kind: 'hue', amount: random.between(-settings.hue, settings.hue) },
  ];
  random.shuffle(colors);
  const side = 1 / random.between(1, 1 + settings.zoom);
  return { mirror, reverse, colors, view: { side, right: random.between(0, 1), down: random.between(0, 1) } };
}

/** The view of the middle square of a `width` x `height` picture, in whole pixels. */
export function viewRectangle({ side, right, down }: View, width: number, height: number): Rectangle {
  const whole = Math.min(width, height);
  const kept = Math.max(1, Math.round(side * whole));
  return {
    left: Math.floor((width - whole) / 2) + Math.round(right * (whole - kept)),
    top: Math.floor((height - whole) / 2) + Math.round(down * (whole - kept)),
    width: kept,
    height: kept,
  };
}

/** Writes a picture as planes of numbers in [0, 1], mirrored if wanted: bytes [H, W, 3] -> `planes` [3, H, W]. */
export function writePlanes({ width, height, data }: Picture, planes: Float32Array, mirror: boolean): void {
  const area = width * height;
  const [first, step] = mirror ? [width - 1, -1] : [0, 1];
  for (let y = 0, from = 0; y < height; y++) {
    for (let x = 0, to = y * width + first; x < width; x++, from += 3, to += step) {
      planes[to] = data[from]! / 255;
      planes[area + to] = data[from + 1]! / 255;
      planes[2 * area + to] = data[from + 2]! / 255;
    }
  }
}

/**
 * Changes the colours of the frames of one sample in place, each [3, H, W] in [0, 1] and so afterwards. With grey =
 * 0.2989 R + 0.587 G + 0.114 B every channel c of a pixel becomes, cut off at 0 and 1,
 *
 *     brightness b:  b c
 *     contrast k:    k c + (1 - k) m,     m the mean grey of all frames of the sample
 *     saturation s:  s c + (1 - s) grey
 *     hue h:         the colour of equal saturation and value (HSV) whose hue is h of a full circle further
 *
 * as torchvision's ColorJitter computes them, but for m: with one mean per frame, as there, the same patch of skin would
 * change its colour from frame to frame.
 */
export function changeColors(frames: readonly Float32Array[], steps: readonly ColorStep[]): void {
  for (const { kind, amount } of steps) {
    if (kind === 'brightness') {
      for (const frame of frames) blend(frame, amount, 0);
    } else if (kind === 'contrast') {
      const mean = frames.reduce((sum, frame) => sum + meanGrey(frame), 0) / frames.length;
      for (const frame of frames) blend(frame, amount, (1 - amount) * mean);
    } else if (kind === 'saturation') {
      for (const frame of frames) saturate(frame, amount);
    } else {
      for (const frame of frames) turnHue(frame, amount);
    }
  }
}

const [RED, GREEN, BLUE] = [0.2989, 0.587, 0.114] as const;

function clamp(value: number): number {
  return Math.min(1, Math.max(0, value));
}

/** `factor * c + offset` */
function blend(frame: Float32Array, factor: number, offset: number): void {
  for (let i = 0; i < frame.length; i++) frame[i] = clamp(factor * frame[i]! + offset);
}

function meanGrey(frame: Float32Array): number {
  const area = frame.length / 3;
  const sums = [0, 1, 2].map((channel) => {
    let sum = 0;
    for (let i = channel * area; i < (channel + 1) * area; i++) sum += frame[i]!;
    return sum;
  });
  return (RED * sums[0]! + GREEN * sums[1]! + BLUE * sums[2]!) / area;
}

function saturate(frame: Float32Array, factor: number): void {
  const area = frame.length / 3;
  for (let r = 0, g = area, b = 2 * area; r < area; r++, g++, b++) {
    const grey = (1 - factor) * (RED * frame[r]! + GREEN * frame[g]! + BLUE * frame[b]!);
    frame[r] = clamp(factor * frame[r]! + grey);
    frame[g] = clamp(factor * frame[g]! + grey);
    frame[b] = clamp(factor * frame[b]! + grey);
  }
}

/**
 * Turning the hue keeps the largest channel V and the smallest, V - C. With the hue in sixths of the circle from red, a
 * channel is V - C min(1, max(0, |distance of the hue from the channel's own| - 1)), distances taken round the circle.
 */
function turnHue(frame: Float32Array, turn: number): void {
  const area = frame.length / 3;
  for (let r = 0, g = area, b = 2 * area; r < area; r++, g++, b++) {
    const [red, green, blue] = [frame[r]!, frame[g]!, frame[b]!];
    const value = Math.max(red, green, blue);
    const chroma = value - Math.min(red, green, blue);
    if (chroma === 0) continue;
    let hue = 6 * turn;
    if (value === red) hue += (green - blue) / chroma;
    else if (value === green) hue += 2 + (blue - red) / chroma;
    else hue += 4 + (red - green) / chroma;
    frame[r] = value - chroma * distanceBeyondOne(hue);
    frame[g] = value - chroma * distanceBeyondOne(hue - 2);
    frame[b] = value - chroma * distanceBeyondOne(hue - 4);
  }
}

/** How far an angle (in sixths of the circle, from -10 to 10) is beyond 1 from 0, at most 1. */
function distanceBeyondOne(angle: number): number {
  const distance = Math.abs(angle - 6 * Math.round(angle / 6));
  return distance <= 1 ? 0 : distance >= 2 ? 1 : distance - 1;
}
