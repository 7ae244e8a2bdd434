// Tensors in plain memory, without any library of tensors: what engines in browsers give, and what files of figures hold.
import type { Picture } from '../media/pictures/picture.js';

/** One number per pixel, such as disparity. */
export type ScalarMap = { width: number; height: number; data: Float32Array };

/** A tensor's numbers, row by row. */
export type TensorValues = { shape: readonly number[]; data: Float32Array };

/** N maps from [N, 1, H, W]. */
export function valuesToMaps({ shape, data }: TensorValues): ScalarMap[] {
  const [height, width] = shape.slice(-2) as [number, number];
  const size = height * width;
  return Array.from({ length: data.length / size }, (_, i) => ({
    width,
    height,
    data: data.slice(i * size, (i + 1) * size),
  }));
}

/** [N, 3, H, W] in [0, 1] -> N pictures. */
export function valuesToPictures({ shape, data }: TensorValues): Picture[] {
  const [height, width] = shape.slice(-2) as [number, number];
  const pixels = height * width;
  return Array.from({ length: data.length / (3 * pixels) }, (_, n) => {
    const bytes = new Uint8ClampedArray(3 * pixels); // rounds and cuts
    for (let channel = 0; channel < 3; channel++) {
      const start = (3 * n + channel) * pixels;
      for (let i = 0; i < pixels; i++) bytes[3 * i + channel] = 255 * data[start + i]!;
    }
    return { width, height, data: new Uint8Array(bytes.buffer) };
  });
}

/** N pictures of one size -> [N, 3, H, W] in [0, 1]. */
export function picturesToValues(pictures: readonly Picture[]): TensorValues {
  const { width, height } = pictures[0]!;
  const pixels = width * height;
  const values = new Float32Array(pictures.length * 3 * pixels);
  for (const [n, { data }] of pictures.entries()) {
    for (let channel = 0; channel < 3; channel++) {
      const start = (3 * n + channel) * pixels;
      for (let i = 0; i < pixels; i++) values[start + i] = data[3 * i + channel]! / 255;
    }
  }
  return { shape: [pictures.length, 3, height, width], data: values };
}

/** Every n-th entry along the second dimension: [N, C, ...] -> [N, C / n, ...]. */
export function everyNth({ shape, data }: TensorValues, step: number): TensorValues {
  const [count, channels, ...rest] = shape as [number, number, ...number[]];
  const size = rest.reduce((product, length) => product * length, 1);
  const kept = Math.ceil(channels / step);
  const values = new Float32Array(count * kept * size);
  for (let n = 0; n < count; n++) {
    for (let i = 0; i < kept; i++) {
      const from = (n * channels + i * step) * size;
      values.set(data.subarray(from, from + size), (n * kept + i) * size);
    }
  }
  return { shape: [count, kept, ...rest], data: values };
}

/** Whether a grid's corners are the centres of the outermost pixels, or their outer edges. */
type GridOptions = { alignCorners?: boolean };

/** A map at another size, each value spread smoothly around the middle of its old cell. */
export function resizeMap(
  map: ScalarMap,
  width: number,
  height: number,
  { alignCorners = false }: GridOptions = {},
): ScalarMap {
  const data = new Float32Array(width * height);
  const place = (i: number, from: number, to: number) => {
    const at = alignCorners ? (i * (from - 1)) / Math.max(1, to - 1) : ((i + 0.5) * from) / to - 0.5;
    const position = Math.min(from - 1, Math.max(0, at));
    const first = Math.min(Math.floor(position), Math.max(0, from - 2));
    return { first, second: Math.min(first + 1, from - 1), share: position - first };
  };
  const columns = Array.from({ length: width }, (_, x) => place(x, map.width, width));
  for (let y = 0, at = 0; y < height; y++) {
    const row = place(y, map.height, height);
    const [upper, lower] = [row.first * map.width, row.second * map.width];
    for (const { first, second, share } of columns) {
      const top = map.data[upper + first]! * (1 - share) + map.data[upper + second]! * share;
      const bottom = map.data[lower + first]! * (1 - share) + map.data[lower + second]! * share;
      data[at++] = top * (1 - row.share) + bottom * row.share;
    }
  }
  return { width, height, data };
}

/** A motion field, (x, y) for every place: [height, width, 2]. */
export type MotionField = { width: number; height: number; data: Float32Array };

/** Resizes a motion field; see `resizeField` in warp.ts. */
export function resizeFieldValues(
  field: MotionField,
  width: number,
  height: number,
  options?: GridOptions,
): MotionField {
  if (field.width === width && field.height === height) return field;
  const data = new Float32Array(2 * width * height);
  for (const c of [0, 1]) {
    const part = { width: field.width, height: field.height, data: field.data.filter((_, i) => i % 2 === c) };
    for (const [i, value] of resizeMap(part, width, height, options).data.entries()) data[2 * i + c] = value;
  }
  return { width, height, data };
}

/** Samples [1, C, H, W] where a motion field of any size says, with nothing outside; see `warp` in warp.ts. */
export function warpValues(input: TensorValues, field: MotionField, options: GridOptions = {}): TensorValues {
  const [, channels, height, width] = input.shape as [number, number, number, number];
  const { data: grid } = resizeFieldValues(field, width, height, options);
  const size = height * width;
  const data = new Float32Array(channels * size);
  const along = (at: number, length: number): number =>
    options.alignCorners ? ((at + 1) * (length - 1)) / 2 : ((at + 1) * length - 1) / 2;
  for (let i = 0; i < size; i++) {
    const [x, y] = [along(grid[2 * i]!, width), along(grid[2 * i + 1]!, height)];
    const [left, top] = [Math.floor(x), Math.floor(y)];
    for (const [column, across] of [
      [left, left + 1 - x],
      [left + 1, x - left],
    ] as const) {
      for (const [row, down] of [
        [top, top + 1 - y],
        [top + 1, y - top],
      ] as const) {
        if (column < 0 || row < 0 || column >= width || row >= height) continue;
        const from = row * width + column;
        for (let c = 0; c < channels; c++) data[c * size + i]! += input.data[c * size + from]! * across * down;
      }
    }
  }
  return { shape: [1, channels, height, width], data };
}
