// Resizing in our own code, so that Node and the browser compute the same bytes.
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

/** How a picture becomes larger. */
export type ResizeOptions = {
  /**
   * `bilinear` (default), or `lanczos`: sharper, for what is looked at. Along an axis that becomes shorter both are the
   * triangle.
   */
  enlarge?: 'bilinear' | 'lanczos';
};

/**
 * Resizes with a triangle filter: bilinear interpolation when enlarging, and the same triangle widened by the scale (an
 * area-weighted average, so nothing aliases) when shrinking. Per axis, with `scale = in / out`:
 *
 *     centre(o)   = (o + 0.5) * scale
 *     weight(o,i) = max(0, 1 - |i + 0.5 - centre(o)| / max(1, scale)), divided by the sum over the i inside the picture
 *
 * With `lanczos` the weight of an axis that becomes longer is sinc(d) sinc(d / 3) for d = |i + 0.5 - centre(o)| < 3, else 0
 * (Duchon 1979).
 *
 * Rows first, then columns, in float64; the result is rounded half up. A picture that has the size already is copied bit
 * for bit.
 */
export function resizePicture(
  picture: Picture,
  width: number,
  height: number,
  { enlarge = 'bilinear' }: ResizeOptions = {},
): Picture {
  checkPicture(picture);
  const result = createPicture(width, height);
  checkPicture(result);
  if (width === picture.width && height === picture.height) {
    result.data.set(picture.data);
    return result;
  }
  const columns = weightsOf(picture.width, width, enlarge);
  const rows = weightsOf(picture.height, height, enlarge);
  const source = picture.data;
  const sourceStride = picture.width * 3;
  const target = result.data;
  const line = new Float64Array(sourceStride);
  for (let y = 0; y < height; y++) {
    line.fill(0.5); // rounds half up when the sum is truncated at the end
    addRows(line, source, rows.first[y]! * sourceStride, rows.weight.subarray(y * rows.taps), rows.count[y]!);
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
      // Lanczos reaches beyond black and white beside edges.
      target[to] = Math.min(255, Math.max(0, red));
      target[to + 1] = Math.min(255, Math.max(0, green));
      target[to + 2] = Math.min(255, Math.max(0, blue));
    }
  }
  return result;
}

/**
 * Adds `count` rows of `source`, which start at byte `from`, to `line`, each times its weight. Four rows at a time: most
 * of the time of shrinking goes into this loop, and it is bound by reading and writing `line`.
 */
function addRows(line: Float64Array, source: Uint8Array, from: number, weights: Float64Array, count: number): void {
  const length = line.length;
  for (let k = 0; k < count; k += 4) {
    const a = weights[k]!;
    const b = k + 1 < count ? weights[k + 1]! : 0;
    const c = k + 2 < count ? weights[k + 2]! : 0;
    const d = k + 3 < count ? weights[k + 3]! : 0;
    // A row beyond the last has weight 0; the last one is read in its stead.
    const first = from + k * length;
    const second = k + 1 < count ? first + length : first;
    const third = k + 2 < count ? second + length : first;
    const fourth = k + 3 < count ? third + length : first;
    for (let x = 0; x < length; x++) {
      const sum = a * source[first + x]! + b * source[second + x]! + c * source[third + x]! + d * source[fourth + x]!;
      line[x] = line[x]! + sum;
    }
  }
}

type Weights = { first: Int32Array; count: Int32Array; weight: Float64Array; taps: number };

/** sinc(d) sinc(d / 3), the window of which ends at 3. */
const LANCZOS_REACH = 3;

function lanczos(distance: number): number {
  if (distance === 0) return 1;
  const x = Math.PI * distance;
  return distance < LANCZOS_REACH ? (LANCZOS_REACH * Math.sin(x) * Math.sin(x / LANCZOS_REACH)) / x ** 2 : 0;
}

function weightsOf(input: number, output: number, enlarge: 'bilinear' | 'lanczos'): Weights {
  const scale = input / output;
  const sharp = enlarge === 'lanczos' && scale < 1;
  const reach = sharp ? LANCZOS_REACH : Math.max(1, scale);
  const taps = Math.ceil(2 * reach) + 1;
  const weights: Weights = {
    first: new Int32Array(output),
    count: new Int32Array(output),
    weight: new Float64Array(output * taps),
    taps,
  };
  for (let o = 0; o < output; o++) {
    const centre = (o + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - reach));
    const last = Math.min(input, Math.ceil(centre + reach));
    const values: number[] = [];
    for (let i = first; i < last && values.length < taps; i++) {
      const distance = Math.abs(i + 0.5 - centre);
      values.push(sharp ? lanczos(distance) : Math.max(0, 1 - distance / reach));
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
