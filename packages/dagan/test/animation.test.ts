// Squares, paste-back, smoothing and the search for the reference frame, without any network. Runs in browsers too.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Analysis,
  animate,
  centeredSquare,
  cutSquare,
  dividedAmong,
  type Engine,
  FRAMED,
  faceLook,
  frameFace,
  KeypointSmoother,
  keypointLook,
  matchColors,
  nearestLook,
  outsideOf,
  PasteBack,
  padCut,
  planCut,
  recolor,
} from '../src/animation/index.js';
import { type Box, EXPRESSION_SIGNALS, type ExpressionSignals, squareOfFace } from '../src/faces/portable.js';
import { createPicture, cropPicture, type Picture, resizePicture, transformPicture } from '../src/media/portable.js';
import type { KeypointSet } from '../src/tensors/keypoint-set.js';
import { scene } from './scene.js';

/** A face's box with its middle at (x, y). */
const faceAt = (x: number, y: number, height: number, width = 0.8 * height): Box => ({
  left: x - width / 2,
  top: y - height / 2,
  width,
  height,
});

/** Numbers in [0, 1) that are the same in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function noisePicture(width: number, height: number, seed: number): Picture {
  const next = random(seed);
  return { width, height, data: Uint8Array.from({ length: width * height * 3 }, () => 256 * next()) };
}

const flat = (width: number, height: number, value: number): Picture => ({
  width,
  height,
  data: new Uint8Array(width * height * 3).fill(value),
});

const pixel = ({ width, data }: Picture, x: number, y: number): number[] => [
  ...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3),
];

const furthest = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);

test('a face with room around it gets the training framing, in whole pixels', () => {
  const { square, kind } = frameFace([faceAt(700, 500, 200)], 1600, 1200);
  const ideal = squareOfFace(faceAt(700, 500, 200));
  assert.equal(kind, 'face');
  for (const key of ['left', 'top', 'side'] as const) {
    assert.ok(Number.isInteger(square[key]));
    assert.ok(Math.abs(square[key] - ideal[key]) <= 1, key);
  }
});

test('a square picture that is framed as training clips are is used whole, and only such a one', () => {
  const kindOf = (x: number, y: number, height: number, size: readonly [number, number]): string =>
    frameFace([faceAt(x, y, height)], ...size).kind;
  for (const height of [0.45, 0.55, 0.65, 0.75]) {
    for (const [x, y] of [
      [0.5, 0.55],
      [0.42, 0.5],
      [0.56, 0.6],
    ] as const) {
      assert.equal(kindOf(256 * x, 256 * y, 256 * height, [256, 256]), 'whole', `${height} at ${x}, ${y}`);
    }
  }
  const whole = frameFace([faceAt(480, 500, 500)], 960, 1000);
  assert.deepEqual(whole, { square: { left: 0, top: 20, side: 960 }, kind: 'whole' });
  assert.equal(kindOf(128, 128, 70, [256, 256]), 'face', 'the face is small');
  assert.equal(kindOf(128, 128, 240, [256, 256]), 'face', 'the face is large');
  assert.equal(kindOf(200, 140, 140, [256, 256]), 'face', 'the face is at the side');
  assert.equal(kindOf(300, 140, 140, [600, 256]), 'face', 'the picture is wide');
});

test('squares are moved into the picture, made smaller, and reach outside only as far as they must', () => {
  const next = random(7);
  let reached = 0;
  for (let i = 0; i < 2000; i++) {
    const [width, height] = [200 + Math.floor(1000 * next()), 200 + Math.floor(1000 * next())];
    const size = 30 + next() * 0.9 * Math.min(width, height);
    const face = faceAt(width * (0.1 + 0.8 * next()), height * (0.1 + 0.8 * next()), size);
    const { square, kind } = frameFace([face], width, height);
    assert.ok([square.left, square.top, square.side].every(Number.isInteger));
    if (kind === 'whole') continue;
    const share = face.height / square.side;
    const middle = (face.top + face.height / 2 - square.top) / square.side;
    assert.ok(share > 0.54 && share < 0.77, `the face fills ${share}`);
    assert.ok(middle > 0.554 - 0.35 && middle < 0.554 + 0.35, `its middle is at ${middle}`);
    const ideal = squareOfFace(face);
    const fits =
      ideal.left >= 0 && ideal.top >= 0 && ideal.left + ideal.side <= width && ideal.top + ideal.side <= height;
    if (fits) assert.ok(Math.abs(square.side - ideal.side) <= 1 && Math.abs(square.left - ideal.left) <= 1);
    const outside = outsideOf(square, width, height);
    if (outside > 0) reached++;
    // A face that lies well inside a picture with room for it never makes anything up.
    const shift = Math.max(-ideal.left, -ideal.top, ideal.left + ideal.side - width, ideal.top + ideal.side - height);
    if (ideal.side <= Math.min(width, height) && shift < 0.14 * ideal.side) assert.equal(outside, 0);
  }
  assert.ok(reached > 50 && reached < 1500, `${reached} squares reach outside`);
});

test('one square serves all frames of a clip and holds the face wherever it goes', () => {
  const boxes = Array.from({ length: 20 }, (_, i) => faceAt(600 + 12 * i, 500 + 30 * Math.sin(i), 200 + 2 * i));
  const { square } = frameFace(boxes, 1920, 1080);
  for (const { left, top, width, height } of boxes) {
    assert.ok(left >= square.left && left + width <= square.left + square.side);
    assert.ok(top >= square.top && top + height <= square.top + square.side);
  }
  assert.throws(() => frameFace([], 100, 100), /no face to frame/);
  // One frame in which something else was taken for the face does not make a framed clip another one.
  const framed = [...Array.from({ length: 10 }, () => faceAt(128, 140, 140)), faceAt(220, 30, 40)];
  assert.equal(frameFace(framed, 256, 256).kind, 'whole');
  assert.ok(FRAMED.height[0] < 0.555 && FRAMED.height[1] > 0.555);
});

test('cutting out is cropping and resizing, and repeats the edges outside', () => {
  const picture = noisePicture(90, 70, 3);
  assert.deepEqual(centeredSquare(90, 70), { left: 10, top: 0, side: 70 });
  for (const size of [70, 32, 100]) {
    // The same bytes as covering a square, which is what is done without looking for faces.
    assert.deepEqual(
      cutSquare(picture, centeredSquare(90, 70), size),
      transformPicture(picture, { size: [size, size], fit: 'cover' }),
    );
  }
  const inside = { left: 20, top: 10, side: 40 };
  assert.deepEqual(cutSquare(picture, inside, 40), cropPicture(picture, { left: 20, top: 10, width: 40, height: 40 }));
  const corner = cutSquare(picture, { left: -10, top: 40, side: 50 }, 50);
  for (const [x, y] of [
    [0, 0],
    [9, 5],
    [10, 29],
    [30, 49],
    [49, 49],
  ] as const) {
    const [fromX, fromY] = [Math.max(0, x - 10), Math.min(69, y + 40)];
    assert.deepEqual(pixel(corner, x, y), pixel(picture, fromX, fromY), `${x}, ${y}`);
  }
  assert.ok(Math.abs(outsideOf({ left: -10, top: 40, side: 50 }, 90, 70) - (1 - (40 * 30) / 2500)) < 1e-12);
  // Decoding can do the cropping and resizing.
  const cut = planCut({ left: -10, top: -6, side: 100 }, 90, 70, 64);
  const padded = padCut(transformPicture(picture, cut.transform), cut);
  assert.deepEqual(padded, cutSquare(picture, { left: -10, top: -6, side: 100 }, 64));
  assert.deepEqual([padded.width, padded.height], [64, 64]);
  assert.throws(() => planCut({ left: 90, top: 0, side: 20 }, 90, 70, 64), /no square of 20 at \(90, 0\) can be cut/);
  assert.throws(() => planCut({ left: 0.5, top: 0, side: 20 }, 90, 70, 64), RangeError);
});

test('an animated square that shows what was there leaves the portrait as it is, within 1 of 255', () => {
  const portrait = noisePicture(200, 150, 5);
  for (const square of [
    { left: 30, top: 20, side: 100 },
    { left: 0, top: 0, side: 100 },
    { left: -30, top: 70, side: 120 },
    { left: 0, top: -25, side: 200 },
  ]) {
    const same = cutSquare(portrait, square, square.side);
    for (const still of [undefined, same]) {
      const result = new PasteBack(portrait, square, { still }).paste(same);
      assert.deepEqual([result.width, result.height], [200, 150]);
      assert.ok(furthest(result.data, portrait.data) <= 1);
    }
  }
  const soft = scene(300, 300, 4);
  const square = { left: 40, top: 60, side: 200 };
  const half = cutSquare(soft, square, 100);
  assert.ok(furthest(new PasteBack(soft, square, { still: half }).paste(half).data, soft.data) <= 3);
});

test('pixels outside the square stay untouched, and inside the result passes softly into it', () => {
  const portrait = flat(220, 180, 10);
  const square = { left: 40, top: 0, side: 120 };
  const paste = new PasteBack(portrait, square);
  const result = paste.paste(flat(64, 64, 250));
  for (let y = 0; y < 180; y++) {
    for (let x = 0; x < 220; x++) {
      const inside = x >= 40 && x < 160 && y < 120;
      if (!inside) assert.deepEqual(pixel(result, x, y), [10, 10, 10], `${x}, ${y}`);
    }
  }
  assert.deepEqual(pixel(result, 100, 60), [250, 250, 250]);
  assert.deepEqual(pixel(result, 100, 0), [250, 250, 250], "the portrait's own edge is not faded");
  const line = Array.from({ length: 61 }, (_, i) => pixel(result, 40 + i, 60)[0]!);
  assert.ok(line[0]! <= 12, 'the edge begins with the portrait');
  for (const [i, value] of line.slice(1).entries()) {
    assert.ok(value >= line[i]! && value - line[i]! <= 24, `a step of ${value - line[i]!} at ${i}`);
  }
  const other = noisePicture(64, 64, 9);
  const [first, second] = [paste.paste(other), paste.paste(other)];
  assert.deepEqual(first, second, 'a frame does not depend on those before');
  assert.ok(
    portrait.data.every((value) => value === 10),
    'the portrait itself is not written to',
  );
  assert.throws(() => new PasteBack(portrait, { left: 300, top: 0, side: 50 }), /lie in the portrait/);
  assert.throws(() => new PasteBack(portrait, square, { feather: 0 }), /the soft edge must be in/);
});

test('a picture is divided among faces by nearness in their own sizes: softly, and nothing is given away twice', () => {
  const boxes = [faceAt(60, 80, 60), faceAt(150, 70, 100), faceAt(110, 170, 50)];
  const share = dividedAmong(boxes);
  for (let y = 0; y < 220; y++) {
    for (let x = 0; x < 220; x++) {
      const shares = boxes.map((_, i) => share(x, y, i));
      const sum = shares.reduce((total, each) => total + each, 0);
      assert.ok(shares.every((each) => each >= 0) && sum <= 1 + 1e-9, `${x}, ${y}: ${shares}`);
      for (const [i, { left, top, width, height }] of boxes.entries()) {
        const inside = Math.hypot((x + 0.5 - left) / width - 0.5, (y + 0.5 - top) / height - 0.5) < 0.5;
        if (inside) assert.ok(shares[i]! > 1 - 1e-9, `${x}, ${y} is of face ${i} alone, not ${shares}`);
      }
      // No step is larger than an eye takes for soft.
      for (const [i, each] of shares.entries()) assert.ok(Math.abs(each - share(x + 1, y, i)) < 0.25, `${x}, ${y}`);
    }
  }
  assert.equal(dividedAmong(boxes.slice(0, 1))(219, 0, 0), 1, 'one face has all');
});

test("colours that the model shifts are put back to the portrait's, within limits", () => {
  const portrait = scene(256, 256, 6);
  const square = { left: 48, top: 48, side: 160 };
  const seen = cutSquare(portrait, square, 160);
  const shifted = recolor(seen, [
    { gain: 0.85, offset: 25 },
    { gain: 1.1, offset: -12 },
    { gain: 1, offset: 15 },
  ]);
  const difference = (a: Picture): number => furthest(a.data, portrait.data);
  assert.ok(difference(new PasteBack(portrait, square).paste(shifted)) > 12);
  assert.ok(difference(new PasteBack(portrait, square, { still: shifted }).paste(shifted)) <= 3);
  // What moves in later frames does not change the correction.
  const match = matchColors(seen, shifted);
  assert.ok(Math.abs(match[0]!.gain - 1 / 0.85) < 0.02 && Math.abs(match[2]!.offset + 15) < 2);
  for (const [wanted, given] of [
    [255, 0],
    [0, 255],
  ] as const) {
    const limited = matchColors(flat(8, 8, wanted), flat(8, 8, given));
    assert.deepEqual(
      limited.map(({ gain, offset }) => [gain, Math.abs(offset)]),
      [0, 1, 2].map(() => [1, 24]),
    );
  }
  const strong = matchColors(noisePicture(32, 32, 1), resizePicture(noisePicture(320, 320, 1), 32, 32));
  assert.ok(strong.every(({ gain }) => gain === 1.25));
  assert.throws(() => matchColors(flat(8, 8, 1), flat(9, 9, 1)), /of one size/);
});

const FRAME = 1 / 25;

/** Two keypoints, of which the first is at (x, y) and has a jacobian with j. */
const keypointsAt = (x: number, j = 1, y = 0): KeypointSet => ({
  value: Float32Array.of(x, y, 0.5, 0.25),
  jacobian: Float32Array.of(j, 0, 0, 1, 1, 0, 0, 1),
});

/** What the smoothing makes of a movement x(t), frame by frame at 25 a second. */
function smoothed(strength: number, positions: readonly number[]): number[] {
  const smoother = new KeypointSmoother({ strength });
  return positions.map((x) => smoother.next(keypointsAt(x), FRAME).value[0]!);
}

test('smoothing leaves alone what keeps still, and calms what trembles, the more the stronger', () => {
  const still = new KeypointSmoother({ strength: 1 });
  for (let i = 0; i < 50; i++) {
    const { value, jacobian } = still.next(keypointsAt(0.3, 1.2), FRAME);
    assert.deepEqual(value, keypointsAt(0.3).value);
    assert.deepEqual(jacobian, keypointsAt(0.3, 1.2).jacobian);
  }
  const next = random(11);
  const tremble = Array.from({ length: 1500 }, () => 0.006 * (next() + next() + next() - 1.5));
  const roughness = (positions: readonly number[]): number =>
    Math.sqrt(positions.slice(1).reduce((sum, x, i) => sum + (x - positions[i]!) ** 2, 0));
  const left = [0, 0.5, 1].map((strength) => roughness(smoothed(strength, tremble)) / roughness(tremble));
  assert.ok(left[0]! < 0.75 && left[1]! < 0.45 && left[2]! < 0.28, `${left}`);
  assert.ok(left[0]! > left[1]! && left[1]! > left[2]!);
  const turning = new KeypointSmoother({ strength: 0.5 });
  const jacobians = tremble.map((noise) => turning.next(keypointsAt(0, 1 + 4 * noise), FRAME).jacobian![0]!);
  assert.ok(roughness(jacobians) < 0.5 * roughness(tremble.map((noise) => 4 * noise)));
});

test('smoothing lags behind by less than a frame once something moves, and arrives', () => {
  const speed = (unitsPerSecond: number): number[] => Array.from({ length: 60 }, (_, i) => unitsPerSecond * i * FRAME);
  const lag = (strength: number, unitsPerSecond: number): number =>
    (speed(unitsPerSecond)[59]! - smoothed(strength, speed(unitsPerSecond))[59]!) / (unitsPerSecond * FRAME);
  // The figures of the manual, in frames.
  const table: [strength: number, slow: number, usual: number, fast: number][] = [
    [0.25, 0.6, 0.4, 0.2],
    [0.5, 0.9, 0.6, 0.2],
    [1, 1.6, 0.8, 0.2],
  ];
  for (const [strength, ...lags] of table) {
    for (const [i, unitsPerSecond] of [0.05, 0.2, 1].entries()) {
      const measured = lag(strength, unitsPerSecond);
      assert.ok(Math.abs(measured - lags[i]!) < 0.1, `strength ${strength}, speed ${unitsPerSecond}: ${measured}`);
    }
  }
  const step = smoothed(0.5, [0, ...new Array<number>(60).fill(0.2)]);
  assert.equal(step[0], 0);
  assert.ok(step[1]! > 0.1 && step[2]! > 0.18, 'half of a jump at once, nine tenths after two frames');
  assert.ok(Math.max(...step) < 0.2001, 'nothing overshoots');
  assert.ok(Math.abs(step[60]! - 0.2) < 1e-3);
});

test('smoothing goes by time, begins anew, keeps directions and refuses nonsense', () => {
  const times = (seconds: number): number => {
    const smoother = new KeypointSmoother();
    smoother.next(keypointsAt(0), seconds);
    return smoother.next(keypointsAt(0.01), seconds).value[0]!;
  };
  assert.ok(times(1 / 10) > times(1 / 25) && times(1 / 25) > times(1 / 60), 'longer frames wait for less');
  const smoother = new KeypointSmoother();
  smoother.next(keypointsAt(0), FRAME);
  const { value } = smoother.next(keypointsAt(0.1, 1, -0.1), FRAME);
  assert.equal(value[1], -value[0]!, 'a movement along a diagonal stays on it');
  assert.deepEqual(value.slice(2), keypointsAt(0).value.slice(2), 'other points are not moved');
  smoother.reset();
  assert.deepEqual(smoother.next(keypointsAt(0.7), FRAME), keypointsAt(0.7));
  const offsets = new KeypointSmoother();
  assert.equal(offsets.next({ value: Float32Array.of(1, 2), jacobian: null }, FRAME).jacobian, null);
  for (const strength of [-0.1, 1.1, Number.NaN]) assert.throws(() => new KeypointSmoother({ strength }), RangeError);
});

test('animation smooths the driving keypoints where it is asked to', async () => {
  const engine: Engine = {
    description: 'first pixel is the place',
    size: 1,
    batchSize: 3,
    setSource: async () => ({ keypoints: keypointsAt(0), disparity: null }),
    drive: async (frames) =>
      frames.map(({ data }): Analysis => ({ keypoints: keypointsAt(data[0]! / 100), disparity: null })),
    generate: async (sets) => sets.map(() => createPicture(1, 1)),
    inspect: () => assert.fail('nobody asks'),
    twin: () => assert.fail('nobody asks'),
    dispose: () => {},
  };
  const places = [0, 20, 20, 20, 20, 20, 20];
  const run = async (smoothing: boolean | { strength: number }, interval?: number): Promise<number[]> => {
    const frames = async function* () {
      for (const [i, place] of places.entries()) {
        yield { picture: flat(1, 1, place), ...(interval && { timestamp: i * interval }) };
      }
    };
    const found: number[] = [];
    for await (const { keypoints, driving } of animate(engine, await engine.setSource(flat(1, 1, 0)), frames(), {
      smoothing,
    })) {
      assert.ok([0, 0.2].some((x) => Math.abs(x - driving.keypoints.value[0]!) < 1e-6));
      found.push(keypoints.value[0]!);
    }
    return found;
  };
  const expected = smoothed(
    0.5,
    places.map((place) => place / 100),
  );
  assert.ok(furthest(await run(true), expected) < 1e-6);
  assert.ok(furthest(await run({ strength: 0.5 }, FRAME), expected) < 1e-6);
  assert.ok((await run(true, 1 / 5))[1]! > expected[1]!, 'time stamps count');
  assert.ok(
    furthest(
      await run(false),
      places.map((place) => place / 100),
    ) < 1e-6,
  );
});

const rest = Object.fromEntries(EXPRESSION_SIGNALS.map((signal) => [signal, 0.2])) as ExpressionSignals;
const ahead = { yaw: 0, pitch: 0, roll: 0 };

test('the nearest look is that of the same pose and expression; wide and normal eyes are alike, winks are not', () => {
  const portrait = faceLook(ahead, { ...rest, eyeOpenRight: 0.3, eyeOpenLeft: 0.3, lipsParted: 0.12 });
  const looks = [
    faceLook({ ...ahead, yaw: 15 }, { ...rest, eyeOpenRight: 0.3, eyeOpenLeft: 0.3, lipsParted: 0.12 }),
    faceLook(ahead, { ...rest, eyeOpenRight: 0.3, eyeOpenLeft: 0.05, lipsParted: 0.12 }),
    faceLook(ahead, { ...rest, eyeOpenRight: 0.38, eyeOpenLeft: 0.38, lipsParted: 0.12 }),
    faceLook(ahead, { ...rest, eyeOpenRight: 0.3, eyeOpenLeft: 0.3, lipsParted: 0 }),
  ];
  assert.equal(nearestLook(portrait, looks), 2);
  assert.equal(nearestLook(portrait, [...looks, portrait]), 2, 'of equals the first');
  assert.throws(() => nearestLook(portrait, []), /no frames to choose from/);
  assert.throws(() => nearestLook(portrait, [[1, 2]]), /different kinds/);
});

test('keypoints look the same wherever they are and however large', () => {
  const next = random(5);
  const value = Float32Array.from({ length: 30 }, () => next() - 0.5);
  const look = keypointLook(value);
  assert.ok(furthest(keypointLook(value.map((x) => 0.4 * x + 0.3)), look) < 1e-4);
  assert.ok(furthest(keypointLook(value.map((x, i) => (i === 4 ? x + 0.1 : x))), look) > 0.05);
  assert.deepEqual(keypointLook(Float32Array.of(1, 1, 1, 1)), [0, 0, 0, 0]);
});
