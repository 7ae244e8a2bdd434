// How a head moves while somebody talks: made-up motion for stills.
import type { FacialAction } from '../portraits/made-up-expressions.js';
import type { HeadShift } from '../portraits/moving-portrait.js';
import type { Random } from '../random.js';

/** Where a head is, as against the portrait, and what the face does. */
export type HeadMotion = HeadShift & Pick<FacialAction, 'jaw' | 'blink' | 'brows' | 'smile' | 'pucker'>;

/** How far heads move at most, either way (`larger` from 1); beyond it the hidden side of the head would have to show. */
const LARGEST = { yaw: 18, pitch: 10, roll: 10, right: 0.1, down: 0.08, larger: 0.08 } as const;

/** How far the mouth opens, its corners and the brows go. */
const FURTHEST = { jaw: 0.07, brows: 0.05, smile: 0.07, pucker: 0.06 } as const;

/** Cycles per second of the swings that a motion is made of, slowest and fastest. */
const RATES = { head: [0.1, 0.6], jaw: [1, 3], blink: [0.2, 0.5], brows: [0.2, 0.8], corners: [0.1, 0.6] } as const;

type Swing = { rate: number; phase: number };
type Way = keyof typeof LARGEST | 'jaw' | 'blink' | 'brows' | 'corners';

/** How a head moves about: each way of moving is the sum of two swings, drawn at random. */
export class HeadPath {
  readonly #swings: Readonly<Record<Way, readonly Swing[]>>;

  constructor(random: Random) {
    const draw = ([slowest, fastest]: readonly [number, number]): Swing[] =>
      [0, 1].map(() => ({ rate: random.between(slowest, fastest), phase: random.between(0, 2 * Math.PI) }));
    const head = () => draw(RATES.head);
    this.#swings = {
      ...{ yaw: head(), pitch: head(), roll: head(), right: head(), down: head(), larger: head() },
      ...{ jaw: draw(RATES.jaw), blink: draw(RATES.blink), brows: draw(RATES.brows), corners: draw(RATES.corners) },
    };
  }

  /** The motion after so many seconds. */
  at(seconds: number): HeadMotion {
    const swing = (way: Way): number => {
      const both = this.#swings[way].map(({ rate, phase }) => Math.sin(2 * Math.PI * rate * seconds + phase));
      return (both[0]! + both[1]!) / 2; // [-1, 1]
    };
    const corners = swing('corners');
    return {
      yaw: LARGEST.yaw * swing('yaw'),
      pitch: LARGEST.pitch * swing('pitch'),
      roll: LARGEST.roll * swing('roll'),
      right: LARGEST.right * swing('right'),
      down: LARGEST.down * swing('down'),
      larger: 1 + LARGEST.larger * swing('larger'),
      jaw: FURTHEST.jaw * Math.max(0, swing('jaw')),
      blink: Math.min(1, Math.max(0, 4 * swing('blink') - 2)),
      brows: FURTHEST.brows * Math.max(0, swing('brows')),
      smile: FURTHEST.smile * Math.max(0, corners),
      pucker: FURTHEST.pucker * Math.max(0, -corners),
    };
  }
}
