// Clips of a textured head under a moving pinhole camera, with everything known that depth training has to find out:
// depth, camera motion and intrinsics. Triangle meshes with a colour per vertex.
import { createPicture, type Picture } from '../media/pictures/picture.js';
import { SAMPLES, sampleSurfaces } from '../visualization/rasterizer.js';
import { Random } from './random.js';

export type SyntheticHeadOptions = {
  /** Width and height of the frames in pixels. */
  size?: number;
  /** Number of frames. */
  frames?: number;
  /** Decides shape, texture, light and camera path. */
  seed?: number;
  /** Focal length over the picture's width. */
  focal?: number;
  /** Distance from the head's centre to the wall behind it, in half head heights; null for black nothing. */
  background?: number | null;
  /** How far the camera moves from frame to frame; 1 moves the picture by about 3 % of its width, 0 holds it still. */
  motion?: number;
};

/**
 * A rendered clip. Lengths are in half head heights. Cameras look along z with x to the right and y down, and pixel (u, v)
 * has its centre at (u, v): the convention of `backproject` and `project`.
 */
export type SyntheticClip = {
  frames: readonly Picture[];
  /** Depth along z of every pixel, [H W] per frame; Infinity where nothing is seen. */
  depths: readonly Float32Array[];
  /** 1 where the head (with ears and neck) is seen, 0 elsewhere, [H W] per frame. */
  masks: readonly Uint8Array[];
  /** From world to camera, [R t; 0 1] row by row, 16 numbers per frame. */
  poses: readonly Float64Array[];
  /** K in pixels, row by row, 9 numbers; the principal point is at half the width and height. */
  intrinsics: Float64Array;
};

type Vector = readonly [x: number, y: number, z: number];

/** A surface whose colours are painted on: lighting is part of them, so a point looks the same from everywhere. */
type Mesh = {
  positions: Float32Array; // [V, 3]
  colors: Float32Array; // [V, 3], 0 ... 255
  triangles: Uint32Array; // [T, 3], counter-clockwise seen from inside
  isHead: boolean;
};

const DISTANCE = 2.3;
const AMBIENT = 0.5;

/** A 32-bit number from another, without visible pattern. */
function scramble(value: number): number {
  let x = Math.imul(value ^ (value >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  return (x ^ (x >>> 15)) >>> 0;
}

const dot = (a: Vector, b: Vector): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a: Vector, b: Vector): Vector => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];
const normalize = (a: Vector): Vector => {
  const length = Math.hypot(...a) || 1;
  return [a[0] / length, a[1] / length, a[2] / length];
};

// ---- texture

/** Random values on the whole numbers of space, smoothly interpolated, in [-1, 1]. */
function valueNoise(x: number, y: number, z: number, seed: number): number {
  const [i, j, k] = [Math.floor(x), Math.floor(y), Math.floor(z)];
  const smooth = (t: number): number => t * t * (3 - 2 * t);
  const [u, v, w] = [smooth(x - i), smooth(y - j), smooth(z - k)];
  const corner = (a: number, b: number, c: number): number =>
    scramble(Math.imul(i + a, 73856093) ^ Math.imul(j + b, 19349663) ^ Math.imul(k + c, 83492791) ^ seed) / 2 ** 31 - 1;
  const row = (b: number, c: number): number => corner(0, b, c) * (1 - u) + corner(1, b, c) * u;
  const plane = (c: number): number => row(0, c) * (1 - v) + row(1, c) * v;
  return plane(0) * (1 - w) + plane(1) * w;
}

/** Octaves of the texture as [waves per unit, strength]: the slow ones lead the eye from afar, the fast ones pin it down. */
const OCTAVES = [
  [1.1, 0.15],
  [2.3, 0.17],
  [4.7, 0.19],
  [9.1, 0.19],
] as const;

/** Colour at a point of a surface, 0 ... 1. */
type Color = (point: Vector) => Vector;

/** Colours at every vertex, 0 ... 255: the surface's own, with coloured noise in it, times the light that falls there. */
function paint(positions: Float32Array, shade: Float32Array, color: Color, seed: number, scale: number): Float32Array {
  const colors = new Float32Array(positions.length);
  for (let i = 0; i < positions.length; i += 3) {
    const point: Vector = [positions[i]!, positions[i + 1]!, positions[i + 2]!];
    const base = color(point);
    for (let channel = 0; channel < 3; channel++) {
      let noise = 0;
      for (const [frequency, strength] of OCTAVES) {
        const [x, y, z] = point.map((value) => value * scale * frequency) as [number, number, number];
        noise += strength * valueNoise(x, y, z, seed + 7919 * channel);
      }
      colors[i + channel] = 255 * Math.min(1, Math.max(0, base[channel]! + noise)) * shade[i / 3]!;
    }
  }
  return colors;
}

// ---- surfaces

/** Triangles of a grid of (rows + 1) x (columns + 1) points. */
function gridTriangles(rows: number, columns: number): Uint32Array {
  const triangles = new Uint32Array(6 * rows * columns);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, at += 6) {
      const a = row * (columns + 1) + column;
      const b = a + columns + 1;
      triangles.set([a, a + 1, b, a + 1, b + 1, b], at);
    }
  }
  return triangles;
}

function gridPositions(rows: number, columns: number, pointAt: (u: number, v: number) => Vector): Float32Array {
  const positions = new Float32Array(3 * (rows + 1) * (columns + 1));
  for (let row = 0, at = 0; row <= rows; row++) {
    for (let column = 0; column <= columns; column++, at += 3) positions.set(pointAt(column / columns, row / rows), at);
  }
  return positions;
}

/** Lambertian light from a direction that is fixed in the world, per vertex. */
function shadeOf(positions: Float32Array, triangles: Uint32Array, light: Vector): Float32Array {
  const normals = new Float32Array(positions.length);
  const vertex = (index: number): Vector => [positions[index]!, positions[index + 1]!, positions[index + 2]!];
  for (let t = 0; t < triangles.length; t += 3) {
    const corners = [triangles[t]! * 3, triangles[t + 1]! * 3, triangles[t + 2]! * 3] as const;
    const [a, b, c] = corners.map(vertex) as [Vector, Vector, Vector];
    const normal = cross([c[0] - a[0], c[1] - a[1], c[2] - a[2]], [b[0] - a[0], b[1] - a[1], b[2] - a[2]]);
    for (const corner of corners) for (let i = 0; i < 3; i++) normals[corner + i]! += normal[i]!;
  }
  return Float32Array.from({ length: positions.length / 3 }, (_, i) => {
    const normal = normalize([normals[3 * i]!, normals[3 * i + 1]!, normals[3 * i + 2]!]);
    return AMBIENT + (1 - AMBIENT) * Math.max(0, dot(normal, light));
  });
}

type Ellipsoid = { center: Vector; radii: Vector; rows: number; bulge?: (x: number, y: number, z: number) => number };

/** Points of an ellipsoid, pushed out by `bulge` of the direction from its centre. Meridians start at the back. */
function ellipsoid({ center, radii, rows, bulge = () => 0 }: Ellipsoid): {
  positions: Float32Array;
  triangles: Uint32Array;
} {
  const positions = gridPositions(rows, 2 * rows, (u, v) => {
    const [longitude, latitude] = [2 * Math.PI * u, Math.PI * v];
    const x = -Math.sin(latitude) * Math.sin(longitude);
    const y = -Math.cos(latitude);
    const z = Math.sin(latitude) * Math.cos(longitude);
    const size = 1 + bulge(x, y, z);
    return [center[0] + radii[0] * x * size, center[1] + radii[1] * y * size, center[2] + radii[2] * z * size];
  });
  return { positions, triangles: gridTriangles(rows, 2 * rows) };
}

const warmColor = (random: Random): Vector => {
  const light = random.between(0.45, 0.85);
  return [light, light * random.between(0.7, 0.85), light * random.between(0.55, 0.75)];
};

/** What all faces have in common and a camera's motion is read off most easily: hair, brows, eyes with irises, lips. */
function faceColor(random: Random, skin: Vector, radii: Vector): Color {
  const hair: Vector = [random.between(0.05, 0.5), random.between(0.05, 0.35), random.between(0.05, 0.25)];
  const hairline = random.between(-0.6, -0.45);
  const lips: Vector = [random.between(0.6, 0.8), 0.2, 0.25];
  const iris: Vector = [random.between(0, 0.3), random.between(0, 0.3), random.between(0, 0.4)];
  return (point) => {
    const [x, y, z] = normalize([point[0] / radii[0], point[1] / radii[1], point[2] / radii[2]]);
    const within = (cx: number, cy: number, rx: number, ry: number) =>
      z < 0 && ((Math.abs(x) - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1;
    if (y < hairline - 0.15 * z || z > 0.25) return hair;
    if (within(0.34, -0.15, 0.055, 0.055)) return iris;
    if (within(0.34, -0.15, 0.13, 0.07)) return [0.95, 0.95, 0.95];
    if (within(0.34, -0.33, 0.17, 0.04)) return hair;
    if (within(0, 0.5, 0.23, 0.08)) return lips;
    return skin;
  };
}

/** Head with nose, eye sockets, lips and chin, two ears, a neck and shoulders, and the wall; facing -z. */
function buildScene(random: Random, background: number | null): Mesh[] {
  const vary = (value: number, share: number): number => value * random.between(1 - share, 1 + share);
  const light = normalize([random.between(-0.6, 0.6), -0.6, -0.8]);
  const [width, depth] = [vary(0.74, 0.08), vary(0.86, 0.08)];
  const features = [
    { x: 0, y: vary(0.1, 0.5), spreadX: 0.11, spreadY: 0.2, height: vary(0.25, 0.3) }, // nose
    { x: -0.34, y: -0.16, spreadX: 0.15, spreadY: 0.11, height: -vary(0.11, 0.3) }, // eye sockets
    { x: 0.34, y: -0.16, spreadX: 0.15, spreadY: 0.11, height: -vary(0.11, 0.3) },
    { x: 0, y: 0.5, spreadX: 0.22, spreadY: 0.07, height: vary(0.06, 0.4) }, // lips
    { x: 0, y: 0.8, spreadX: 0.2, spreadY: 0.12, height: vary(0.08, 0.4) }, // chin
  ];
  const face = (x: number, y: number, z: number): number => {
    if (z > 0) return 0;
    let sum = 0;
    for (const feature of features) {
      const [dx, dy] = [(x - feature.x) / feature.spreadX, (y - feature.y) / feature.spreadY];
      sum += feature.height * Math.exp(-0.5 * (dx * dx + dy * dy));
    }
    return sum * Math.min(1, -4 * z);
  };
  const ear = (side: number): Ellipsoid => ({
    center: [side * width, 0.02, 0.05],
    radii: [0.12, 0.24, 0.14],
    rows: 28,
  });
  const parts: Ellipsoid[] = [
    { center: [0, 0, 0], radii: [width, 1, depth], rows: 130, bulge: face },
    ear(-1),
    ear(1),
    { center: [0, 1.2, 0.2], radii: [0.42, 1, 0.42], rows: 56 },
    { center: [0, 2, 0.3], radii: [1.5, 0.7, 0.55], rows: 72 },
  ];
  const texture = random.below(2 ** 31);
  const skin = warmColor(random);
  const look = faceColor(random, skin, [width, 1, depth]);
  const meshes = parts.map((part, i): Mesh => {
    const { positions, triangles } = ellipsoid(part);
    const colors = paint(positions, shadeOf(positions, triangles, light), i === 0 ? look : () => skin, texture, 1);
    return { positions, colors, triangles, isHead: true };
  });
  if (background !== null) {
    const half = 6 + 2 * background;
    const positions = gridPositions(200, 200, (u, v) => [half * (2 * u - 1), half * (2 * v - 1), background]);
    const wall: Vector = [random.between(0.2, 0.4), random.between(0.35, 0.6), random.between(0.45, 0.7)];
    // The wall is further away: a coarser texture fills as many pixels.
    const colors = paint(positions, new Float32Array(positions.length / 3).fill(1), () => wall, texture + 1, 0.5);
    meshes.push({ positions, colors, triangles: gridTriangles(200, 200), isHead: false });
  }
  return meshes;
}

// ---- camera

/** A number that swings smoothly around 0 with the frame number: a slow wave and a faster, smaller one. */
function swing(random: Random, amplitude: number, period: number): (time: number) => number {
  const waves = [1, 2.3].map((speed) => ({
    amplitude: amplitude / speed,
    rate: (2 * Math.PI * speed * random.between(0.8, 1.2)) / period,
    phase: random.between(0, 2 * Math.PI),
  }));
  return (time) => waves.reduce((sum, wave) => sum + wave.amplitude * Math.sin(wave.rate * time + wave.phase), 0);
}

/**
 * World-to-camera matrices: shifting aside, up and down, near and far, and, on its own account, turning and rolling.
 * Shifting shows what is near, coming nearer shows which way round depth is, and turning shows the focal length; a camera
 * that turned as it shifts, circling the head, would leave a wrong focal length a wrong mixture of both to hide behind.
 */
function cameraPath(random: Random): (time: number) => Float64Array {
  const [aside, below, away] = [swing(random, 0.67, 44), swing(random, 0.48, 38), swing(random, 0.54, 28)];
  const [lookAside, lookBelow, roll] = [swing(random, 0.38, 30), swing(random, 0.34, 34), swing(random, 0.14, 40)];
  return (time) => {
    const position: Vector = [aside(time), below(time), away(time) - DISTANCE];
    const r = roll(time);
    const target: Vector = [position[0] + lookAside(time), position[1] + lookBelow(time), 0];
    const forward = normalize([target[0] - position[0], target[1] - position[1], -position[2]]);
    const level = normalize(cross([0, 1, 0], forward));
    const upright = cross(forward, level);
    const turn = (a: Vector, b: Vector): Vector => {
      const [c, s] = [Math.cos(r), Math.sin(r)];
      return [c * a[0] + s * b[0], c * a[1] + s * b[1], c * a[2] + s * b[2]];
    };
    const right = turn(level, upright);
    const down = cross(forward, right);
    const rows = [right, down, forward].flatMap((axis) => [...axis, -dot(axis, position)]);
    return Float64Array.from([...rows, 0, 0, 0, 1]);
  };
}

// ---- rendering

/** One frame: colours and inverse depths averaged over each pixel's samples. */
function renderFrame(meshes: readonly Mesh[], pose: Float64Array, focal: number, size: number) {
  const camera = { focalX: focal * size, focalY: focal * size, centerX: size / 2, centerY: size / 2 };
  const samples = sampleSurfaces(meshes, { width: size, height: size, camera, pose, background: [0, 0, 0] });
  const frame = createPicture(size, size);
  const depth = new Float32Array(size * size);
  const mask = new Uint8Array(size * size);
  for (let y = 0, pixel = 0; y < size; y++) {
    for (let x = 0; x < size; x++, pixel++) {
      const sums = [0, 0, 0, 0, 0];
      for (let sample = 0; sample < SAMPLES ** 2; sample++) {
        const row = SAMPLES * y + Math.floor(sample / SAMPLES);
        const at = row * samples.width + SAMPLES * x + (sample % SAMPLES);
        for (let i = 0; i < 3; i++) sums[i]! += samples.colors[3 * at + i]!;
        sums[3]! += samples.inverseDepth[at]!;
        sums[4]! += meshes[samples.seen[at]! - 1]?.isHead ? 1 : 0;
      }
      const share = 1 / SAMPLES ** 2;
      for (let i = 0; i < 3; i++) frame.data[3 * pixel + i] = Math.round(sums[i]! * share);
      depth[pixel] = 1 / (sums[3]! * share);
      mask[pixel] = sums[4]! * share > 0.5 ? 1 : 0;
    }
  }
  return { frame, depth, mask };
}

/**
 * Renders a clip. The same options give the same clip.
 * @throws RangeError if size or number of frames are not positive whole numbers
 */
export function renderHeadClip({
  size = 128,
  frames: count = 32,
  seed = 0,
  focal = 0.9,
  background = 2,
  motion = 1,
}: SyntheticHeadOptions = {}): SyntheticClip {
  for (const [name, value] of Object.entries({ size, frames: count })) {
    if (!Number.isInteger(value) || value < 1) throw new RangeError(`${name} must be a positive integer, not ${value}`);
  }
  const random = new Random('synthetic head', seed);
  const meshes = buildScene(random, background);
  const poseAt = cameraPath(random);
  const poses = Array.from({ length: count }, (_, i) => poseAt(i * motion));
  const rendered = poses.map((pose) => renderFrame(meshes, pose, focal, size));
  const [f, middle] = [focal * size, size / 2];
  return {
    frames: rendered.map(({ frame }) => frame),
    depths: rendered.map(({ depth }) => depth),
    masks: rendered.map(({ mask }) => mask),
    poses,
    intrinsics: Float64Array.from([f, 0, middle, 0, f, middle, 0, 0, 1]),
  };
}
