// Two frames of one portrait: the same person in two poses with two expressions, and where every point of the face stands in
// both.
import type { Random } from '../random.js';
import type { HeadShift, MovingPortrait, PortraitFrame } from './moving-portrait.js';

/** What gives expressions: real ones, or made up ones. */
export type ExpressionSource = {
  /** [478, 3], as `PortraitMotion` has it. */
  draw(random: Random): Float32Array;
};

/** How far a head moves at most from its place, either way (`larger` from 1). */
const LARGEST = { yaw: 12.5, pitch: 7.5, roll: 8, right: 0.08, down: 0.06, larger: 0.1 } as const;
/** A frame that shows the portrait as it is has this chance: nothing in it is made up. The other then moves further. */
const AS_IT_IS = 0.3;
const FURTHER = 1.4;
/**
 * Degrees. Heads that are turned further than this are not turned further still; and from the second value on, as their hidden
 * side would have to show, less and less the other way, down to the third.
 */
const TURNED = { furthest: 25, back: 4, notBack: 26 } as const;
/** How often a face keeps the expression of the portrait. */
const AT_REST = 0.15;

/** Draws a pair. The same random numbers give the same pair. */
export function drawPair(
  random: Random,
  portrait: MovingPortrait,
  expressions: ExpressionSource,
  size?: number,
): { source: PortraitFrame; driving: PortraitFrame } {
  const still = random.chance(AS_IT_IS) ? random.below(2) : undefined;
  const frames = [0, 1].map((frame) => {
    if (frame === still) return portrait.render({}, size);
    const pose = drawPose(random, portrait.pose.yaw, still === undefined ? 1 : FURTHER);
    const expression = random.chance(AT_REST) ? undefined : expressions.draw(random);
    return portrait.render({ pose, expression }, size);
  });
  return { source: frames[0]!, driving: frames[1]! };
}

function drawPose(random: Random, from: number, scale: number): HeadShift {
  const swing = (way: keyof typeof LARGEST): number => scale * LARGEST[way] * random.between(-1, 1);
  const yaw = swing('yaw');
  const onwards = Math.max(0, TURNED.furthest - Math.abs(from));
  const shown = Math.min(1, Math.max(0, (TURNED.notBack - Math.abs(from)) / (TURNED.notBack - TURNED.back)));
  return {
    yaw: yaw * from > 0 ? Math.sign(yaw) * Math.min(Math.abs(yaw), onwards) : shown * yaw,
    pitch: swing('pitch'),
    roll: swing('roll'),
    right: swing('right'),
    down: swing('down'),
    larger: 1 + swing('larger'),
  };
}
