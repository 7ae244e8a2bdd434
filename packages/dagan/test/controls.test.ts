// Controls of motion: strength, parts of the face, constant changes of expression; and keypoints that the face mesh gives.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  type Analysis,
  type Engine,
  keypointsOfMesh,
  MeshGuidedEngine,
  type MotionControls,
  MotionTransfer,
} from '../src/animation/index.js';
import { FACE_LANDMARK_NAMES, FACE_LANDMARKS, FaceAnalyzer, type FaceLandmark } from '../src/faces/index.js';
import { createPicture, readPicture } from '../src/media/index.js';
import type { KeypointSet } from '../src/tensors/keypoint-set.js';

const names = Object.fromEntries(FACE_LANDMARK_NAMES.map((name, keypoint) => [name, keypoint]));

/** A face that looks at the camera, in halves of the picture. */
const FACE: Readonly<Record<FaceLandmark, readonly [number, number]>> = {
  upperLip: [0, 0.29],
  lowerLip: [0, 0.31],
  rightMouthCorner: [-0.15, 0.3],
  leftMouthCorner: [0.15, 0.3],
  rightUpperLid: [-0.2, -0.13],
  leftUpperLid: [0.2, -0.13],
  noseTip: [0, 0.1],
  chin: [0, 0.5],
  rightTemple: [-0.4, -0.1],
  leftTemple: [0.4, -0.1],
  rightLowerLid: [-0.2, -0.07],
  leftLowerLid: [0.2, -0.07],
  rightBrow: [-0.2, -0.22],
  leftBrow: [0.2, -0.22],
  forehead: [0, -0.5],
  upperLipRim: [0, 0.25],
  lowerLipRim: [0, 0.35],
  rightUpperLip: [-0.07, 0.29],
  leftUpperLip: [0.07, 0.29],
  rightLowerLip: [-0.07, 0.31],
  leftLowerLip: [0.07, 0.31],
  rightUpperLipRim: [-0.07, 0.26],
  leftUpperLipRim: [0.07, 0.26],
  rightLowerLipRim: [-0.07, 0.34],
  leftLowerLipRim: [0.07, 0.34],
  rightJaw: [-0.15, 0.47],
  leftJaw: [0.15, 0.47],
  rightCheek: [-0.25, 0.2],
  leftCheek: [0.25, 0.2],
  rightOuterEyeCorner: [-0.28, -0.1],
  leftOuterEyeCorner: [0.28, -0.1],
  rightInnerEyeCorner: [-0.12, -0.1],
  leftInnerEyeCorner: [0.12, -0.1],
  rightInnerBrow: [-0.1, -0.22],
  leftInnerBrow: [0.1, -0.22],
  noseBridge: [0, -0.12],
  rightNostril: [-0.08, 0.12],
  leftNostril: [0.08, 0.12],
  rightCheekbone: [-0.22, 0.05],
  leftCheekbone: [0.22, 0.05],
  rightOuterCheek: [-0.3, 0],
  leftOuterCheek: [0.3, 0],
  rightForehead: [-0.15, -0.48],
  leftForehead: [0.15, -0.48],
  rightForeheadSide: [-0.25, -0.42],
  leftForeheadSide: [0.25, -0.42],
  rightForeheadCorner: [-0.32, -0.35],
  leftForeheadCorner: [0.32, -0.35],
  rightCheekSide: [-0.41, 0.05],
  leftCheekSide: [0.41, 0.05],
  rightJawCorner: [-0.27, 0.4],
  leftJawCorner: [0.27, 0.4],
  rightJawAngle: [-0.35, 0.28],
  leftJawAngle: [0.35, 0.28],
  rightIris: [-0.2, -0.1],
  leftIris: [0.2, -0.1],
};

type Places = Partial<Record<FaceLandmark, readonly [number, number]>>;

const face = (changes: Places = {}): KeypointSet => ({
  value: Float32Array.from(FACE_LANDMARK_NAMES.flatMap((name) => [...(changes[name] ?? FACE[name])])),
  jacobian: null,
});

const at = ({ value }: KeypointSet, name: FaceLandmark): [number, number] => [
  value[2 * names[name]!]!,
  value[2 * names[name]! + 1]!,
];

const gap = (set: KeypointSet, a: FaceLandmark, b: FaceLandmark): number =>
  Math.hypot(at(set, a)[0] - at(set, b)[0], at(set, a)[1] - at(set, b)[1]);

/** A face that is turned by an angle, moved to the right, and does something. */
function moved(angle: number, right: number, changes: Places = {}): KeypointSet {
  const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
  const { value } = face(changes);
  return {
    value: value.map((number, i) =>
      i % 2 === 0 ? cosine * number - sine * value[i + 1]! + right : sine * value[i - 1]! + cosine * number,
    ),
    jacobian: null,
  };
}

/** What a portrait does that looks like `face()`, driven from rest to `driving`. */
function driven(driving: KeypointSet, controls: MotionControls = {}, portrait = face()): KeypointSet {
  return new MotionTransfer(portrait, { reference: face(), names, controls }).next(driving);
}

const near = (found: number, expected: number, tolerance = 1e-3): void =>
  assert.ok(Math.abs(found - expected) < tolerance, `${found}, ${expected} expected`);

const TALKING: Places = { lowerLip: [0, 0.41], chin: [0, 0.58], leftUpperLid: [0.2, -0.08] };

test('a strength of one, of all and of every part, changes nothing', () => {
  const driving = moved(0.2, 0.1, TALKING);
  const parts = { pose: 1, mouth: 1, eyes: 1, brows: 1 };
  for (const set of [driven(driving), driven(driving, { strength: 1, parts })]) {
    for (const [i, value] of set.value.entries()) near(value, driving.value[i]!, 2e-3);
  }
});

test('parts of the face move by strengths of their own: a mouth that speaks in a head that stays, and the other way round', () => {
  const driving = moved(0.2, 0.1, TALKING);
  const still = driven(driving, { parts: { pose: 0 } });
  near(at(still, 'noseTip')[0], 0);
  near(at(still, 'forehead')[1], -0.5, 5e-3);
  near(gap(still, 'upperLip', 'lowerLip'), 0.12, 0.01);
  const silent = driven(driving, { parts: { mouth: 0 } });
  near(gap(silent, 'upperLip', 'lowerLip'), 0.02, 5e-3);
  near(at(silent, 'noseTip')[0], at(driving, 'noseTip')[0], 5e-3);
  near(gap(silent, 'leftUpperLid', 'leftLowerLid'), 0.01, 5e-3);
  const awake = driven(driving, { parts: { eyes: 0 } });
  near(gap(awake, 'leftUpperLid', 'leftLowerLid'), 0.06, 5e-3);
  const wide = driven(driving, { parts: { mouth: 2 } });
  assert.ok(gap(wide, 'upperLip', 'lowerLip') > 0.2);
});

test('half of the strength is half of the way, with names or without', () => {
  const driving = moved(0, 0.2);
  near(at(driven(driving, { strength: 0.5 }), 'chin')[0], 0.1);
  const unnamed = new MotionTransfer(face(), { reference: face(), controls: { strength: 0.5 } }).next(driving);
  near(at(unnamed, 'chin')[0], 0.1);
});

test('jacobians take part in the strength: at none the portrait keeps its own', () => {
  const withJacobians = (set: KeypointSet, scale: number): KeypointSet => ({
    ...set,
    jacobian: Float32Array.from(FACE_LANDMARK_NAMES.flatMap(() => [scale, 0, 0, scale])),
  });
  const next = (strength: number): number => {
    const motion = new MotionTransfer(withJacobians(face(), 3), {
      reference: withJacobians(face(), 1),
      controls: { strength },
    });
    return motion.next(withJacobians(face(), 2)).jacobian![0]!;
  };
  assert.deepEqual([next(0), next(0.5), next(1)], [3, 4.5, 6]);
});

/** Keypoints turned about a point by an angle. */
function turned({ value }: KeypointSet, angle: number, [x, y]: readonly [number, number]): KeypointSet {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const result = value.map((_, i) => {
    const [u, v] = [value[i & ~1]! - x, value[i | 1]! - y];
    return i % 2 === 0 ? x + cos * u - sin * v : y + sin * u + cos * v;
  });
  return { value: result, jacobian: null };
}

/** A face with two keypoints more that have no name. */
const withMore = ({ value }: KeypointSet, hair: readonly number[], shoulder: readonly number[]): KeypointSet => ({
  value: Float32Array.from([...value, ...hair, ...shoulder]),
  jacobian: null,
});

test('a larger head leans as the driver does, in its own shape; its hair goes along, its shoulders stay, told or not', () => {
  const [hair, shoulder] = [
    [0.1, -0.7],
    [0.5, 0.9],
  ];
  const reference = withMore(face(), hair, shoulder);
  const leaning = turned(reference, 0.4, [0, 0.6]).value;
  const told = { value: leaning.slice(), jacobian: null };
  told.value.set(shoulder, leaning.length - 2);
  const untold = { value: leaning.slice(), jacobian: null };
  untold.value.fill(Number.NaN, leaning.length - 4);
  const portrait: KeypointSet = { value: reference.value.map((x) => 1.3 * x), jacobian: null };
  const expected = turned(portrait, 0.4, [0, 0]).value;
  for (const driving of [told, untold]) {
    const set = new MotionTransfer(portrait, { reference, names }).next(driving);
    const from = (values: Float32Array, keypoint: number): number[] => {
      const nose = 2 * names.noseTip!;
      return [0, 1].map((axis) => values[2 * keypoint + axis]! - values[nose + axis]!);
    };
    const last = leaning.length / 2 - 1;
    for (let keypoint = 0; keypoint < last; keypoint++) {
      const [own, right] = [from(set.value, keypoint), from(expected, keypoint)];
      for (const axis of [0, 1] as const) near(own[axis]!, right[axis]!, 0.03);
    }
    near(set.value[2 * last]!, 1.3 * shoulder[0]!, 0.03);
    near(set.value[2 * last + 1]!, 1.3 * shoulder[1]!, 0.03);
  }
});

test('a driver who comes nearer and tells nothing of hair and shoulders leaves every keypoint and jacobian a number', () => {
  const whole = withMore(face(), [0.1, -0.7], [0.5, 0.9]);
  const jacobian = Float32Array.from({ length: 2 * whole.value.length }, (_, i) =>
    i % 4 === 0 || i % 4 === 3 ? 1 : 0,
  );
  const untold = (scale: number): KeypointSet => {
    const value = whole.value.map((x) => scale * x);
    return { value: value.fill(Number.NaN, value.length - 4), jacobian };
  };
  const portrait = { value: whole.value.map((x) => 0.7 * x), jacobian };
  const noses = [false, true].map((adaptScale) => {
    const set = new MotionTransfer(portrait, { reference: untold(1), names, adaptScale }).next(untold(1.2));
    assert.ok([...set.value, ...set.jacobian!].every(Number.isFinite), `adaptScale ${adaptScale}`);
    return at(set, 'forehead')[1] - at(set, 'chin')[1];
  });
  near(noses[0]!, -0.7, 0.01);
  assert.ok(noses[1]! < -0.75, `its head grows where that is asked for: ${noses[1]}`);
});

test('what closes the eyes of a driver closes those of a portrait whose eyes are smaller or larger', () => {
  const closed: Places = { leftUpperLid: [0.2, -0.075], rightUpperLid: [-0.2, -0.075] };
  for (const height of [0.04, 0.09]) {
    const portrait = face({ leftUpperLid: [0.2, -0.07 - height], rightUpperLid: [-0.2, -0.07 - height] });
    const shut = driven(face(closed), {}, portrait);
    const left = gap(shut, 'leftUpperLid', 'leftLowerLid') / height;
    near(left, 0.005 / 0.06, 0.03);
  }
});

test('constant changes open mouths, close and open lids, raise brows and draw smiles, with a driver or without', () => {
  const still = (retarget: MotionControls['retarget'], portrait = face()): KeypointSet =>
    new MotionTransfer(portrait, { names, controls: { retarget } }).still;
  assert.ok(gap(still({ mouth: 1 }), 'upperLip', 'lowerLip') > 0.12);
  assert.ok(gap(still({ mouth: -1 }), 'upperLip', 'lowerLip') < 1e-6, 'no further than shut');
  assert.ok(gap(still({ lids: -1 }), 'leftUpperLid', 'leftLowerLid') < 1e-6);
  assert.ok(gap(still({ lids: 1 }), 'leftUpperLid', 'leftLowerLid') > 0.07);
  assert.ok(at(still({ brows: 1 }), 'rightBrow')[1] < -0.25);
  const smile = still({ smile: 1 });
  assert.ok(gap(smile, 'rightMouthCorner', 'leftMouthCorner') > 0.35);
  assert.ok(at(smile, 'leftMouthCorner')[1] < 0.29);
  // On a head that leans by a right angle the mouth opens sideways.
  const leaning = moved(Math.PI / 2, 0);
  const opened = still({ mouth: 1 }, leaning);
  near(at(opened, 'lowerLip')[1], at(leaning, 'lowerLip')[1]);
  assert.ok(at(opened, 'lowerLip')[0] < at(leaning, 'lowerLip')[0] - 0.05);
  const speaking = driven(face(TALKING), { retarget: { smile: 1 } });
  near(gap(speaking, 'upperLip', 'lowerLip'), 0.12, 5e-3);
  assert.ok(gap(speaking, 'rightMouthCorner', 'leftMouthCorner') > 0.35);
});

test('models without named keypoints say what cannot be moved alone', () => {
  const refused = (controls: MotionControls, part: RegExp) =>
    assert.throws(() => new MotionTransfer(face(), { controls }), part);
  refused({ parts: { mouth: 0.5 } }, /have no names, so its mouth cannot be moved alone; strength and pose work/);
  refused({ retarget: { smile: 0.2 } }, /its smile cannot be moved alone/);
  assert.ok(new MotionTransfer(face(), { controls: { strength: 2, parts: { pose: 0.5, mouth: 1 } } }));
});

const portrait = await readPicture(fileURLToPath(new URL('../../../../examples/portrait.png', import.meta.url)));

/** An engine whose own keypoints all lie in the middle, and what it was asked for. */
function middling(count: number) {
  const asked: string[] = [];
  const sources: KeypointSet[] = [];
  const found = (): KeypointSet => ({ value: new Float32Array(2 * count), jacobian: null });
  const engine: Engine = {
    description: 'middling',
    size: portrait.width,
    batchSize: 2,
    keypointNames: names,
    async setSource(_, { keypoints = found() } = {}): Promise<Analysis> {
      asked.push('source');
      sources.push(keypoints);
      return { keypoints, disparity: null };
    },
    async drive(frames) {
      asked.push('drive');
      return frames.map(() => ({ keypoints: found(), disparity: null }));
    },
    generate: async (sets) => sets.map(() => portrait),
    inspect: () => {
      throw new Error('not asked for');
    },
    twin: () => assert.fail('nobody asks'),
    dispose: () => asked.push('dispose'),
  };
  return { engine, asked, sources };
}

test('the mesh gives named keypoints of portrait and driver, and the network the others and those of frames without a face', async () => {
  await using faces = await FaceAnalyzer.load({ mesh: 'refined' });
  const mesh = (await faces.track(portrait))!;
  const count = FACE_LANDMARK_NAMES.length;
  const { value: expected } = keypointsOfMesh(mesh, portrait, names, count);
  const nose = FACE_LANDMARKS.noseTip * 3;
  near(((expected[2 * names.noseTip!]! + 1) / 2) * (portrait.width - 1) + 0.5, mesh.points[nose]!, 1e-3);

  const all = middling(count);
  const guided = new MeshGuidedEngine(all.engine, faces);
  assert.deepEqual((await guided.setSource(portrait)).keypoints.value, expected);
  assert.deepEqual(all.sources.at(-1)!.value, expected, 'the engine draws by them too');
  assert.deepEqual(all.asked, ['drive', 'source'], 'the portrait is encoded once, after its keypoints were counted');
  const [seen] = await guided.drive([portrait]);
  for (const [i, value] of seen!.keypoints.value.entries()) near(value, expected[i]!, 0.02);
  assert.equal(all.asked.length, 2, 'no network is needed');
  await guided.setSource(portrait);
  assert.deepEqual(all.asked.slice(2), ['source'], 'nor for the keypoints of another portrait');
  const [found, none] = await guided.drive([portrait, createPicture(portrait.width, portrait.height)]);
  assert.ok(Math.abs(found!.keypoints.value[2 * names.chin! + 1]!) > 0.1);
  assert.ok(none!.keypoints.value.every((value) => value === 0));
  guided.dispose();
  assert.deepEqual(all.asked.slice(-2), ['drive', 'dispose']);

  const more = middling(count + 1);
  const partly = new MeshGuidedEngine(more.engine, faces);
  const { keypoints } = await partly.setSource(portrait);
  assert.deepEqual([...keypoints.value.subarray(2 * count)], [0, 0]);
  assert.deepEqual(keypoints.value.subarray(0, 2 * count), expected);
  await partly.drive([portrait]);
  assert.ok(more.asked.includes('drive'), 'one keypoint has no name');

  const { keypointNames: _, ...unnamed } = middling(count).engine;
  assert.throws(() => new MeshGuidedEngine(unnamed, faces), /have no names/);
});
