// A portrait whose head moves and whose face does what it is told to, in a few milliseconds, with known motion: where
// every point of the face mesh stands in the picture is exact.

import { headPose } from '../../faces/pose.js';
import { inverseRotation, multiplied } from '../../geometry/rotation.js';
import type { Picture } from '../../media/pictures/picture.js';
import { asPortrait, Canvas, type Portrait } from './canvas.js';
import { EARS, EYES, type FaceSurface, IRISES, MOUTH, OUTLINE, REFINED_POINTS } from './face-surface.js';
import { eyeDistance, eyesOpen, pictureRotation, rising } from './frontal-face.js';
import { MouthInterior } from './mouth-interior.js';
import { OpenPart } from './open-part.js';

/** Where a head is, as against the portrait. */
export type HeadShift = {
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
export const UNMOVED: HeadShift = { yaw: 0, pitch: 0, roll: 0, right: 0, down: 0, larger: 1 };

/** What a portrait is to do. What is left out stays as it is. */
export type PortraitMotion = {
  pose?: Partial<HeadShift>;
  /**
   * [478, 3]: how far each point of the refined mesh goes, on the face seen from the front: x to the right, y down, z away
   * from the viewer, in distances between the outer corners of the eyes. Lids move in proportion to how far the
   * portrait's eyes are open: what closes the canonical face's eyes closes these.
   */
  expression?: Float32Array;
};

/** A portrait in motion. */
export type PortraitFrame = {
  picture: Picture;
  /** [478, 2]: x, y of every mesh point in the picture's pixels, also of those that something hides. */
  points: Float32Array;
};

/** Rings around the face, in its half-widths and half-heights. The last lies outside of every picture. */
const RINGS = [1.12, 1.27, 1.45, 1.65, 1.9, 2.15, 2.4, 2.8, 12];
/** Rings follow the shape of the face's rim up to this one. */
const RING_SHAPED = 1.6;
/** Up to here the head is one body; at the neck, which bends, up to the rim of the face. */
const RIGID = { top: 1.8, sides: 1.5, neck: 1 };
/** From here on nothing moves. */
const STILL_FROM = { top: 2.8, sides: 2.4, neck: 2.1 };
/** Sines of the angles below the horizontal between which the neck begins. */
const NECK = [0.45, 0.85] as const;
/** How much of the rim's expression the skin next to it takes part in, and up to where. */
const SKIN_UNTIL = 1.7;
/** A face seen from the side is as deep as half of this part of its height. */
const LEAST_WIDTH = 0.72;
/** Pictures this much finer than what is rendered are sampled twice across and down. */
const FINER = 1.5;

/** A portrait that moves. */
export class MovingPortrait {
  readonly #surface: FaceSurface;
  /** [V, 3]: the mesh's points and those of the rings as the portrait shows them. */
  readonly #rest: Float64Array;
  /** [V]: 1 moves with the head, 0 stays. */
  readonly #moves: Float64Array;
  /** [R]: how much each point of the rings takes part in the expression of the rim's point beside it. */
  readonly #follows: Float64Array;
  readonly #neck: readonly [number, number, number];
  readonly #height: number;
  /** Takes axes of the canonical face, y down and z away, to those of the picture, with the unit of length. */
  readonly #axes: readonly number[];
  /** Degrees. */
  readonly pose: { readonly yaw: number; readonly pitch: number; readonly roll: number };
  /** How far the eyes are open, as against those of the canonical face. */
  readonly #lids: readonly number[];
  readonly #openParts: readonly OpenPart[];
  readonly #portrait: Portrait;

  /**
   * @param picture a square one
   * @param points [478, 3] of the refined mesh of the face in it, in its pixels
   * @throws RangeError if the picture is not square or the points are not those of the refined mesh
   */
  constructor(
    readonly picture: Picture,
    points: ArrayLike<number>,
    surface: FaceSurface,
  ) {
    if (picture.width !== picture.height) {
      throw new RangeError(`a portrait must be square, not ${picture.width} x ${picture.height}`);
    }
    if (points.length !== REFINED_POINTS * 3) {
      throw new RangeError(
        `a portrait needs the ${REFINED_POINTS} points of the refined mesh, not ${points.length / 3}`,
      );
    }
    this.#surface = surface;
    this.#portrait = asPortrait(picture);
    const mesh = new Float64Array(points);
    const { yaw, pitch, roll, rotation } = headPose(mesh, surface.canonical);
    this.pose = { yaw, pitch, roll };
    const axes = pictureRotation(rotation);
    const frontal = multiplied(mesh, inverseRotation(axes));
    const unit = eyeDistance(frontal);
    this.#axes = axes.map((value) => value * unit);
    const canonicalEyes = eyesOpen(surface.canonical.points);
    this.#lids = eyesOpen(frontal).map((open, eye) => open / canonicalEyes[eye]!);

    // The frame of the face in the picture: across and along it, turned by its roll.
    const angle = (roll * Math.PI) / 180;
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    const across = OUTLINE.map((index) => cos * mesh[index * 3]! + sin * mesh[index * 3 + 1]!);
    const along = OUTLINE.map((index) => cos * mesh[index * 3 + 1]! - sin * mesh[index * 3]!);
    const [left, right, top, bottom] = [
      Math.min(...across),
      Math.max(...across),
      Math.min(...along),
      Math.max(...along),
    ];
    const halfHeight = (bottom - top) / 2;
    const halfWidth = Math.max((right - left) / 2, LEAST_WIDTH * halfHeight);
    const place = (u: number, v: number): readonly [number, number] => [cos * u - sin * v, sin * u + cos * v];
    const depth = (mesh[EARS[0] * 3 + 2]! + mesh[EARS[1] * 3 + 2]!) / 2;
    const [middleU, middleV] = [(left + right) / 2, (top + bottom) / 2];
    this.#height = 2 * halfHeight;
    this.#neck = [...place(middleU, bottom), depth];

    const count = REFINED_POINTS + RINGS.length * OUTLINE.length;
    this.#rest = new Float64Array(count * 3);
    this.#rest.set(mesh);
    this.#moves = new Float64Array(count).fill(1);
    this.#follows = new Float64Array(count - REFINED_POINTS);
    for (const [ring, radius] of RINGS.entries()) {
      for (const [i, index] of OUTLINE.entries()) {
        const at = REFINED_POINTS + ring * OUTLINE.length + i;
        const [c, s] = [Math.cos(surface.angles[i]!), Math.sin(surface.angles[i]!)];
        const shaped = Math.max(0, 1 - (radius - 1) / (RING_SHAPED - 1));
        const u = middleU + radius * halfWidth * c + shaped * (across[i]! - middleU - halfWidth * c);
        const v = middleV + radius * halfHeight * s + shaped * (along[i]! - middleV - halfHeight * s);
        const z = ring === 0 ? (depth + mesh[index * 3 + 2]!) / 2 : depth;
        this.#rest.set([...place(u, v), z], at * 3);
        const neck = rising((s - NECK[0]) / (NECK[1] - NECK[0]));
        const top = rising(-s);
        const blended = (of: Record<'top' | 'sides' | 'neck', number>): number =>
          of.sides + top * (of.top - of.sides) + neck * (of.neck - of.sides);
        const [rigid, still] = [blended(RIGID), blended(STILL_FROM)];
        this.#moves[at] = 1 - rising((radius - rigid) / (still - rigid));
        this.#follows[at - REFINED_POINTS] = 1 - rising((radius - 1) / (SKIN_UNTIL - 1));
      }
    }
    const down = place(0, 1);
    this.#openParts = [
      ...EYES.map((eye) => new OpenPart(picture, mesh, eye, down)),
      new MouthInterior(picture, mesh, MOUTH, down),
    ];
  }

  /**
   * The portrait, moved.
   *
   * @param size width and height of the picture; default: the portrait's own. A portrait of twice the size stays sharp.
   */
  render({ pose = {}, expression }: PortraitMotion, size = this.picture.width): PortraitFrame {
    const shape = this.#expressed(expression);
    const places = this.#posed(shape, { ...UNMOVED, ...pose });
    const samples = this.picture.width >= FINER * size ? 2 : 1;
    const scale = size / this.picture.width;
    const points = new Float32Array(REFINED_POINTS * 2);
    for (let i = 0; i < REFINED_POINTS; i++) {
      points[i * 2] = places[i * 3]! * scale;
      points[i * 2 + 1] = places[i * 3 + 1]! * scale;
    }
    for (let at = 0; at < places.length; at++) places[at]! *= scale * samples;
    return { picture: this.#drawn(shape, places, size, samples), points };
  }

  /** [V, 3]: where the points are before the head moves. */
  #expressed(expression: Float32Array | undefined): Float64Array {
    const shape = this.#rest.slice();
    if (!expression) return shape;
    if (expression.length !== REFINED_POINTS * 3) {
      throw new RangeError(`an expression moves ${REFINED_POINTS} points, not ${expression.length / 3}`);
    }
    const changes = multiplied(expression, this.#axes);
    for (const [eye, rims] of EYES.entries()) {
      for (const index of [...rims.upper.slice(1, -1), ...rims.lower.slice(1, -1)]) {
        for (let axis = 0; axis < 3; axis++) changes[index * 3 + axis]! *= this.#lids[eye]!;
      }
    }
    for (let at = 0; at < changes.length; at++) shape[at]! += changes[at]!;
    for (const part of this.#openParts) part.keepOpen(shape);
    for (let i = 0; i < this.#follows.length; i++) {
      const rim = OUTLINE[i % OUTLINE.length]!;
      for (let axis = 0; axis < 3; axis++) {
        shape[(REFINED_POINTS + i) * 3 + axis]! += this.#follows[i]! * changes[rim * 3 + axis]!;
      }
    }
    return shape;
  }

  /** [V, 3]: where the points are after the head has moved. */
  #posed(shape: Float64Array, shift: HeadShift): Float64Array {
    const [a, b, c, d, e, f, g, h, i] = rotationOf(shift) as Nine;
    const [x0, y0, z0] = this.#neck;
    const result = new Float64Array(shape.length);
    for (let k = 0, at = 0; at < shape.length; k++, at += 3) {
      const [px, py, pz] = [shape[at]!, shape[at + 1]!, shape[at + 2]!];
      const [x, y, z] = [px - x0, py - y0, pz - z0];
      const moves = this.#moves[k]!;
      const { larger } = shift;
      result[at] = px + moves * (x0 + larger * (a * x + b * y + c * z) + shift.right * this.#height - px);
      result[at + 1] = py + moves * (y0 + larger * (d * x + e * y + f * z) + shift.down * this.#height - py);
      result[at + 2] = pz + moves * (z0 + larger * (g * x + h * y + i * z) - pz);
    }
    return result;
  }

  #drawn(shape: Float64Array, places: Float64Array, size: number, samples: number): Picture {
    const canvas = canvasOf(size, samples);
    canvas.clear();
    canvas.drawSurface(places, this.#rest, ringTriangles());
    canvas.drawSurface(places, this.#rest, this.#surface.triangles);
    for (const [k, part] of this.#openParts.entries()) {
      const iris = IRISES[k];
      const way = (axis: number): number =>
        iris === undefined ? 0 : shape[iris * 3 + axis]! - this.#rest[iris * 3 + axis]!;
      part.draw(canvas, shape, places, [way(0), way(1)]);
    }
    return canvas.picture(this.#portrait);
  }
}

/** One canvas is kept: pictures of one size are drawn one after another. */
let kept: Canvas | undefined;
function canvasOf(size: number, samples: number): Canvas {
  if (kept?.size !== size || kept.samples !== samples) kept = new Canvas(size, samples);
  return kept;
}

let rings: Uint16Array | undefined;
/** The triangles from the rim of the face to the first ring, and from each ring to the next. */
function ringTriangles(): Uint16Array {
  if (rings) return rings;
  const count = OUTLINE.length;
  const at = (ring: number, i: number) =>
    ring < 0 ? OUTLINE[i % count]! : REFINED_POINTS + ring * count + (i % count);
  const triangles: number[] = [];
  for (let ring = 0; ring < RINGS.length; ring++) {
    for (let i = 0; i < count; i++) {
      triangles.push(at(ring - 1, i), at(ring, i), at(ring, i + 1));
      triangles.push(at(ring - 1, i), at(ring, i + 1), at(ring - 1, i + 1));
    }
  }
  rings = Uint16Array.from(triangles);
  return rings;
}

type Nine = [number, number, number, number, number, number, number, number, number];

/** Rz(roll) Ry(yaw) Rx(pitch) in the axes of pictures: y down, z away from the viewer. */
export function rotationOf({ yaw, pitch, roll }: Pick<HeadShift, 'yaw' | 'pitch' | 'roll'>): number[] {
  const [a, b, c] = [yaw, pitch, roll].map((degrees) => (degrees * Math.PI) / 180) as [number, number, number];
  const [cy, sy, cp, sp, cr, sr] = [Math.cos(a), Math.sin(a), Math.cos(b), Math.sin(b), Math.cos(c), Math.sin(c)];
  return [
    ...[cr * cy, -sr * cp - cr * sy * sp, sr * sp - cr * sy * cp],
    ...[sr * cy, cr * cp - sr * sy * sp, -cr * sp - sr * sy * cp],
    ...[sy, cy * sp, cy * cp],
  ];
}
