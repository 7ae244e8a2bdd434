// Video pixels (Y'CbCr) to RGB and back, in integers, so that Node and the browser compute the same bytes and every
// matrix is honoured. Runs in Node and in the browser.
//
// With luma weights Kr, Kb (Kg = 1 - Kr - Kb; ITU-R BT.601, BT.709, BT.2020):
//
//     Y' = Kr R + Kg G + Kb B      Cb = (B - Y') / (2 - 2 Kb)      Cr = (R - Y') / (2 - 2 Kr)
//
// Limited range stores Y' as 16 + 219 Y' and chroma as 128 + 224 C; full range uses 255 for both and no offset for Y'.
import { createPicture, type Picture } from './picture.js';

/** Which luma weights relate Y'CbCr to RGB. `rgb` means that the planes hold G, B, R themselves. */
export type YuvMatrix = 'bt601' | 'bt709' | 'bt2020' | 'rgb';

/** How the numbers of a video's planes are to be read. */
export type YuvColor = {
  matrix: YuvMatrix;
  /** Whether 0...255 are all used for Y' (JPEG range) or 16...235 (the usual one). */
  fullRange: boolean;
};

/** Planes of one 8-bit frame. `chromaStep` is 1 for separate chroma planes and 2 where they are interleaved (NV12). */
export type YuvPlanes = {
  width: number;
  height: number;
  y: Uint8Array;
  yStride: number;
  cb: Uint8Array;
  cr: Uint8Array;
  chromaStride: number;
  chromaStep: 1 | 2;
  /** 1 where chroma has half the columns (4:2:0, 4:2:2), else 0. */
  shiftX: 0 | 1;
  /** 1 where chroma has half the rows (4:2:0), else 0. */
  shiftY: 0 | 1;
};

const LUMA_WEIGHTS = {
  bt601: [0.299, 0.114],
  bt709: [0.2126, 0.0722],
  bt2020: [0.2627, 0.0593],
} as const;

/** 16 fractional bits: the largest sum, about 600 * 65536, stays far inside 32 bits. */
const ONE = 65536;

type DecodeTables = {
  luma: Int32Array;
  redFromCr: Int32Array;
  greenFromCb: Int32Array;
  greenFromCr: Int32Array;
  blueFromCb: Int32Array;
};

const decodeTables = new Map<string, DecodeTables>();

function tablesFor({ matrix, fullRange }: YuvColor): DecodeTables {
  const key = `${matrix} ${fullRange}`;
  const known = decodeTables.get(key);
  if (known) return known;
  const [kr, kb] = LUMA_WEIGHTS[matrix === 'rgb' ? 'bt601' : matrix];
  const kg = 1 - kr - kb;
  const lumaScale = fullRange ? 1 : 255 / 219;
  const chromaScale = fullRange ? 1 : 255 / 224;
  const lumaOffset = fullRange ? 0 : 16;
  const table = (value: (level: number) => number) =>
    Int32Array.from({ length: 256 }, (_, level) => Math.round(value(level) * ONE));
  const chroma = (factor: number) => table((level) => (level - 128) * chromaScale * factor);
  const made = {
    luma: table((level) => (level - lumaOffset) * lumaScale + 0.5), // the half rounds the final shift
    redFromCr: chroma(2 - 2 * kr),
    greenFromCb: chroma((-(2 - 2 * kb) * kb) / kg),
    greenFromCr: chroma((-(2 - 2 * kr) * kr) / kg),
    blueFromCb: chroma(2 - 2 * kb),
  };
  decodeTables.set(key, made);
  return made;
}

/**
 * Planes to RGB. Each chroma sample serves all the pixels it covers (what FFmpeg's plain conversion does), values outside
 * 0...255 are clipped.
 */
export function yuvToPicture(planes: YuvPlanes, color: YuvColor): Picture {
  const { width, height, y, yStride, cb, cr, chromaStride, chromaStep, shiftX, shiftY } = planes;
  const picture = createPicture(width, height);
  if (color.matrix === 'rgb') {
    copyRgbPlanes(planes, picture);
    return picture;
  }
  const { luma, redFromCr, greenFromCb, greenFromCr, blueFromCb } = tablesFor(color);
  const out = new Uint8ClampedArray(picture.data.buffer); // stores clip to 0...255
  const pixelsPerChroma = 1 << shiftX;
  for (let row = 0; row < height; row++) {
    let from = row * yStride;
    let chromaAt = (row >> shiftY) * chromaStride;
    let to = row * width * 3;
    for (let column = 0; column < width; column += pixelsPerChroma, chromaAt += chromaStep) {
      const blueness = cb[chromaAt]!;
      const redness = cr[chromaAt]!;
      const red = redFromCr[redness]!;
      const green = greenFromCb[blueness]! + greenFromCr[redness]!;
      const blue = blueFromCb[blueness]!;
      let light = luma[y[from++]!]!;
      out[to++] = (light + red) >> 16;
      out[to++] = (light + green) >> 16;
      out[to++] = (light + blue) >> 16;
      if (shiftX === 1 && column + 1 < width) {
        light = luma[y[from++]!]!;
        out[to++] = (light + red) >> 16;
        out[to++] = (light + green) >> 16;
        out[to++] = (light + blue) >> 16;
      }
    }
  }
  return picture;
}

function copyRgbPlanes({ y, yStride, cb, cr, chromaStride }: YuvPlanes, picture: Picture): void {
  let to = 0;
  for (let row = 0; row < picture.height; row++) {
    for (let column = 0; column < picture.width; column++, to += 3) {
      picture.data[to] = cr[row * chromaStride + column]!;
      picture.data[to + 1] = y[row * yStride + column]!;
      picture.data[to + 2] = cb[row * chromaStride + column]!;
    }
  }
}

/**
 * RGB to packed 4:2:0 planes (Y', Cb, Cr one after the other) of an even size: an odd last column or row is repeated
 * once. A chroma sample is the mean of its four pixels, which is what `yuvToPicture` undoes best.
 */
export function pictureToI420(picture: Picture, color: YuvColor): { width: number; height: number; data: Uint8Array } {
  if (color.matrix === 'rgb') throw new RangeError("4:2:0 planes cannot hold the matrix 'rgb'");
  const [kr, kb] = LUMA_WEIGHTS[color.matrix];
  const lumaScale = color.fullRange ? 1 : 219 / 255;
  const chromaScale = color.fullRange ? 1 : 224 / 255;
  const fixed = (value: number) => Math.round(value * ONE);
  const yr = fixed(kr * lumaScale);
  const yb = fixed(kb * lumaScale);
  const yg = fixed(lumaScale) - yr - yb; // so that white is exactly the top of the range
  const yOffset = (color.fullRange ? 0 : 16) * ONE + ONE / 2;
  const br = fixed((-kr / (2 - 2 * kb)) * chromaScale);
  const bb = fixed(0.5 * chromaScale);
  const bg = -br - bb; // so that grey has no colour
  const rr = bb;
  const rb = fixed((-kb / (2 - 2 * kr)) * chromaScale);
  const rg = -rr - rb;
  const cOffset = 4 * (128 * ONE + ONE / 2);

  const width = picture.width + (picture.width & 1);
  const height = picture.height + (picture.height & 1);
  const half = width >> 1;
  const luma = width * height;
  const data = new Uint8Array(luma + (luma >> 1));
  const source = picture.data;
  const stride = picture.width * 3;
  let cb = luma;
  let cr = luma + (luma >> 2);
  for (let row = 0; row < height; row += 2) {
    const upper = row * stride;
    const lower = row + 1 < picture.height ? upper + stride : upper;
    let to = row * width;
    for (let column = 0; column < half; column++, to += 2) {
      const left = column * 6;
      const right = column * 2 + 1 < picture.width ? left + 3 : left;
      let red = 0;
      let green = 0;
      let blue = 0;
      for (let corner = 0; corner < 4; corner++) {
        const at = (corner < 2 ? upper : lower) + ((corner & 1) === 0 ? left : right);
        const r = source[at]!;
        const g = source[at + 1]!;
        const b = source[at + 2]!;
        data[to + (corner < 2 ? 0 : width) + (corner & 1)] = (yr * r + yg * g + yb * b + yOffset) >> 16;
        red += r;
        green += g;
        blue += b;
      }
      data[cb++] = clip((br * red + bg * green + bb * blue + cOffset) >> 18);
      data[cr++] = clip((rr * red + rg * green + rb * blue + cOffset) >> 18);
    }
  }
  return { width, height, data };
}

/** Full range reaches 255.5 for a pure blue or red, one rounding step too far. */
function clip(value: number): number {
  return Math.min(value, 255);
}

/** 8-bit RGBA or BGRA rows to RGB, composited onto white unless `opaque` (the fourth channel then means nothing). */
export function rgbaToPicture(
  rgba: { width: number; height: number; data: Uint8Array; stride: number },
  order: 'rgba' | 'bgra',
  opaque: boolean,
): Picture {
  const picture = createPicture(rgba.width, rgba.height);
  const [red, blue] = order === 'rgba' ? [0, 2] : [2, 0];
  let to = 0;
  for (let row = 0; row < rgba.height; row++) {
    let from = row * rgba.stride;
    for (let column = 0; column < rgba.width; column++, from += 4, to += 3) {
      const alpha = opaque ? 255 : rgba.data[from + 3]!;
      picture.data[to] = overWhite(rgba.data[from + red]!, alpha);
      picture.data[to + 1] = overWhite(rgba.data[from + 1]!, alpha);
      picture.data[to + 2] = overWhite(rgba.data[from + blue]!, alpha);
    }
  }
  return picture;
}

/** Composites a picture onto white in place; `alpha` is `[height, width]` with rows `stride` bytes apart. */
export function blendOverWhite(picture: Picture, alpha: Uint8Array, stride: number): void {
  let at = 0;
  for (let row = 0; row < picture.height; row++) {
    for (let column = 0; column < picture.width; column++) {
      const opacity = alpha[row * stride + column]!;
      for (let channel = 0; channel < 3; channel++, at++) {
        picture.data[at] = overWhite(picture.data[at]!, opacity);
      }
    }
  }
}

function overWhite(value: number, alpha: number): number {
  return 255 - Math.floor(((255 - value) * alpha + 127) / 255);
}
