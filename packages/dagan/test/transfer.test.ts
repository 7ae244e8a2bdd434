// From driving keypoints to the portrait's, without any network. Runs in browsers too.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  convexHullArea,
  growth,
  KeypointSmoother,
  MotionTransfer,
  movementScale,
  transferKeypoints,
} from '../src/animation/index.js';
import type { TransferOptions } from '../src/animation/transfer.js';
import type { KeypointSet } from '../src/tensors/keypoint-set.js';

const RELATIVE = { motion: 'relative', adaptScale: false } as const;
const SCALED = { motion: 'relative', adaptScale: true } as const;

/** Numbers in [-1, 1] that are the same in every run. */
function numbers(count: number, seed: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => Math.sin((i + 1) * 12.9898 * seed + seed));
}

/** K keypoints with jacobians near the identity. */
const keypoints = (seed: number, count = 15): KeypointSet => ({
  value: numbers(2 * count, seed),
  jacobian: numbers(4 * count, seed + 0.5).map((x, i) => 0.3 * x + (i % 4 === 0 || i % 4 === 3 ? 1 : 0)),
});

const assertNear = (actual: Float32Array, expected: ArrayLike<number>, tolerance = 1e-6): void => {
  assert.equal(actual.length, expected.length);
  for (const [i, value] of actual.entries()) {
    assert.ok(Math.abs(value - expected[i]!) <= tolerance, `element ${i} is ${value} instead of ${expected[i]}`);
  }
};

const area = (...points: [number, number][]): number => convexHullArea(Float32Array.from(points.flat()));

test('the hull area is that of squares, triangles and polygons, whatever lies inside and in which order', () => {
  assert.equal(area([0, 0], [1, 0], [1, 1], [0, 1]), 1);
  assert.equal(area([1, 1], [0.5, 0.5], [0, 0], [0.25, 0.75], [0, 1], [1, 0]), 1);
  assert.equal(area([-1, -1], [3, -1], [-1, 2]), 6);
  // Points on an edge and double points change nothing.
  assert.equal(area([0, 0], [1, 0], [2, 0], [2, 2], [2, 2], [0, 2], [0, 1]), 4);
  const corners = Array.from({ length: 12 }, (_, i): [number, number] => [
    Math.cos((i * Math.PI) / 6),
    Math.sin((i * Math.PI) / 6),
  ]);
  assert.ok(Math.abs(area(...corners) - 3) < 1e-6); // a regular dodecagon of radius 1
});

test('the hull of no area: nothing, a point, a pair, points on a line', () => {
  assert.equal(area(), 0);
  assert.equal(area([1, 2]), 0);
  assert.equal(area([1, 2], [3, 4]), 0);
  assert.equal(area([0, 0], [1, 1], [2, 2], [3, 3]), 0);
  assert.equal(area([1, 1], [1, 1], [1, 1]), 0);
});

test('the hull area moves with the points and grows with the square of their size', () => {
  for (const seed of [1, 2, 3]) {
    const { value } = keypoints(seed);
    const base = convexHullArea(value);
    assert.ok(base > 0);
    assert.ok(Math.abs(convexHullArea(value.map((x) => x + 0.25)) - base) < 1e-5);
    assert.ok(Math.abs(convexHullArea(value.map((x) => 3 * x)) - 9 * base) < 1e-4);
  }
});

test('a driving face that stays as in the reference frame leaves the portrait as it is', () => {
  const [source, reference] = [keypoints(1), keypoints(2)];
  for (const options of [RELATIVE, SCALED]) {
    const { value, jacobian } = transferKeypoints(source, reference, reference, options);
    assertNear(value, source.value);
    assertNear(jacobian!, source.jacobian!, 1e-5);
  }
});

test('relative movement is added to the portrait, scaled by the sizes of the faces if asked for', () => {
  const [source, reference] = [keypoints(1), keypoints(2)];
  const small = { ...reference, value: reference.value.map((x) => x / 2) };
  const moved = { ...small, value: small.value.map((x, i) => x + (i % 2 === 0 ? 0.1 : -0.05)) };
  const plain = transferKeypoints(source, moved, small, RELATIVE).value;
  assertNear(
    plain,
    source.value.map((x, i) => x + (i % 2 === 0 ? 0.1 : -0.05)),
  );
  const scale = movementScale(source, small);
  assert.ok(Math.abs(scale - 2 * movementScale(source, reference)) < 1e-5);
  assertNear(
    transferKeypoints(source, moved, small, SCALED).value,
    source.value.map((x, i) => x + scale * (i % 2 === 0 ? 0.1 : -0.05)),
  );
});

test('the movement scale is the root of the ratio of areas, and 1 where the reference has none', () => {
  const square = (side: number): KeypointSet => ({
    value: Float32Array.of(0, 0, side, 0, side, side, 0, side),
    jacobian: null,
  });
  assert.equal(movementScale(square(1), square(0.25)), 4);
  assert.equal(movementScale(square(0.5), square(1)), 0.5);
  assert.equal(movementScale(square(1), square(0)), 1);
});

test('jacobians follow J_d J_r^-1 J_s', () => {
  const one = (...jacobian: number[]): KeypointSet => ({
    value: Float32Array.of(0, 0),
    jacobian: Float32Array.from(jacobian),
  });
  // A quarter turn of the driving face turns the portrait's frame; the reference's stretch is taken out.
  const { jacobian } = transferKeypoints(one(1, 2, 3, 4), one(0, -2, 2, 0), one(2, 0, 0, 2), RELATIVE);
  assertNear(jacobian!, [-3, -4, 1, 2]);
  // In general: undoing the driving change gives the portrait's back.
  const [source, driving, reference] = [keypoints(4), keypoints(5), keypoints(6)];
  const there = transferKeypoints(source, driving, reference, RELATIVE);
  const back = transferKeypoints(there, reference, driving, RELATIVE);
  assertNear(back.value, source.value, 1e-5);
  assertNear(back.jacobian!, source.jacobian!, 1e-4);
});

test('without jacobians on one side there are none in the result', () => {
  const [source, driving, reference] = [keypoints(1), keypoints(2), keypoints(3)];
  const plain = ({ value }: KeypointSet): KeypointSet => ({ value, jacobian: null });
  const { value, jacobian } = transferKeypoints(plain(source), plain(driving), plain(reference), RELATIVE);
  assert.equal(jacobian, null);
  assertNear(value, transferKeypoints(source, driving, reference, RELATIVE).value);
});

test('absolute motion hands the driving keypoints over as they are', () => {
  const [source, driving, reference] = [keypoints(1), keypoints(2), keypoints(3)];
  for (const adaptScale of [false, true]) {
    assert.deepEqual(transferKeypoints(source, driving, reference, { motion: 'absolute', adaptScale }), driving);
  }
});

test('motion is measured from its first frame, or from the reference given, until another clip begins', () => {
  const [portrait, first, second] = [keypoints(1), keypoints(2), keypoints(3)] as const;
  const motion = new MotionTransfer(portrait);
  assertNear(motion.next(first).value, portrait.value);
  assert.deepEqual(motion.next(second), transferKeypoints(portrait, second, first, RELATIVE));
  motion.reset(second);
  assertNear(motion.next(second).value, portrait.value);
  assert.deepEqual(motion.next(first), transferKeypoints(portrait, first, second, RELATIVE));
  motion.reset();
  assertNear(motion.next(second).value, portrait.value);
  const given = new MotionTransfer(portrait, { reference: second, adaptScale: true });
  assert.deepEqual(given.next(first), transferKeypoints(portrait, first, second, SCALED));
});

test('how motion is taken over may change between frames: the reference stays, another smoothing begins anew', () => {
  const [portrait, first, second, third] = [1, 2, 3, 4].map((seed) => keypoints(seed)) as KeypointSet[];
  const motion = new MotionTransfer(portrait!, { smoothing: { strength: 1 } });
  motion.next(first!, 0);
  const calmed = motion.next(second!, 0.04);
  const smoother = new KeypointSmoother({ strength: 1 });
  smoother.next(first!, 0);
  assert.deepEqual(calmed, transferKeypoints(portrait!, smoother.next(second!, 0.04), first!, RELATIVE));
  motion.set({ smoothing: { strength: 1 }, adaptScale: true });
  const next = smoother.next(third!, 0.5);
  assert.deepEqual(motion.next(third!, 0.54), transferKeypoints(portrait!, next, first!, SCALED), 'the same strength');
  motion.set({ smoothing: { strength: 0.5 } });
  assert.deepEqual(motion.next(second!, 0.58), transferKeypoints(portrait!, second!, first!, RELATIVE), 'anew');
  motion.set({ motion: 'absolute' });
  assert.deepEqual(motion.next(third!, 0.62), third);
});

test('where no face drives the portrait rests as it was, and motion comes back over three frames', () => {
  const [portrait, first, second, odd] = [1, 2, 3, 4].map((seed) => keypoints(seed)) as KeypointSet[];
  const motion = new MotionTransfer(portrait!);
  motion.next(first!);
  const before = motion.next(second!);
  for (let i = 0; i < 5; i++)
    assert.deepEqual(motion.next(odd!, undefined, false), before, 'what is found there is nothing');
  const back = [0, 1, 2].map(() => motion.next(first!));
  const way = back.map(({ value }) => Math.abs(value[0]! - portrait!.value[0]!)); // the first frame's pose is the portrait's
  const whole = Math.abs(before.value[0]! - portrait!.value[0]!);
  assert.ok(whole > way[0]! && way[0]! > way[1]! && way[1]! > way[2]!, `from ${whole} by ${way}`);
  assertNear(back[2]!.value, portrait!.value);
  assert.deepEqual(motion.next(second!), before);
});

test('before the first face the portrait rests in its own pose: as the reference has it, or as it is', () => {
  const [portrait, reference, driving, odd] = [1, 2, 3, 4].map((seed) => keypoints(seed)) as KeypointSet[];
  const unknown = new MotionTransfer(portrait!);
  assert.deepEqual(unknown.next(odd!, undefined, false), portrait);
  assertNear(unknown.next(driving!).value, portrait!.value, 1e-6); // the first face is the reference, not what was there before

  const known = new MotionTransfer(portrait!, { reference: reference! });
  assertNear(known.next(odd!, undefined, false).value, portrait!.value);
  known.next(driving!);
  known.next(driving!);
  assert.deepEqual(known.next(driving!), transferKeypoints(portrait!, driving!, reference!, RELATIVE));

  const absolute = new MotionTransfer(portrait!, { motion: 'absolute', reference: reference! });
  assert.deepEqual(absolute.next(odd!, undefined, false), portrait);
  absolute.next(driving!);
  absolute.next(driving!);
  assert.deepEqual(absolute.next(driving!), driving);

  known.reset(reference);
  assert.deepEqual(
    known.next(driving!),
    transferKeypoints(portrait!, driving!, reference!, RELATIVE),
    'nothing is held',
  );
});

/** Keypoints after each of their places was moved. */
const mapped = ({ value, jacobian }: KeypointSet, move: (x: number, y: number) => [number, number]): KeypointSet => ({
  value: value.map((_, i) => move(value[i - (i % 2)]!, value[i - (i % 2) + 1]!)[i % 2]!),
  jacobian,
});

test('a driver who goes away or comes near does not shrink or blow up the portrait, unless its size is to be taken over', () => {
  const [portrait, reference] = [keypoints(1), keypoints(2)];
  const size = (options: TransferOptions, factor: number): number => {
    const driving = mapped(reference, (x, y) => [factor * x + 0.1, factor * y - 0.05]);
    return growth(reference, transferKeypoints(reference, driving, reference, options));
  };
  for (const factor of [0.3, 0.4, 0.7, 1.4, 3]) {
    const held = size(RELATIVE, factor);
    assert.ok(Math.abs(held - 1) < 0.01, `a driver of ${factor} gives a head of ${held}`);
  }
  for (const factor of [0.7, 0.95, 1.05, 1.4]) {
    assert.ok(Math.abs(size(SCALED, factor) - factor) < 2e-3, 'taken over');
  }
  assert.ok(Math.abs(size(SCALED, 0.2) - 1 / 1.5) < 0.01 && Math.abs(size(SCALED, 4) - 1.5) < 0.01, 'within bounds');
  assert.ok(Math.abs(size({ ...RELATIVE, mostGrowth: Infinity }, 0.3) - 0.3) < 5e-3, 'as published');
  // Where the head goes, it goes in any case.
  const away = mapped(reference, (x, y) => [0.5 * x + 0.3, 0.5 * y]);
  const { value, jacobian } = transferKeypoints(
    portrait,
    { ...away, jacobian: reference.jacobian },
    reference,
    RELATIVE,
  );
  const middle = (set: Float32Array): number =>
    set.reduce((sum, x, i) => sum + (i % 2 === 0 ? (2 * x) / set.length : 0), 0);
  const way = middle(away.value) - middle(reference.value);
  assert.ok(Math.abs(middle(value) - middle(portrait.value) - way) < 1e-5);
  // Jacobians are of the same head.
  const shrunk = { ...away, jacobian: reference.jacobian!.map((x) => 0.5 * x) };
  const held = transferKeypoints(portrait, shrunk, reference, RELATIVE).jacobian!;
  assertNear(held, portrait.jacobian!, 5e-3);
  assert.equal(jacobian!.length, held.length);
});

test('turns, nods, tilts and keypoints that move each for itself are no change of size', () => {
  const face = keypoints(3);
  const turned = mapped(face, (x, y) => [0.6 * x, y]);
  const nodded = mapped(face, (x, y) => [x, 0.7 * y + 0.1 * x]);
  const tilted = mapped(face, (x, y) => [0.8 * x - 0.6 * y, 0.6 * x + 0.8 * y]);
  for (const driving of [turned, nodded, tilted, keypoints(4), keypoints(5)]) {
    assert.ok(Math.abs(growth(face, driving) - 1) < 2e-3, `${growth(face, driving)}`);
  }
  const farTurned = mapped(face, (x, y) => [0.3 * x, 0.5 * y]);
  assert.ok(Math.abs(growth(face, farTurned) - 0.5) < 2e-3, 'a head that turns while it goes away');
  const point: KeypointSet = { value: Float32Array.of(0.2, 0.3), jacobian: null };
  assert.deepEqual(transferKeypoints(face, face, face, RELATIVE).value, face.value);
  assert.ok(transferKeypoints(point, point, point, RELATIVE).value.every(Number.isFinite), 'a keypoint alone');
});
