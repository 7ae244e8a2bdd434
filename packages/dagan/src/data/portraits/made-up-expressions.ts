// Expressions that are made up, for want of real ones: the canonical face with its jaw, lids, brows and corners of the mouth
// moved.
import type { Random } from '../random.js';
import { EYE_CORNERS, EYES, type FaceSurface, IRISES, REFINED_POINTS } from './face-surface.js';
import { rising } from './frontal-face.js';

/** What a face does; all 0 is the face at rest. */
export type FacialAction = {
  /** How far the lower jaw goes down, in heights of the face. */
  jaw: number;
  /** How far the eyes close: 1 is as far as they go. */
  blink: number;
  /** How far the brows go up (or down), in distances between the outer corners of the eyes, as all that follow. */
  brows: number;
  /** How far the corners of the mouth go outwards and up. */
  smile: number;
  /** How far the corners of the mouth go inwards. */
  pucker: number;
  /** How far the irises go to the right and down. */
  gazeRight: number;
  gazeDown: number;
};

/** The face at rest. */
export const AT_REST: FacialAction = {
  ...{ jaw: 0, blink: 0, brows: 0, smile: 0, pucker: 0, gazeRight: 0, gazeDown: 0 },
};

/** How far each action goes at most. */
const LARGEST = { jaw: 0.09, brows: 0.07, smile: 0.09, pucker: 0.08, gaze: 0.035 } as const;
/** How often a face speaks, blinks, moves its brows, smiles or puckers, looks elsewhere. */
const CHANCES = { jaw: 0.5, blink: 0.35, brows: 0.4, mouth: 0.5, gaze: 0.5 } as const;
/** Of the way to each other that the lids go; the upper ones go most of it. */
const UPPER_LID_WAY = 0.88;

const CHIN = 152;
const FOREHEAD = 10;
const BROWS = [105, 334] as const;
const CORNERS = [61, 291] as const;
/** Points of the lips from the inner rim to the outer one, without the corners. */
const LOWER_LIP = new Set([
  ...[95, 88, 178, 87, 14, 317, 402, 318, 324],
  ...[96, 89, 179, 86, 15, 316, 403, 319, 325],
  ...[77, 90, 180, 85, 16, 315, 404, 320, 307],
  ...[146, 91, 181, 84, 17, 314, 405, 321, 375],
]);
const UPPER_LIP = new Set([
  ...[191, 80, 81, 82, 13, 312, 311, 310, 415],
  ...[183, 42, 41, 38, 12, 268, 271, 272, 407],
  ...[184, 74, 73, 72, 11, 302, 303, 304, 408],
  ...[185, 40, 39, 37, 0, 267, 269, 270, 409],
]);
/** Of the jaw's way, that of the corners of the mouth. */
const CORNERS_WAY = 0.3;
/** Skin above a lid goes with it, up to so far, in distances between the outer corners of the eyes. */
const LID_SKIN = 0.2;

/** Expressions of actions: [478, 3], as `PortraitMotion` has them. */
export class MadeUpExpressions {
  readonly #basis: Readonly<Record<keyof FacialAction, Float32Array>>;

  constructor({ canonical }: FaceSurface) {
    const points = canonical.points;
    const unit = Math.abs(points[EYE_CORNERS[0] * 3]! - points[EYE_CORNERS[1] * 3]!);
    /** x to the right and y down, in units. */
    const at = (index: number) => [points[index * 3]! / unit, -points[index * 3 + 1]! / unit] as const;
    const count = points.length / 3;
    const moved = (way: (x: number, y: number, index: number) => readonly [number, number]): Float32Array => {
      const changes = new Float32Array(REFINED_POINTS * 3);
      for (let index = 0; index < count; index++) changes.set(way(...at(index), index), index * 3);
      return changes;
    };
    const height = at(CHIN)[1] - at(FOREHEAD)[1];
    const mouthY = (at(13)[1] + at(14)[1]) / 2;
    const halfMouth = Math.abs(at(CORNERS[0])[0]);
    const bump = (x: number, y: number, cx: number, cy: number, wide: number, high: number): number =>
      Math.exp(-(((x - cx) / wide) ** 2) - ((y - cy) / high) ** 2);
    /** Height of a rim at a part of its way from corner to corner. */
    const rimAt = (rim: readonly number[], part: number): number => {
      const [from, to] = [at(rim[0]!)[0], at(rim.at(-1)!)[0]];
      const parts = rim.map((index) => (at(index)[0] - from) / (to - from));
      const k = Math.max(
        0,
        Math.min(
          rim.length - 2,
          parts.findLastIndex((other) => other <= part),
        ),
      );
      const share = (part - parts[k]!) / (parts[k + 1]! - parts[k]!);
      return at(rim[k]!)[1] + share * (at(rim[k + 1]!)[1] - at(rim[k]!)[1]);
    };
    const jaw = moved((x, y, index) => {
      const across = Math.min(1, Math.abs(x) / halfMouth);
      const chin = rising((y - mouthY) / (0.6 * (at(CHIN)[1] - mouthY)));
      const side = 1 - rising((Math.abs(x) / halfMouth - 1.3) / 1.3);
      const corner = CORNERS_WAY * bump(Math.abs(x), y, halfMouth, mouthY, 0.12, 0.12);
      const lower = 1 - (1 - CORNERS_WAY) * across ** 2;
      const share = LOWER_LIP.has(index) ? lower : UPPER_LIP.has(index) ? CORNERS_WAY * across ** 4 : chin * side;
      return [0, Math.max(share, corner) * height];
    });
    const blink = moved((x, y) => {
      for (const { upper, lower } of EYES) {
        const [from, to] = [at(upper[0]!)[0], at(upper.at(-1)!)[0]];
        const part = (x - from) / (to - from);
        if (part < 0 || part > 1) continue;
        const above = rimAt(upper, part);
        const below = rimAt(lower, part);
        const opening = below - above;
        if (y <= above) return [0, UPPER_LID_WAY * opening * Math.max(0, 1 - (above - y) / LID_SKIN) ** 1.5];
        if (y >= below) return [0, (UPPER_LID_WAY - 1) * opening * Math.max(0, 1 - (y - below) / LID_SKIN) ** 1.5];
      }
      return [0, 0];
    });
    for (const { upper, lower } of EYES) {
      for (const [i, above] of upper.entries()) {
        const below = lower[i]!;
        for (const axis of [0, 1] as const) {
          const way = at(below)[axis] - at(above)[axis];
          blink[above * 3 + axis] = UPPER_LID_WAY * way;
          blink[below * 3 + axis] = -(1 - UPPER_LID_WAY) * way;
        }
      }
    }
    const brows = moved((x, y) => [0, -BROWS.reduce((sum, index) => sum + bump(x, y, ...at(index), 0.22, 0.11), 0)]);
    const corners = (right: number, down: number): Float32Array =>
      moved((x, y) => {
        const [a, b] = CORNERS.map((index) => bump(x, y, ...at(index), 0.16, 0.13)) as [number, number];
        return [right * (b - a), down * (a + b)];
      });
    const gaze = (axis: 0 | 1): Float32Array => {
      const changes = new Float32Array(REFINED_POINTS * 3);
      for (const iris of IRISES) for (let k = 0; k < 5; k++) changes[(iris + k) * 3 + axis] = 1;
      return changes;
    };
    this.#basis = {
      ...{ jaw, blink, brows, smile: corners(0.8, -0.6), pucker: corners(-1, 0) },
      ...{ gazeRight: gaze(0), gazeDown: gaze(1) },
    };
  }

  /** The expression of an action. */
  of(action: Partial<FacialAction>): Float32Array {
    const changes = new Float32Array(REFINED_POINTS * 3);
    for (const [name, basis] of Object.entries(this.#basis)) {
      const strength = action[name as keyof FacialAction] ?? 0;
      if (strength === 0) continue;
      for (let at = 0; at < changes.length; at++) changes[at]! += strength * basis[at]!;
    }
    return changes;
  }

  /** An expression of a random action. */
  draw(random: Random): Float32Array {
    const mouth = random.chance(CHANCES.mouth) ? random.between(-1, 1) : 0;
    const looks = random.chance(CHANCES.gaze);
    return this.of({
      jaw: random.chance(CHANCES.jaw) ? LARGEST.jaw * random.next() : 0,
      blink: random.chance(CHANCES.blink) ? random.next() : 0,
      brows: random.chance(CHANCES.brows) ? LARGEST.brows * random.between(-0.5, 1) : 0,
      smile: LARGEST.smile * Math.max(0, mouth),
      pucker: LARGEST.pucker * Math.max(0, -mouth),
      gazeRight: looks ? LARGEST.gaze * random.between(-1, 1) : 0,
      gazeDown: looks ? LARGEST.gaze * random.between(-0.4, 0.4) : 0,
    });
  }
}
