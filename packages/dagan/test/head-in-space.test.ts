// Heads that turn in space: what landmarks with a depth tell of a driver's motion, in portraits that stand otherwise.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type MotionControls, MotionTransfer } from '../src/animation/index.js';
import { loadFaceSurface } from '../src/data/portraits/face-surface.js';
import { FACE_LANDMARK_NAMES, FACE_LANDMARKS } from '../src/faces/index.js';
import { rigidFit } from '../src/geometry/rigid-fit.js';
import { inverseRotation, multiplied, powerOf } from '../src/geometry/rotation.js';
import type { KeypointSet } from '../src/tensors/keypoint-set.js';

const names = Object.fromEntries(FACE_LANDMARK_NAMES.map((name, keypoint) => [name, keypoint]));
const { points } = (await loadFaceSurface()).canonical;

/** Landmarks of the canonical face, in the axes of pictures (y down, z away), 0.1 a centimetre: [K, 3]. */
const FACE = FACE_LANDMARK_NAMES.flatMap((name) => {
  // It has no irises: they are in the middle of their eyes.
  const ends = name === 'rightIris' ? [33, 133] : name === 'leftIris' ? [263, 362] : [FACE_LANDMARKS[name]];
  return [0.1, -0.1, -0.1].map((unit, axis) => {
    const sum = ends.reduce((total, point) => total + points[3 * point + axis]!, 0);
    return (unit * sum) / ends.length;
  });
});

const radians = (degrees: number): number => (degrees * Math.PI) / 180;
const yaw = (degrees: number): number[] => {
  const [cos, sin] = [Math.cos(radians(degrees)), Math.sin(radians(degrees))];
  return [cos, 0, sin, 0, 1, 0, -sin, 0, cos];
};

type Stance = { turned?: number; size?: number; at?: readonly [number, number]; face?: readonly number[] };

/** A face that is turned about the vertical axis, of a size, at a place. */
function standing({ turned = 0, size = 1, at = [0, 0], face = FACE }: Stance = {}): KeypointSet {
  const places = multiplied(face, yaw(turned)).map((x, i) => size * x + (i % 3 < 2 ? at[i % 3]! : 0));
  return {
    value: Float32Array.from(places.filter((_, i) => i % 3 < 2)),
    jacobian: null,
    depth: Float32Array.from(places.filter((_, i) => i % 3 === 2)),
  };
}

/** A face whose lower lip is further down. */
function talking(opening: number): number[] {
  const face = FACE.slice();
  face[3 * names.lowerLip! + 1]! += opening;
  return face;
}

const moved = (portrait: KeypointSet, reference: KeypointSet, driving: KeypointSet, controls: MotionControls = {}) =>
  new MotionTransfer(portrait, { reference, names, controls, mostGrowth: Infinity }).next(driving);

/** Largest difference of two sets once both are centred on the root of the nose. */
function apart(a: KeypointSet, b: KeypointSet): number {
  const nose = 2 * names.noseBridge!;
  return Math.max(
    ...a.value.map((x, i) => Math.abs(x - a.value[nose + (i % 2)]! - (b.value[i]! - b.value[nose + (i % 2)]!))),
  );
}

const gap = ({ value }: KeypointSet): number => value[2 * names.lowerLip! + 1]! - value[2 * names.upperLip! + 1]!;

test('how points were turned, scaled and shifted comes back; points of a plane do not tell', () => {
  const turn = yaw(25);
  const to = multiplied(FACE, turn).map((x, i) => 1.3 * x + [0.1, 0.2, 0.3][i % 3]!);
  const { rotation, scale, from, to: middle } = rigidFit(FACE, to);
  assert.ok(rotation.every((x, i) => Math.abs(x - turn[i]!) < 1e-9));
  assert.ok(Math.abs(scale - 1.3) < 1e-9);
  const carried = multiplied(
    FACE.map((x, i) => x - from[i % 3]!),
    rotation,
  ).map((x, i) => scale * x + middle[i % 3]!);
  assert.ok(carried.every((x, i) => Math.abs(x - to[i]!) < 1e-9));
  const flat = FACE.map((x, i) => (i % 3 === 2 ? 0 : x));
  assert.throws(() => rigidFit(flat, flat), RangeError);
});

test('a rotation carried out in part is one about the same axis; half of it twice is the whole', () => {
  const turn = yaw(40);
  assert.ok(powerOf(turn, 0.5).every((x, i) => Math.abs(x - yaw(20)[i]!) < 1e-9));
  assert.ok(powerOf(turn, -1).every((x, i) => Math.abs(x - inverseRotation(turn)[i]!) < 1e-9));
  assert.ok(powerOf(yaw(0), 3).every((x, i) => x === yaw(0)[i]));
});

test('a driver who begins as the portrait stands is repeated as he is', () => {
  const portrait = standing({ turned: 10, at: [0.1, 0] });
  const driving = standing({ turned: 35, size: 1.1, at: [0.2, 0.1], face: talking(0.15) });
  const set = moved(portrait, portrait, driving);
  assert.ok(set.value.every((x, i) => Math.abs(x - driving.value[i]!) < 1e-5));
});

test('a driver who turns from the side to the front turns a portrait that looked to the front to the other side', () => {
  const reference = standing({ turned: -30, size: 0.8, at: [0.2, 0.1] });
  const driving = standing({ turned: 0, size: 0.8, at: [0.2, 0.1] });
  const set = moved(standing(), reference, driving);
  assert.ok(apart(set, standing({ turned: 30 })) < 1e-5, 'as the portrait would look, turned');
  const flat = ({ value, jacobian }: KeypointSet): KeypointSet => ({ value, jacobian });
  const inPlane = moved(flat(standing()), flat(reference), flat(driving));
  assert.ok(apart(inPlane, standing({ turned: 30 })) > 0.1, 'the plane alone cannot know');
});

test('lips part by as much of the face as the driver, from whatever side he is seen', () => {
  for (const [turned, size] of [
    [0, 0.7],
    [35, 1],
    [-35, 0.7],
  ] as const) {
    const set = moved(standing(), standing({ turned, size }), standing({ turned, size, face: talking(0.2) }));
    assert.ok(Math.abs(gap(set) - gap(standing({ face: talking(0.2) }))) < 1e-5, `turned by ${turned}`);
    assert.ok(apart(moved(standing(), standing({ turned }), standing({ turned })), standing()) < 1e-6);
  }
});

test('strengths: half of the pose is half of the angle, and a mouth speaks in a head that stays', () => {
  const [reference, driving] = [standing({ turned: -20 }), standing({ turned: 20, face: talking(0.2) })];
  const half = moved(standing(), reference, driving, { parts: { pose: 0.5, mouth: 0 } });
  assert.ok(apart(half, standing({ turned: 20 })) < 1e-5);
  const still = moved(standing(), reference, driving, { parts: { pose: 0 } });
  assert.ok(apart(still, standing({ face: talking(0.2) })) < 1e-5);
});

test('hair turns with the rim of the face, shoulders stay', () => {
  const withMore = (set: KeypointSet, hair: readonly number[], shoulder: readonly number[]): KeypointSet => ({
    value: Float32Array.from([...set.value, ...hair, ...shoulder]),
    jacobian: null,
    depth: Float32Array.from([...set.depth!, Number.NaN, Number.NaN]),
  });
  // As far back as the rim is in the mean.
  const rim = ['rightTemple', 'leftTemple', 'forehead'].map((name) => FACE[3 * names[name]! + 2]!);
  const back = rim.reduce((sum, z) => sum + z, 0) / rim.length;
  const hair = (turned: number): number[] => {
    const [x, y] = multiplied([0.9, -0.6, back], yaw(turned));
    return [x!, y!];
  };
  const shoulder = [0.9, 1.6];
  const set = moved(
    withMore(standing(), hair(0), shoulder),
    withMore(standing({ turned: -25 }), hair(-25), shoulder),
    withMore(standing(), hair(0), shoulder),
  );
  const [x, y, u, v] = set.value.subarray(2 * FACE_LANDMARK_NAMES.length);
  const expected = hair(25);
  assert.ok(Math.abs(x! - expected[0]!) < 0.06 && Math.abs(y! - expected[1]!) < 0.06, `${x}, ${y}: ${expected}`);
  assert.ok(Math.abs(u! - shoulder[0]!) < 0.06 && Math.abs(v! - shoulder[1]!) < 0.02, `${u}, ${v}`);
});
