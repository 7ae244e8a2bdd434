/** Resizing in our own code, so that Node and the browser compute the same bytes. */

import { checkPicture, createPicture, cropPicture, type Picture, type Rectangle } from './picture.js';

/** What is done to every frame before it is handed on: cut out `crop`, then bring to `size`. */
export type PictureTransform = {
  /** The part of the picture (after rotation) that is kept; the whole picture if left out. */
  crop?: Rectangle;
  /** Width and height of the result; unchanged if left out. */
  size?: readonly [width: number, height: number];
  /**
   * Where the shapes differ: `fill` (default) stretches to the size, `cover` keeps the proportions and cuts off what
   * stands over, half on either side.
   */
  fit?: 'fill' | 'cover';
};

/**
 * Resizes with a triangle filter: bilinear interpolation when enlarging, and the same triangle widened by the scale (an
 * area-weighted average, so nothing aliases) when shrinking. Per axis, with `scale = in / out`:
 *
 *     centre(o)   = (o + 0.5) * scale
 *     weight(o,i) = max(0, 1 - |i + 0.5 - centre(o)| / max(1, scale)), divided by the sum over the i inside the picture
 *
 * Rows first in float32, then columns; the result is rounded half up. A picture that has the size already is copied bit
 * for bit.
 */
export function resizePicture(picture: Picture, width: number, height: number): Picture {
  checkPicture(picture);
  const result = createPicture(width, height);
  checkPicture(result);
  if (width === picture.width && height === picture.height) {
    result.data.set(picture.data);
    return result;
  }
  const columns = triangleWeights(picture.width, width);
  const rows = triangleWeights(picture.height, height);
  const source = picture.data;
  const sourceStride = picture.width * 3;
  const target = result.data;
  const line = new Float32Array(sourceStride);
  for (let y = 0; y < height; y++) {
    line.fill(0.5); // rounds half up when the sum is truncated at the end
    for (let k = 0; k < rows.count[y]!; k++) {
      const weight = rows.weight[y * rows.taps + k]!;
      let from = (rows.first[y]! + k) * sourceStride;
      for (let x = 0; x < sourceStride; x++) line[x] = line[x]! + weight * source[from++]!;
    }
    let to = y * width * 3;
    for (let x = 0; x < width; x++, to += 3) {
      let red = 0;
      let green = 0;
      let blue = 0;
      let from = columns.first[x]! * 3;
      const start = x * columns.taps;
      const end = start + columns.count[x]!;
      for (let k = start; k < end; k++, from += 3) {
        const weight = columns.weight[k]!;
        red += weight * line[from]!;
        green += weight * line[from + 1]!;
        blue += weight * line[from + 2]!;
      }
      target[to] = red;
      target[to + 1] = green;
      target[to + 2] = blue;
    }
  }
  return result;
}

type Weights = { first: Int32Array; count: Int32Array; weight: Float32Array; taps: number };

function triangleWeights(input: number, output: number): Weights {
  const scale = input / output;
  const reach = Math.max(1, scale);
  const taps = Math.ceil(2 * reach) + 1;
  const weights: Weights = {
    first: new Int32Array(output),
    count: new Int32Array(output),
    weight: new Float32Array(output * taps),
    taps,
  };
  for (let o = 0; o < output; o++) {
    const centre = (o + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - reach));
    const last = Math.min(input, Math.ceil(centre + reach));
    const values: number[] = [];
    for (let i = first; i < last && values.length < taps; i++) {
      values.push(Math.max(0, 1 - Math.abs(i + 0.5 - centre) / reach));
    }
    const sum = values.reduce((total, value) => total + value, 0);
    weights.first[o] = first;
    weights.count[o] = values.length;
    values.forEach((value, k) => {
      weights.weight[o * taps + k] = value / sum;
    });
  }
  return weights;
}

/** Applies a transform; a picture that needs no change is returned as it is. */
export function transformPicture(picture: Picture, transform: PictureTransform): Picture {
  const size = transform.size ?? [transform.crop?.width ?? picture.width, transform.crop?.height ?? picture.height];
  const crop = sourceRectangle(picture, transform, size);
  const whole = crop.width === picture.width && crop.height === picture.height;
  const part = whole ? picture : cropPicture(picture, crop);
  if (part.width === size[0] && part.height === size[1]) return part;
  return resizePicture(part, size[0], size[1]);
}

/** The size of what `transformPicture` returns for a `width` x `height` picture. */
export function transformedSize(width: number, height: number, transform: PictureTransform): [number, number] {
  if (transform.size) return [transform.size[0], transform.size[1]];
  return transform.crop ? [transform.crop.width, transform.crop.height] : [width, height];
}

function sourceRectangle(
  picture: Picture,
  { crop, fit }: PictureTransform,
  [width, height]: readonly [number, number],
): Rectangle {
  const area = crop ?? { left: 0, top: 0, width: picture.width, height: picture.height };
  if (fit !== 'cover') return area;
  const scale = Math.min(area.width / width, area.height / height);
  const kept = {
    width: Math.max(1, Math.round(width * scale)),
    height: Math.max(1, Math.round(height * scale)),
  };
  return {
    left: area.left + Math.floor((area.width - kept.width) / 2),
    top: area.top + Math.floor((area.height - kept.height) / 2),
    ...kept,
  };
}
