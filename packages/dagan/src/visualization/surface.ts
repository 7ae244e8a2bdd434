// A picture with depth as a coloured surface in space: the point cloud of the paper's Fig. 1, 8 and 10.
import type { Picture } from '../media/pictures/picture.js';
import type { ScalarMap } from '../tensors/values.js';
import type { PinholeCamera, Point3 } from './camera.js';

/** Points with colours, and the triangles between them. */
export type Surface = {
  /** [V, 3] */
  positions: Float32Array;
  /** [V, 3], 0 to 255. */
  colors: Uint8Array;
  /** Three points each, clockwise as seen from the front: [T, 3]. */
  triangles: Uint32Array;
};

/**
 * Angles in degrees between the line of sight and a surface's normal, from which on the surface counts as a gap: what is
 * seen so flat is in truth the edge of something near in front of something far. `step` is for the way from one pixel to
 * the next, `slope` for the usual step of several in a row, as networks blur such edges.
 */
const GRAZING = { step: 84, slope: 81.5 } as const;

/** Steps in a row of which the usual one is taken. */
const RUN = 5;

/**
 * The surface that a camera sees: every pixel at `depth K^-1 (u, v, 1)`, in the camera's coordinates (right, down, away)
 * and the depth's unit. Triangles across a gap in depth are left out, and so are points that no triangle needs.
 *
 * @param depth along the line of sight's z, of every pixel; what is not finite and above 0 is no point
 * @throws RangeError if picture and depth differ in size
 */
export function depthSurface(picture: Picture, depth: ScalarMap, camera: PinholeCamera): Surface {
  const { width, height, data } = depth;
  if (picture.width !== width || picture.height !== height) {
    throw new RangeError(
      `the picture is ${picture.width} x ${picture.height} and its depth ${width} x ${height}; they must agree`,
    );
  }
  const triangles = trianglesWithoutGaps(depth, camera);
  const index = new Int32Array(width * height).fill(-1);
  let count = 0;
  for (let i = 0; i < triangles.length; i++) {
    const pixel = triangles[i]!;
    if (index[pixel]! < 0) index[pixel] = count++;
    triangles[i] = index[pixel]!;
  }
  const positions = new Float32Array(3 * count);
  const colors = new Uint8Array(3 * count);
  for (let v = 0, pixel = 0; v < height; v++) {
    for (let u = 0; u < width; u++, pixel++) {
      const at = 3 * index[pixel]!;
      if (at < 0) continue;
      const z = data[pixel]!;
      positions[at] = (z * (u - camera.centerX)) / camera.focalX;
      positions[at + 1] = (z * (v - camera.centerY)) / camera.focalY;
      positions[at + 2] = z;
      for (let c = 0; c < 3; c++) colors[at + c] = picture.data[3 * pixel + c]!;
    }
  }
  return { positions, colors, triangles };
}

/** Two triangles, of pixel indices, in every square of four pixels, where there is no gap. */
function trianglesWithoutGaps(depth: ScalarMap, camera: PinholeCamera): Uint32Array {
  const { width, height, data } = depth;
  const across = joints(depth, camera.focalX, 1);
  const down = joints(depth, camera.focalY, width);
  const triangles = new Uint32Array(6 * (width - 1) * (height - 1));
  let at = 0;
  const add = (a: number, b: number, c: number): void => {
    triangles[at++] = a;
    triangles[at++] = b;
    triangles[at++] = c;
  };
  for (let v = 0; v < height - 1; v++) {
    for (let u = 0; u < width - 1; u++) {
      const a = v * width + u;
      const [b, c, d] = [a + 1, a + width, a + width + 1];
      const [top, left, right, bottom] = [across[a], down[a], down[b], across[c]];
      // The diagonal along which depth changes less follows an edge instead of crossing it.
      if (Math.abs(data[b]! - data[c]!) <= Math.abs(data[a]! - data[d]!)) {
        if (top && left) add(a, b, c);
        if (right && bottom) add(b, d, c);
      } else {
        if (top && right) add(a, b, d);
        if (left && bottom) add(a, d, c);
      }
    }
  }
  return triangles.slice(0, at);
}

/** 1 for every pixel that the surface joins to the next one on the right (`stride` 1) or below (`stride` the width). */
function joints({ width, height, data }: ScalarMap, focal: number, stride: number): Uint8Array {
  const limit = (angle: number): number => Math.tan((angle * Math.PI) / 180) / focal;
  const [step, slope] = [limit(GRAZING.step), limit(GRAZING.slope)];
  const [length, lines, lineStride] = stride === 1 ? [width, height, width] : [height, width, 1];
  const joined = new Uint8Array(width * height);
  const steps = new Float32Array(length - 1);
  for (let line = 0; line < lines; line++) {
    const start = line * lineStride;
    for (let i = 0; i < length - 1; i++) {
      const [near, far] = [data[start + i * stride]!, data[start + (i + 1) * stride]!];
      const change = Math.abs(near - far) / Math.min(near, far);
      // Not a number where a depth is not; Infinity where one is.
      steps[i] = near > 0 && far > 0 && change >= 0 ? change : Number.POSITIVE_INFINITY;
    }
    for (let i = 0; i < length - 1; i++) {
      const first = Math.max(0, Math.min(i - (RUN >> 1), length - 1 - RUN));
      const usual = steps.slice(first, first + RUN).sort()[RUN >> 1] ?? 0;
      joined[start + i * stride] = steps[i]! <= step && usual <= slope ? 1 : 0;
    }
  }
  return joined;
}

/**
 * Where the face is: straight ahead of the middle of the picture, at the median depth of its middle third. Clips and
 * portraits are cut so that the face fills that part.
 *
 * @throws RangeError if there is no depth there
 */
export function faceCenter({ width, height, data }: ScalarMap, camera: PinholeCamera): Point3 {
  const depths: number[] = [];
  for (let v = Math.floor(height / 3); v < Math.ceil((2 * height) / 3); v++) {
    for (let u = Math.floor(width / 3); u < Math.ceil((2 * width) / 3); u++) {
      const z = data[v * width + u]!;
      if (z > 0 && Number.isFinite(z)) depths.push(z);
    }
  }
  if (depths.length === 0) throw new RangeError('there is no depth in the middle of the picture');
  const z = depths.sort((a, b) => a - b)[depths.length >> 1]!;
  const [u, v] = [(width - 1) / 2, (height - 1) / 2];
  return [(z * (u - camera.centerX)) / camera.focalX, (z * (v - camera.centerY)) / camera.focalY, z];
}

/**
 * The surface as 3D programs expect it: right, up and towards the viewer, the face at the origin, and its distance from
 * the camera as the unit, since nothing in a video tells metres.
 */
export function centerSurface(surface: Surface, [x, y, z]: Point3): Surface {
  const positions = new Float32Array(surface.positions.length);
  for (let i = 0; i < positions.length; i += 3) {
    positions[i] = (surface.positions[i]! - x) / z;
    positions[i + 1] = (y - surface.positions[i + 1]!) / z;
    positions[i + 2] = (z - surface.positions[i + 2]!) / z;
  }
  return { ...surface, positions };
}

/** Light that a side turned away from the lamp still has. */
const AMBIENT = 0.25;

/** From the surface to the lamp: left above the camera. */
const LAMP: Point3 = [-0.5, -0.55, -0.67];

/** The same surface in grey plaster under one lamp, which shows its shape alone. */
export function plasterSurface(surface: Surface): Surface {
  const { positions, triangles } = surface;
  const normals = new Float64Array(positions.length);
  for (let t = 0; t < triangles.length; t += 3) {
    const [a, b, c] = [3 * triangles[t]!, 3 * triangles[t + 1]!, 3 * triangles[t + 2]!];
    const side = (to: number, i: number): number => positions[to + i]! - positions[a + i]!;
    for (let i = 0; i < 3; i++) {
      const [j, k] = [(i + 1) % 3, (i + 2) % 3];
      const component = side(c, j) * side(b, k) - side(c, k) * side(b, j); // towards the camera
      for (const corner of [a, b, c]) normals[corner + i]! += component;
    }
  }
  const colors = new Uint8Array(surface.colors.length);
  for (let i = 0; i < colors.length; i += 3) {
    const [x, y, z] = [normals[i]!, normals[i + 1]!, normals[i + 2]!];
    const facing = (x * LAMP[0] + y * LAMP[1] + z * LAMP[2]) / (Math.hypot(x, y, z) || 1);
    colors.fill(Math.round(255 * (AMBIENT + (1 - AMBIENT) * Math.max(0, facing)) * 0.95), i, i + 3);
  }
  return { ...surface, colors };
}
