// Made-up motion of a still portrait: the head is turned and moved in space, the rim of the picture stays.
import { boundsOf } from '../../faces/geometry.js';
import type { FaceMesh } from '../../faces/index.js';
import { LandmarkWarp, type Point } from '../../geometry/landmark-warp.js';
import { createPicture, type Picture } from '../../media/picture.js';
import type { Random } from '../random.js';

/** Where a head is, as against where the portrait has it. */
export type HeadMotion = {
  /** Degrees, with the signs of `HeadPose`. */
  yaw: number;
  pitch: number;
  roll: number;
  /** To the right and down, in heights of the face. */
  right: number;
  down: number;
  /** How many times as large the head is. */
  larger: number;
};

/** The head where the portrait has it. */
export const STILL: HeadMotion = { yaw: 0, pitch: 0, roll: 0, right: 0, down: 0, larger: 1 };

/** How far heads move at most, either way (`larger` from 1); beyond it the hidden side of the head would have to show. */
const LARGEST: HeadMotion = { yaw: 18, pitch: 10, roll: 10, right: 0.1, down: 0.08, larger: 0.08 };

/** Cycles per second of the swings that a motion is made of. */
const SWINGS = { count: 2, slowest: 0.1, fastest: 0.6 } as const;

/** How a head moves about: each way of moving is the sum of slow swings, drawn at random. */
export class HeadPath {
  readonly #swings: Readonly<Record<keyof HeadMotion, readonly { rate: number; phase: number }[]>>;

  constructor(random: Random) {
    const draw = () =>
      Array.from({ length: SWINGS.count }, () => ({
        rate: random.between(SWINGS.slowest, SWINGS.fastest),
        phase: random.between(0, 2 * Math.PI),
      }));
    this.#swings = { yaw: draw(), pitch: draw(), roll: draw(), right: draw(), down: draw(), larger: draw() };
  }

  /** The motion after so many seconds. */
  at(seconds: number): HeadMotion {
    const part = (way: keyof HeadMotion): number =>
      (LARGEST[way] / SWINGS.count) *
      this.#swings[way].reduce((sum, { rate, phase }) => sum + Math.sin(2 * Math.PI * rate * seconds + phase), 0);
    return {
      yaw: part('yaw'),
      pitch: part('pitch'),
      roll: part('roll'),
      right: part('right'),
      down: part('down'),
      larger: 1 + part('larger'),
    };
  }
}

/** In pixels; z grows away from the viewer. */
export type Point3 = readonly [x: number, y: number, z: number];

/** Points of the mesh that take part: enough for the face's relief, few enough to solve for. */
const MESH_POINTS = 72;
/** Landmarks at the ears. */
const EARS = [234, 454] as const;
/** Rings on the head around the face (hair, ears), in half-widths and half-heights of the face. */
const HEAD_RINGS = [1.2, 1.45];
const RING_POINTS = 17;
/** Degrees below the horizontal where the rings end: the neck between them bends. */
const RING_END = 30;
/** Points of the picture's rim stay where they are if they are so far outside the face. */
const STILL_FROM = 1.9;
const RIM_POINTS = 9;
/** Where a turn folds the face over, points contradict one another: it is better to miss them by a little. */
const SMOOTHING = 1e-3;
/** The warp is computed at the corners of squares of so many pixels and interpolated inside. */
const STRIDE = 4;

/**
 * A portrait whose head can be moved. The points of its face mesh, and rings around it in the depth of the ears, turn as
 * one body about the neck; from there to the picture's rim the motion fades out in a thin-plate spline. What a turn
 * uncovers is stretched from what is seen.
 */
export class MovableStill {
  readonly #mesh: readonly Point3[];
  readonly #body: readonly Point3[];
  readonly #rim: readonly Point[];
  readonly #neck: Point3;
  readonly #height: number;

  /** @param mesh of the face in the picture */
  constructor(
    readonly picture: Picture,
    { points }: Pick<FaceMesh, 'points'>,
  ) {
    this.#mesh = Array.from(
      { length: points.length / 3 },
      (_, i): Point3 => [points[i * 3]!, points[i * 3 + 1]!, points[i * 3 + 2]!],
    );
    const { left, top, width, height } = boundsOf(points, 3);
    const depth = EARS.reduce((sum, index) => sum + this.#mesh[index]![2] / EARS.length, 0);
    const [centerX, centerY] = [left + width / 2, top + height / 2];
    const end = (RING_END * Math.PI) / 180;
    const angles = Array.from({ length: RING_POINTS }, (_, i) => -end + (i / (RING_POINTS - 1)) * (Math.PI + 2 * end));
    const ring = (radius: number) =>
      angles.map(
        (angle): Point3 => [
          centerX + (radius * width * Math.cos(angle)) / 2,
          centerY - (radius * height * Math.sin(angle)) / 2,
          depth,
        ],
      );
    this.#body = [...spreadOut(this.#mesh, MESH_POINTS), ...HEAD_RINGS.flatMap(ring)];
    this.#neck = [centerX, top + height, depth];
    this.#height = height;
    this.#rim = rimOf(picture).filter(
      ([x, y]) => 2 * Math.hypot((x - centerX) / width, (y - centerY) / height) > STILL_FROM,
    );
  }

  /** A point of the face's mesh, in pixels, z away from the viewer. */
  point(index: number): Point3 {
    return this.#mesh[index]!;
  }

  /** Where points of the head go, [x, y] each, in pixels. */
  places(points: readonly Point3[], { right, down, larger, ...angles }: HeadMotion): Point[] {
    const turn = rotationOf(angles);
    const [x0, y0, z0] = this.#neck;
    return points.map(([x, y, z]): Point => {
      const [across, along] = turn.map(([a, b, c]) => a * (x - x0) + b * (y - y0) + c * (z - z0)) as [number, number];
      return [x0 + larger * across + right * this.#height, y0 + larger * along + down * this.#height];
    });
  }

  /** The portrait with its head moved. */
  moved(motion: HeadMotion): Picture {
    const moved = this.places(this.#body, motion);
    const still = this.#body.map(([x, y]): Point => [x, y]);
    const backwards = new LandmarkWarp([...moved, ...this.#rim], [...still, ...this.#rim], {
      scale: this.#height,
      smoothing: SMOOTHING,
    });
    return resample(this.picture, backwards);
  }
}

/** The two rows that give x and y of Rz(roll) Ry(yaw) Rx(pitch) in the axes of pictures: y down, z away from the viewer. */
function rotationOf({ yaw, pitch, roll }: Pick<HeadMotion, 'yaw' | 'pitch' | 'roll'>): readonly Point3[] {
  const [a, b, c] = [yaw, pitch, roll].map((degrees) => (degrees * Math.PI) / 180) as [number, number, number];
  const [cy, sy, cp, sp, cr, sr] = [Math.cos(a), Math.sin(a), Math.cos(b), Math.sin(b), Math.cos(c), Math.sin(c)];
  return [
    [cr * cy, -sr * cp - cr * sy * sp, sr * sp - cr * sy * cp],
    [sr * cy, cr * cp - sr * sy * sp, -cr * sp - sr * sy * cp],
  ];
}

/** Points far from one another: each next one is the farthest, as the picture shows them, from those taken. */
function spreadOut(points: readonly Point3[], count: number): Point3[] {
  const distance = points.map(() => Infinity);
  const taken: Point3[] = [];
  for (let next = 0; taken.length < Math.min(count, points.length); next = distance.indexOf(Math.max(...distance))) {
    const [x, y] = points[next]!;
    taken.push(points[next]!);
    for (const [i, [u, v]] of points.entries()) distance[i] = Math.min(distance[i]!, Math.hypot(u - x, v - y));
  }
  return taken;
}

/** Points along the rim of a picture, evenly. */
function rimOf({ width, height }: Picture): Point[] {
  const steps = Array.from({ length: RIM_POINTS - 1 }, (_, i) => i / (RIM_POINTS - 1));
  return steps.flatMap((part): Point[] => [
    [part * width, 0],
    [width, part * height],
    [(1 - part) * width, height],
    [0, (1 - part) * height],
  ]);
}

/** The picture that shows at p what `picture` shows at `warp.at(p)`, mirrored beyond its border. */
function resample(picture: Picture, warp: LandmarkWarp): Picture {
  const { width, height, data } = picture;
  const result = createPicture(width, height);
  const columns = Math.ceil(width / STRIDE) + 1;
  const corners = Array.from({ length: columns * (Math.ceil(height / STRIDE) + 1) }, (_, i) =>
    warp.at((i % columns) * STRIDE + 0.5, Math.floor(i / columns) * STRIDE + 0.5),
  );
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = Math.floor(y / STRIDE) * columns + Math.floor(x / STRIDE);
      const [s, t] = [(x % STRIDE) / STRIDE, (y % STRIDE) / STRIDE];
      const between = (axis: 0 | 1): number =>
        (1 - t) * ((1 - s) * corners[at]![axis] + s * corners[at + 1]![axis]) +
        t * ((1 - s) * corners[at + columns]![axis] + s * corners[at + columns + 1]![axis]);
      const [u, v] = [mirrored(between(0) - 0.5, width - 1), mirrored(between(1) - 0.5, height - 1)];
      const [left, top] = [Math.min(Math.floor(u), width - 2), Math.min(Math.floor(v), height - 2)];
      const [p, q] = [u - left, v - top];
      for (let channel = 0; channel < 3; channel++, to++) {
        const from = (top * width + left) * 3 + channel;
        const below = from + width * 3;
        const value =
          (1 - q) * ((1 - p) * data[from]! + p * data[from + 3]!) + q * ((1 - p) * data[below]! + p * data[below + 3]!);
        result.data[to] = Math.round(value);
      }
    }
  }
  return result;
}

/** A coordinate folded into [0, last]. */
function mirrored(value: number, last: number): number {
  const folded = Math.abs(value) % (2 * last);
  return folded <= last ? folded : 2 * last - folded;
}
