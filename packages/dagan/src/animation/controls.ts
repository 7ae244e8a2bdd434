// What a user may change of the motion that is taken over: its strength, whole and by part of the face, and constant changes of
// expression, with a driver or without one. With named keypoints all of it is arithmetic on them.
import type { KeypointSet } from '../tensors/keypoint-set.js';
import type { MotionSpace } from '../tensors/motion-space.js';
import { type Affine, affineBetween, middleOf, type Point } from './affine.js';
import { bothSides, MOTION_PARTS, type MotionPart, partOf } from './face-parts.js';
import { choosesAngles, type HeadAngles } from './free-view.js';
import { HeadInSpace, type SpaceStrengths } from './head-in-space.js';
import { pointAt as at, headPoints, headShares, wayOf } from './head-share.js';
import type { KeypointNames } from './mesh-keypoints.js';

/** Constant changes of expression. 0 changes nothing; 1 is as much as a face does at most, -1 as much the other way. */
export const RETARGETS = ['mouth', 'lids', 'brows', 'smile'] as const;

export type Retarget = (typeof RETARGETS)[number];

export type MotionControls = {
  /** Of all motion. Default 1. */
  strength?: number;
  /** Of parts of the face, beside that of the whole. Default 1 each. */
  parts?: Partial<Record<MotionPart, number>>;
  /** `mouth` opens, `lids` open wider (1) or close (-1), `brows` rise, `smile` draws the corners out and up. Default 0 each. */
  retarget?: Partial<Record<Retarget, number>>;
  /** Of the head, for models whose keypoints stand in space. Default: the driver's, or the portrait's without a driver. */
  angles?: HeadAngles;
};

/** What a model without heads in space cannot do. @throws TypeError that says it */
export function checkAngles({ angles }: MotionControls, { dimensions }: MotionSpace): void {
  if (dimensions === 3 || !choosesAngles(angles)) return;
  throw new TypeError(
    'the keypoints of this model stand in the plane, so its head cannot be turned to angles of choice',
  );
}

/** Values of landmarks of both sides of the face, by the name without the side. */
function ofBothSides<Value>(values: Readonly<Record<string, Value>>): Record<string, Value> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => bothSides(name).map((full) => [full, value])),
  );
}

/** What has names, and what a model without names cannot do. @throws TypeError that says it */
export function checkControls({ parts = {}, retarget = {} }: MotionControls, names: KeypointNames): void {
  if (Object.keys(names).length > 0) return;
  const part = MOTION_PARTS.find((name) => name !== 'pose' && (parts[name] ?? 1) !== 1);
  const change = RETARGETS.find((name) => (retarget[name] ?? 0) !== 0);
  const wanted = part ?? change;
  if (wanted === undefined) return;
  throw new TypeError(
    `the keypoints of this model have no names, so its ${wanted} cannot be moved alone; strength and pose work with every model`,
  );
}

/**
 * How keypoints move from the reference to the driving frame, changed by the controls: [K, 2].
 *
 * With names, the head's motion is told apart from what is left of each keypoint's way, its part's expression. Where landmarks have a
 * depth the head turns in space (`HeadInSpace`); else it is the affine map that takes its landmarks from the reference nearest to the
 * driving frame. Either is applied about the portrait's head, not the driver's: a driver who leans makes a portrait lean whose head
 * is larger or elsewhere in the picture, without pulling it out of shape. Lids move in proportion to how far the portrait's eyes are
 * open, so that what closes the driver's closes these. Keypoints without a name take part in the head's motion as far as they have
 * gone along with the driver's head.
 *
 * @param portrait its keypoints, which also tell how far its eyes are open
 * @param scale factor on movement: how much larger the portrait's face is; in space, where the portrait turns in its own size, that on
 *   how far the head shifts
 */
export function controlledMotion(
  portrait: KeypointSet,
  reference: KeypointSet,
  driving: KeypointSet,
  { strength = 1, parts = {} }: MotionControls,
  names: KeypointNames,
  scale = 1,
): Float32Array {
  const way = driving.value.map((value, i) => value - reference.value[i]!);
  const pose = strength * (parts.pose ?? 1);
  const head = headMotion({ portrait, reference, driving }, names, { pose, scale });
  if (!head) return way.map((value) => scale * pose * value);
  const nameOf = new Map(Object.entries(names).map(([name, keypoint]) => [keypoint, name]));
  const lids = lidScales(portrait.value, reference.value, names);
  const shares = headShares(reference.value, driving.value, names, (point) => head.driverWay(point));
  const result = new Float32Array(way.length);
  for (let keypoint = 0; keypoint < way.length / 2; keypoint++) {
    const name = nameOf.get(keypoint);
    const part = name === undefined ? 'pose' : partOf(name);
    const own = part === 'pose' ? pose : strength * (parts[part] ?? 1) * (lids.get(keypoint) ?? 1);
    if (name !== undefined && head.wayOfLandmark) {
      result.set(head.wayOfLandmark(keypoint, own), 2 * keypoint);
      continue;
    }
    const [byHead, byOwn] = [
      head.driverWay(at(reference.value, keypoint)),
      head.portraitWay(at(portrait.value, keypoint)),
    ];
    const share = shares[keypoint]!;
    for (const axis of [0, 1] as const) {
      const gone = way[2 * keypoint + axis]!;
      result[2 * keypoint + axis] = share * byOwn[axis] + scale * own * (gone - share * byHead[axis]);
    }
  }
  return result;
}

/** What the head does, as the plane shows it. */
type HeadMotion = {
  /** How far the driver's head takes a point of it from the reference to the driving frame. */
  driverWay(point: Point): Point;
  /** How far the portrait's then goes. */
  portraitWay(point: Point): Point;
  /** How far a landmark of the portrait goes, expression and all, where depth tells it. */
  wayOfLandmark?(keypoint: number, strength: number): Point;
};

/** Undefined without names. */
function headMotion(
  sets: { portrait: KeypointSet; reference: KeypointSet; driving: KeypointSet },
  names: KeypointNames,
  { pose, scale }: SpaceStrengths,
): HeadMotion | undefined {
  const inSpace = HeadInSpace.of(sets, names, { pose, scale });
  if (inSpace) return inSpace;
  const [before, after, head] = [sets.reference, sets.driving, sets.portrait].map(({ value }) =>
    headPoints(value, names),
  );
  if (!before || !after || !head) return undefined;
  const carry = affineBetween(before, after);
  const about = middleOf(head);
  const carryPortrait: Affine = {
    ...carry,
    from: about,
    to: [about[0] + carry.to[0] - carry.from[0], about[1] + carry.to[1] - carry.from[1]],
  };
  const scaled = ([x, y]: Point): Point => [scale * pose * x, scale * pose * y];
  return {
    driverWay: (point) => wayOf(carry, point),
    portraitWay: (point) => scaled(wayOf(carryPortrait, point)),
  };
}

/** Of each lid's keypoint: how far the portrait's eye is open, over how far the reference's is, each by its face's height. */
function lidScales(portrait: Float32Array, reference: Float32Array, names: KeypointNames): Map<number, number> {
  const scales = new Map<number, number>();
  for (const side of ['right', 'left']) {
    const [upper, lower] = [names[`${side}UpperLid`], names[`${side}LowerLid`]];
    if (upper === undefined || lower === undefined) continue;
    const open = [portrait, reference].map(
      (value) => distance(at(value, upper), at(value, lower)) / height(value, names),
    );
    // An eye that is closed in the reference says nothing of how far it opens.
    const scale = open[1]! > LEAST_OPEN ? Math.min(2, Math.max(0.5, open[0]! / open[1]!)) : 1;
    scales.set(upper, scale).set(lower, scale);
  }
  return scales;
}

/** Of an eye, in heights of the face: below it is closed. */
const LEAST_OPEN = 0.015;

/** How far things move at most, in heights of the face: mouths open, brows rise, corners are drawn. */
const FULL = { mouth: 0.14, lids: 1, brows: 0.05, smile: 0.05 } as const;

/** How far landmarks go down, as a share of how far the lips part: the lower jaw turns down, and the upper lip rises. */
const OPENS: Readonly<Record<string, number>> = {
  ...{ lowerLip: 0.8, lowerLipRim: 0.8, chin: 0.8, upperLip: -0.2, upperLipRim: -0.2 },
  ...ofBothSides({ LowerLip: 0.65, LowerLipRim: 0.65, Jaw: 0.55, Cheek: 0.1, UpperLip: -0.15, UpperLipRim: -0.15 }),
};

/** How far landmarks of each side go outwards and up, as shares of how far a smile draws the corners of the mouth outwards. */
const SMILES: Readonly<Record<string, readonly [outwards: number, up: number]>> = {
  MouthCorner: [1, 0.6],
  UpperLip: [0.45, 0.15],
  LowerLip: [0.45, 0.15],
  UpperLipRim: [0.4, 0.15],
  LowerLipRim: [0.4, 0.15],
  Cheek: [0.4, 0.4],
};

/**
 * A portrait's keypoints with a constant change of its expression.
 *
 * @param retarget every value from -1 to 1
 */
export function retargeted(
  keypoints: KeypointSet,
  retarget: Partial<Record<Retarget, number>>,
  names: KeypointNames,
): KeypointSet {
  const { value, jacobian } = keypoints;
  const changed = value.slice();
  const size = height(value, names);
  const [down, right] = axesOf(value, names);
  const move = (name: string, [x, y]: Point, by: number): void => {
    const keypoint = names[name];
    if (keypoint === undefined) return;
    changed[2 * keypoint]! += by * x;
    changed[2 * keypoint + 1]! += by * y;
  };
  const opening = (retarget.mouth ?? 0) * FULL.mouth * size;
  const gap = gapOf(value, 'upperLip', 'lowerLip', names);
  const opens = Math.max(opening, -gap); // a mouth closes no further than to its lips
  for (const [name, share] of Object.entries(OPENS)) move(name, down, share * opens);
  const lids = (retarget.lids ?? 0) * FULL.lids;
  for (const side of ['right', 'left']) {
    const eye = gapOf(value, `${side}UpperLid`, `${side}LowerLid`, names);
    move(`${side}UpperLid`, down, -lids * eye * (lids > 0 ? 0.4 : 0.85));
    move(`${side}LowerLid`, down, lids * eye * (lids > 0 ? 0.1 : 0.15));
    const brows = (retarget.brows ?? 0) * FULL.brows * size;
    for (const name of ['Brow', 'InnerBrow']) move(`${side}${name}`, down, -brows);
    const smile = (retarget.smile ?? 0) * FULL.smile * size;
    for (const [name, [outwards, up]] of Object.entries(SMILES)) {
      move(`${side}${name}`, right, (side === 'right' ? -1 : 1) * outwards * smile);
      move(`${side}${name}`, down, -up * smile);
    }
  }
  return { value: changed, jacobian };
}

const distance = ([x, y]: Point, [u, v]: Point): number => Math.hypot(x - u, y - v);

function gapOf(value: Float32Array, a: string, b: string, names: KeypointNames): number {
  const [first, second] = [names[a], names[b]];
  return first === undefined || second === undefined ? 0 : distance(at(value, first), at(value, second));
}

/** From forehead to chin. */
function height(value: Float32Array, names: KeypointNames): number {
  return gapOf(value, 'forehead', 'chin', names) || 1;
}

/** The face's own down and right (as it is seen), of length 1. */
function axesOf(value: Float32Array, names: KeypointNames): [down: Point, right: Point] {
  const [top, chin] = [names.forehead, names.chin];
  if (top === undefined || chin === undefined) {
    return [
      [0, 1],
      [1, 0],
    ];
  }
  const [from, to] = [at(value, top), at(value, chin)];
  const length = distance(from, to) || 1;
  const down: Point = [(to[0] - from[0]) / length, (to[1] - from[1]) / length];
  return [down, [down[1], -down[0]]];
}
