// Expressions that are made up, for want of real ones: the canonical face with its jaw, lids, brows and corners of the mouth
// moved.
import type { Random } from '../random.js';
import { EYE_CORNERS, EYES, type FaceSurface, IRISES, MOUTH, REFINED_POINTS } from './face-surface.js';

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
const LOWER_LIP = new Set([...MOUTH.lower.slice(1, -1), 146, 91, 181, 84, 17, 314, 405, 321, 375]);
const UPPER_LIP = new Set([...MOUTH.upper, 61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291]);

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
    const jaw = moved((x, y, index) => {
      const across = Math.abs(x) / halfMouth;
      if (UPPER_LIP.has(index)) return [0, 0];
      const lip = LOWER_LIP.has(index);
      const share = lip
        ? Math.max(0, 1 - across ** 2) ** 0.7
        : rising((y - mouthY) / (0.6 * (at(CHIN)[1] - mouthY))) * (1 - rising((across - 1.3) / 1.3));
      return [0, share * height];
    });
    const blink = new Float32Array(REFINED_POINTS * 3);
    for (const { upper, lower } of EYES) {
      for (const [i, above] of upper.entries()) {
        const below = lower[i]!;
        for (const axis of [0, 1] as const) {
          const way = at(below)[axis] - at(above)[axis];
          blink[above * 3 + axis]! += UPPER_LID_WAY * way;
          blink[below * 3 + axis]! -= (1 - UPPER_LID_WAY) * way;
        }
      }
    }
    const bump = (x: number, y: number, cx: number, cy: number, wide: number, high: number): number =>
      Math.exp(-(((x - cx) / wide) ** 2) - ((y - cy) / high) ** 2);
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
    for (const [name, strength] of Object.entries(action) as [keyof FacialAction, number][]) {
      if (strength === 0) continue;
      const basis = this.#basis[name];
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

function rising(value: number): number {
  const t = Math.min(1, Math.max(0, value));
  return t * t * (3 - 2 * t);
}
