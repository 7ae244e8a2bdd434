// How a head moves while somebody talks: made-up motion for stills.
import type { Random } from '../random.js';

/** Where a head is and what it does, as against the portrait. */
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
  /** How far the lower jaw goes down, in heights of the face. */
  jaw: number;
  /** How far the eyes close: 1 is as far as they go. */
  blink: number;
};

/** The portrait as it is. */
export const STILL: HeadMotion = { yaw: 0, pitch: 0, roll: 0, right: 0, down: 0, larger: 1, jaw: 0, blink: 0 };

/** How far heads move at most, either way (`larger` from 1); beyond it the hidden side of the head would have to show. */
const LARGEST = { yaw: 18, pitch: 10, roll: 10, right: 0.1, down: 0.08, larger: 0.08 } as const;

/** How far the mouth opens. */
const WIDEST_JAW = 0.07;

/** Cycles per second of the swings that a motion is made of, slowest and fastest. */
const RATES = { head: [0.1, 0.6], jaw: [1, 3], blink: [0.2, 0.5] } as const;

type Swing = { rate: number; phase: number };

/** How a head moves about: each way of moving is the sum of two swings, drawn at random. */
export class HeadPath {
  readonly #swings: Readonly<Record<keyof HeadMotion, readonly Swing[]>>;

  constructor(random: Random) {
    const draw = ([slowest, fastest]: readonly [number, number]): Swing[] =>
      [0, 1].map(() => ({ rate: random.between(slowest, fastest), phase: random.between(0, 2 * Math.PI) }));
    const head = () => draw(RATES.head);
    this.#swings = {
      ...{ yaw: head(), pitch: head(), roll: head(), right: head(), down: head(), larger: head() },
      ...{ jaw: draw(RATES.jaw), blink: draw(RATES.blink) },
    };
  }

  /** The motion after so many seconds. */
  at(seconds: number): HeadMotion {
    const swing = (way: keyof HeadMotion): number => {
      const both = this.#swings[way].map(({ rate, phase }) => Math.sin(2 * Math.PI * rate * seconds + phase));
      return (both[0]! + both[1]!) / 2; // [-1, 1]
    };
    return {
      yaw: LARGEST.yaw * swing('yaw'),
      pitch: LARGEST.pitch * swing('pitch'),
      roll: LARGEST.roll * swing('roll'),
      right: LARGEST.right * swing('right'),
      down: LARGEST.down * swing('down'),
      larger: 1 + LARGEST.larger * swing('larger'),
      jaw: WIDEST_JAW * Math.max(0, swing('jaw')),
      blink: Math.min(1, Math.max(0, 4 * swing('blink') - 2)),
    };
  }
}
