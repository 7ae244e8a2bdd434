// A still portrait whose head is turned and moved in space, and whose mouth and eyes open and close.
import { boundsOf } from '../../faces/geometry.js';
import type { FaceMesh } from '../../faces/mesh.js';
import { LandmarkWarp, type Point } from '../../geometry/landmark-warp.js';
import type { Picture } from '../../media/pictures/picture.js';
import type { HeadMotion } from './head-motion.js';
import { paint, resample } from './warped-picture.js';

/** In pixels; z grows away from the viewer. */
export type Point3 = readonly [x: number, y: number, z: number];

/** Points of the mesh that take part: enough for the face's relief, few enough to solve for. */
const MESH_POINTS = 72;
/** Landmarks at the ears, between the eyes, at the chin and at the mouth's corners. */
const EARS = [234, 454] as const;
const BRIDGE = 168;
const CHIN = 152;
const MOUTH_CORNERS = [61, 291] as const;
/** Upper and lower lid of both eyes, point by point, without the corners. */
const UPPER_LIDS = [246, 161, 160, 159, 158, 157, 173, 466, 388, 387, 386, 385, 384, 398];
const LOWER_LIDS = [7, 163, 144, 145, 153, 154, 155, 249, 390, 373, 374, 380, 381, 382];
const BROWS = [70, 63, 105, 66, 107, 55, 65, 52, 53, 46, 300, 293, 334, 296, 336, 285, 295, 282, 283, 276];
/** Lips: the inner rims with the corners, from one corner to the other, and the outer rims without. */
const INNER_UPPER = [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308];
const INNER_LOWER = [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308];
const OUTER_UPPER = [185, 40, 39, 37, 0, 267, 269, 270, 409];
const OUTER_LOWER = [146, 91, 181, 84, 17, 314, 405, 321, 375];
const FEATURES: readonly number[] = [
  ...new Set([UPPER_LIDS, LOWER_LIDS, BROWS, INNER_UPPER, INNER_LOWER, OUTER_UPPER, OUTER_LOWER].flat()),
];
/** What is seen between the lips where the portrait does not show it. */
const INSIDE_MOUTH = [48, 22, 20] as const;
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
/** Lids, brows and lips lie close together and must be met. */
const FEATURE_SMOOTHING = 1e-4;
/** Of the way to the lower lid that the upper one goes in a blink. */
const LID_WAY = 0.7;

/**
 * A portrait whose head can be moved. The points of its face mesh, and rings around it in the depth of the ears, turn as
 * one body about the neck; from there to the picture's rim the motion fades out in a thin-plate spline. What a turn
 * uncovers is stretched from what is seen.
 */
export class MovableStill {
  readonly #mesh: readonly Point3[];
  /** Indices of the mesh's points that take part. */
  readonly #chosen: readonly number[];
  readonly #rings: readonly Point3[];
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
    this.#chosen = [...new Set([...FEATURES, ...spreadOut(this.#mesh, MESH_POINTS)])];
    this.#rings = HEAD_RINGS.flatMap(ring);
    this.#neck = [centerX, top + height, depth];
    this.#height = height;
    this.#rim = rimOf(picture).filter(
      ([x, y]) => 2 * Math.hypot((x - centerX) / width, (y - centerY) / height) > STILL_FROM,
    );
  }

  /** Where points of the mesh are after a motion, [x, y] each, in pixels. */
  places(indices: readonly number[], motion: HeadMotion): Point[] {
    return this.#turned(
      indices.map((index) => this.#expressed(index, motion)),
      motion,
    );
  }

  /** The portrait with its head moved. */
  moved(motion: HeadMotion): Picture {
    const places = [...this.places(this.#chosen, motion), ...this.#turned(this.#rings, motion), ...this.#rim];
    const flat = [...this.#chosen.map((index) => this.#mesh[index]!), ...this.#rings].map(([x, y]): Point => [x, y]);
    const backwards = new LandmarkWarp(places, [...flat, ...this.#rim], {
      scale: this.#height,
      smoothing: places.map((_, i) => (i < FEATURES.length ? FEATURE_SMOOTHING : SMOOTHING)),
    });
    const picture = resample(this.picture, backwards);
    if (motion.jaw > 0) {
      const closed = this.places(INNER_LOWER, { ...motion, jaw: 0 });
      const open = this.places(INNER_LOWER, motion);
      paint(picture, [...closed, ...open.reverse()], INSIDE_MOUTH);
    }
    return picture;
  }

  /** A point of the mesh, the head unmoved. */
  #expressed(index: number, { jaw, blink }: HeadMotion): Point3 {
    const point = this.#mesh[index]!;
    const lid = UPPER_LIDS.indexOf(index);
    if (lid >= 0) return between(point, this.#mesh[LOWER_LIDS[lid]!]!, LID_WAY * blink);
    const share = jaw === 0 ? 0 : this.#jawShare(index);
    if (share === 0) return point;
    const [bridge, chin] = [this.#mesh[BRIDGE]!, this.#mesh[CHIN]!];
    const length = Math.hypot(chin[0] - bridge[0], chin[1] - bridge[1], chin[2] - bridge[2]);
    return between(
      point,
      [0, 1, 2].map((k) => point[k]! + chin[k]! - bridge[k]!) as unknown as Point3,
      (share * jaw * this.#height) / length,
    );
  }

  /** How much of the jaw's way a point goes: all of it at the chin and the middle of the lower lip, nothing above. */
  #jawShare(index: number): number {
    const [left, right] = MOUTH_CORNERS.map((corner) => this.#mesh[corner]!) as [Point3, Point3];
    const [x, y] = this.#mesh[index]!;
    const middle = [(left[0] + right[0]) / 2, (left[1] + right[1]) / 2] as const;
    const across = Math.abs(x - middle[0]) / (Math.abs(right[0] - left[0]) / 2);
    if (INNER_LOWER.includes(index) || OUTER_LOWER.includes(index)) return Math.max(0, 1 - across ** 2);
    if (INNER_UPPER.includes(index) || OUTER_UPPER.includes(index)) return 0;
    const below = (y - middle[1]) / (this.#mesh[CHIN]![1] - middle[1]);
    return rising(below / 0.6) * (1 - rising((across - 1.2) / 1.2));
  }

  #turned(points: readonly Point3[], { right, down, larger, ...angles }: HeadMotion): Point[] {
    const turn = rotationOf(angles);
    const [x0, y0, z0] = this.#neck;
    return points.map(([x, y, z]): Point => {
      const [across, along] = turn.map(([a, b, c]) => a * (x - x0) + b * (y - y0) + c * (z - z0)) as [number, number];
      return [x0 + larger * across + right * this.#height, y0 + larger * along + down * this.#height];
    });
  }
}

function between(a: Point3, b: Point3, part: number): Point3 {
  return [a[0] + part * (b[0] - a[0]), a[1] + part * (b[1] - a[1]), a[2] + part * (b[2] - a[2])];
}

/** From 0 to 1 as `value` goes from 0 to 1, smoothly. */
function rising(value: number): number {
  const t = Math.min(1, Math.max(0, value));
  return t * t * (3 - 2 * t);
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

/** Indices of points far from one another: each next one is the farthest, as the picture shows them, from those taken. */
function spreadOut(points: readonly Point3[], count: number): number[] {
  const distance = points.map(() => Infinity);
  const taken: number[] = [];
  for (let next = 0; taken.length < Math.min(count, points.length); next = distance.indexOf(Math.max(...distance))) {
    const [x, y] = points[next]!;
    taken.push(next);
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
