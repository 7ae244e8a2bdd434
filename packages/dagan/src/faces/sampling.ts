// Cutting the square that a network looks at out of a picture: turned, scaled, without aliasing.
import type { Picture } from '../media/pictures/picture.js';

/** A square of a picture, in its pixels; (0, 0) is the corner of the first pixel. */
export type Region = {
  centerX: number;
  centerY: number;
  /** Length of a side. */
  side: number;
  /** Radians by which the square is turned clockwise. */
  angle: number;
};

/** How sampled values are made of bytes: `byte * scale + offset`. */
export type SamplingOptions = {
  scale: number;
  offset: number;
  /** What lies outside the picture: black, or the nearest pixel of its edge. */
  border: 'black' | 'edge';
};

/** A point of the square, from 0 to 1 along its sides, in the picture's pixels. */
export function fromRegion({ centerX, centerY, side, angle }: Region, u: number, v: number): [x: number, y: number] {
  const [cos, sin] = [Math.cos(angle) * side, Math.sin(angle) * side];
  return [centerX + (u - 0.5) * cos - (v - 0.5) * sin, centerY + (u - 0.5) * sin + (v - 0.5) * cos];
}

/**
 * Samples `size` x `size` values of a region, as `[3, size, size]`. Where the region is larger than that, blocks of
 * whole pixels are averaged first and then interpolated bilinearly between.
 */
export function sampleRegion(picture: Picture, region: Region, size: number, options: SamplingOptions): Float32Array {
  const block = Math.max(1, Math.floor(region.side / size));
  const reduced = reduce(picture, region, block);
  const { scale, offset, border } = options;
  const result = new Float32Array(3 * size * size);
  const [originX, originY] = fromRegion(region, 0, 0);
  const step = region.side / size;
  const [stepX, stepY] = [Math.cos(region.angle) * step, Math.sin(region.angle) * step];
  const { data, width, height } = reduced;
  const plane = size * size;
  for (let v = 0; v < size; v++) {
    for (let u = 0; u < size; u++) {
      const x = (originX + (u + 0.5) * stepX - (v + 0.5) * stepY - reduced.left) / block - 0.5;
      const y = (originY + (u + 0.5) * stepY + (v + 0.5) * stepX - reduced.top) / block - 0.5;
      const at = v * size + u;
      if (border === 'black' && (x < -0.5 || y < -0.5 || x > width - 0.5 || y > height - 0.5)) {
        result[at] = offset;
        result[at + plane] = offset;
        result[at + 2 * plane] = offset;
        continue;
      }
      const clampedX = Math.min(Math.max(x, 0), width - 1);
      const clampedY = Math.min(Math.max(y, 0), height - 1);
      const column = Math.floor(clampedX);
      const row = Math.floor(clampedY);
      const right = clampedX - column;
      const down = clampedY - row;
      const a = (row * width + column) * 3;
      const b = column + 1 < width ? a + 3 : a;
      const below = row + 1 < height ? width * 3 : 0;
      for (let channel = 0; channel < 3; channel++) {
        const upper = data[a + channel]! * (1 - right) + data[b + channel]! * right;
        const lower = data[a + below + channel]! * (1 - right) + data[b + below + channel]! * right;
        result[at + channel * plane] = (upper * (1 - down) + lower * down) * scale + offset;
      }
    }
  }
  return result;
}

type Reduced = {
  data: Uint8Array | Float32Array;
  width: number;
  height: number;
  /** Where its corner lies in the picture. */
  left: number;
  top: number;
};

/** The part of the picture that a region covers, with blocks of `block` x `block` pixels averaged to one. */
function reduce(picture: Picture, region: Region, block: number): Reduced {
  if (block === 1) return { data: picture.data, width: picture.width, height: picture.height, left: 0, top: 0 };
  const reach = (region.side / 2) * (Math.abs(Math.cos(region.angle)) + Math.abs(Math.sin(region.angle))) + block;
  const bounds = (center: number, length: number): [number, number] => {
    const first = Math.min(length - 1, Math.max(0, Math.floor(center - reach)));
    return [first, Math.max(first + 1, Math.min(length, Math.ceil(center + reach)))];
  };
  const [left, right] = bounds(region.centerX, picture.width);
  const [top, bottom] = bounds(region.centerY, picture.height);
  const width = Math.ceil((right - left) / block);
  const height = Math.ceil((bottom - top) / block);
  const data = new Float32Array(width * height * 3);
  const line = new Float64Array(width * 3);
  for (let row = 0; row < height; row++) {
    const [from, until] = [top + row * block, Math.min(bottom, top + (row + 1) * block)];
    line.fill(0);
    for (let y = from; y < until; y++) {
      let at = (y * picture.width + left) * 3;
      for (let column = 0; column < width; column++) {
        const count = Math.min(block, right - left - column * block);
        let red = 0;
        let green = 0;
        let blue = 0;
        for (let k = 0; k < count; k++, at += 3) {
          red += picture.data[at]!;
          green += picture.data[at + 1]!;
          blue += picture.data[at + 2]!;
        }
        line[column * 3] = line[column * 3]! + red / count;
        line[column * 3 + 1] = line[column * 3 + 1]! + green / count;
        line[column * 3 + 2] = line[column * 3 + 2]! + blue / count;
      }
    }
    for (let i = 0; i < line.length; i++) data[row * width * 3 + i] = line[i]! / (until - from);
  }
  return { data, width, height, left, top };
}
