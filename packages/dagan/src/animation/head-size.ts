// How much larger or smaller a driver's head is than in the reference frame, because it came nearer or went away; and motion in
// which that stays within bounds. A portrait has nothing to show for a head that shrinks: it is squeezed, and what stood behind it
// is a hole.
import type { KeypointSet } from '../tensors/keypoint-set.js';
import { affineBetween, middleOf, type Point, stretches } from './affine.js';
import { headShares, pointAt, wayOf } from './head-share.js';
import type { KeypointNames } from './mesh-keypoints.js';

/**
 * The factor between a head's sizes in two frames. What a turn or a nod foreshortens is one direction, what distance shrinks are
 * both: of the stretches of the affine maps between the frames, there and back, it is the one nearest to 1, and 1 if they disagree,
 * as they do where keypoints move each for itself. Where some keypoints stand on landmarks of the face, these tell.
 */
export function growth(reference: KeypointSet, driving: KeypointSet, names: KeypointNames = {}): number {
  const [before, after] = [pointsOf(reference, names), pointsOf(driving, names)];
  const there = stretches(affineBetween(before, after));
  const back = stretches(affineBetween(after, before)).map((stretch) => 1 / stretch);
  const [least, most] = [Math.min(...there, ...back), Math.max(...there, ...back)];
  return least > 1 ? least : Math.min(most, 1);
}

/**
 * The driving keypoints with a head that has grown or shrunk by no more than a factor since the reference frame: what is more is
 * taken off around the keypoints' middle, of all that goes along with the head. Within the bound they are returned as they are.
 *
 * @param most at least 1, at which the head keeps its size
 */
export function withBoundedGrowth(
  driving: KeypointSet,
  reference: KeypointSet,
  most: number,
  names: KeypointNames = {},
): KeypointSet {
  const grown = growth(reference, driving, names);
  const factor = Math.min(most, Math.max(1 / most, grown)) / grown;
  if (factor === 1 || !Number.isFinite(factor)) return driving;
  const [before, after] = [pointsOf(reference, names), pointsOf(driving, names)];
  const middle = middleOf(after);
  const { value, jacobian, depth } = driving;
  const carry = affineBetween(before, after);
  const shares = headShares(reference.value, value, names, (point) => wayOf(carry, point));
  const factorOf = (keypoint: number): number => 1 + shares[keypoint]! * (factor - 1);
  return {
    value: value.map((x, i) => middle[i % 2]! + factorOf(i >> 1) * (x - middle[i % 2]!)),
    jacobian: jacobian?.map((x, i) => factorOf(i >> 2) * x) ?? null,
    ...(depth && { depth: depth.map((z, keypoint) => factorOf(keypoint) * z) }),
  };
}

/** The keypoints that stand on landmarks of the face, all if none has a name, as far as they are told (`withUntold`). */
function pointsOf({ value }: KeypointSet, names: KeypointNames): Point[] {
  const named = Object.values(names);
  const keypoints = named.length > 0 ? named : Array.from({ length: value.length / 2 }, (_, k) => k);
  return keypoints.map((k) => pointAt(value, k)).filter(([x]) => !Number.isNaN(x));
}
