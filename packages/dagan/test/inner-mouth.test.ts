// What mouths show that open: the driver's inside between the portrait's lips, or a drawn one, in the portrait's light; nothing else changes.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { animateBy, type Engine, InnerMouth, type Seen } from '../src/animation/index.js';
import { modelContestant } from '../src/evaluation/index.js';
import { FACE_LANDMARK_NAMES, LIP_RIM } from '../src/faces/landmarks.js';
import { betweenPolygons, depthWithin, type PlanePoint } from '../src/geometry/mean-value.js';
import { openClip, type Picture, readMetadata } from '../src/media/index.js';
import { animateClip } from '../src/pipelines/index.js';
import { temporaryFolder } from './media-fixtures.js';

type Colour = readonly [number, number, number];

const SIDE = 64;
const NAMES = Object.fromEntries(FACE_LANDMARK_NAMES.map((name, keypoint) => [name, keypoint]));

/** A mouth around the middle of a picture: how far its corners and its lips' middles are from there, in pixels. */
type MouthShape = { width: number; opening: number; at?: PlanePoint };

function keypointsOf({ width, opening, at: [x, y] = [32, 32] }: MouthShape) {
  const value = new Float32Array(2 * FACE_LANDMARK_NAMES.length);
  for (const [i, name] of LIP_RIM.entries()) {
    const angle = Math.PI + (2 * Math.PI * i) / LIP_RIM.length; // from the picture's left over the upper lip
    const place = [x + width * Math.cos(angle), y + opening * Math.sin(angle)];
    for (const axis of [0, 1]) value[2 * NAMES[name]! + axis] = (2 * place[axis]!) / (SIDE - 1) - 1;
  }
  return { value, jacobian: null, depth: new Float32Array(FACE_LANDMARK_NAMES.length) };
}

/** A picture of skin, in which the mouth's inside has a colour that depends on how high it is. */
function seen(skin: Colour, inside: (height: number) => Colour, shape: MouthShape): Seen {
  const data = new Uint8Array(3 * SIDE * SIDE);
  const [x0, y0] = shape.at ?? [32, 32];
  for (let i = 0; i < SIDE * SIDE; i++) {
    const [dx, dy] = [((i % SIDE) - x0) / shape.width, (Math.floor(i / SIDE) - y0) / shape.opening];
    data.set(dx * dx + dy * dy < 1 ? inside(dy) : skin, 3 * i);
  }
  return { picture: { width: SIDE, height: SIDE, data }, keypoints: keypointsOf(shape) };
}

const at = ({ data }: Picture, x: number, y: number): number[] => [
  ...data.subarray(3 * (y * SIDE + x), 3 * (y * SIDE + x) + 3),
];

const SKIN: Colour = [200, 150, 120];
const GREY: Colour = [96, 96, 96];
const teeth = (height: number): Colour => (height < -0.1 ? [230, 225, 215] : [60, 10, 10]);
const OPENED: MouthShape = { width: 14, opening: 7 };
const SHUT = keypointsOf({ width: 14, opening: 0.3 });
/** A frame as `mouth` shows it. */
const inside = (mouth: InnerMouth, frame: Seen, portrait: Seen['keypoints'], driver?: Seen, hasFace = true): Picture =>
  mouth.in(frame, { portrait, movesMouth: true }, driver && { ...driver, hasFace });
const painted = (skin = SKIN): Seen => seen(skin, () => GREY, OPENED);
const near = (found: readonly number[], wanted: readonly number[], within: number): void =>
  assert.ok(
    found.every((value, i) => Math.abs(value - wanted[i]!) <= within),
    `${found} is not ${wanted}`,
  );

test('between polygons corners go to corners, and where one is an affine picture of the other everything goes with it', () => {
  const polygon: PlanePoint[] = [
    [0, 0],
    [4, -1],
    [9, 1],
    [7, 6],
    [3, 5],
  ];
  const affine = ([x, y]: PlanePoint): PlanePoint => [3 + 2 * x - 0.5 * y, 1 + 0.25 * x + 1.5 * y];
  const inner: PlanePoint[] = [
    [4, 2],
    [1, 0.5],
    [6.9, 5.5],
    [8, 2],
  ];
  for (const point of inner) {
    const [x, y] = betweenPolygons(polygon, polygon.map(affine), point);
    const [wantedX, wantedY] = affine(point);
    assert.ok(Math.hypot(x - wantedX, y - wantedY) < 1e-9, `${point}`);
  }
  const bent: PlanePoint[] = [
    [0, 0],
    [4, 2],
    [9, 1],
    [8, 9],
    [3, 5],
  ];
  for (const [i, [x, y]] of polygon.entries()) {
    const [foundX, foundY] = betweenPolygons(polygon, bent, [x + 0.001 * (4 - x), y + 0.001 * (2 - y)]);
    assert.ok(Math.hypot(foundX - bent[i]![0], foundY - bent[i]![1]) < 0.05, `corner ${i}`);
  }
});

test('a point is as deep in a polygon as its nearest edge is far, and outside not at all', () => {
  const square: PlanePoint[] = [
    [1, 1],
    [5, 1],
    [5, 5],
    [1, 5],
  ];
  assert.equal(depthWithin(square, [3, 3]), 2);
  assert.equal(depthWithin(square, [1.5, 3]), 0.5);
  for (const outside of [
    [0, 3],
    [3, 6],
    [6, 5.5],
  ] as const)
    assert.equal(depthWithin(square, outside), 0);
});

test('a mouth that was shut shows the inside of the driver’s, wherever his is, and nothing else of him', () => {
  const drivers = seen(SKIN, teeth, { width: 10, opening: 6, at: [22, 40] });
  const frame = painted();
  const shown = inside(InnerMouth.of(NAMES)!, frame, SHUT, drivers);
  near(at(shown, 32, 28), teeth(-1), 6);
  near(at(shown, 32, 35), teeth(1), 6);
  near(at(shown, 27, 28), teeth(-1), 6);
  let changed = 0;
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      const isInside = ((x - 32) / 14) ** 2 + ((y - 32) / 7) ** 2 < 1;
      const [now, before] = [at(shown, x, y), at(frame.picture, x, y)];
      if (isInside) changed += Number(now.some((value, i) => value !== before[i]));
      else assert.deepEqual(now, before, `${x}, ${y}`);
    }
  }
  assert.ok(changed > 200, `${changed}`);
});

test('the inside is as bright as the portrait’s light lets it be, and grey in a grey portrait', () => {
  const drivers = seen(SKIN, teeth, OPENED);
  const mouth = InnerMouth.of(NAMES)!;
  const brightness = (skin: Colour): number => at(inside(mouth, painted(skin), SHUT, drivers), 32, 28)[1]!;
  const [dark, same, bright] = [brightness([100, 75, 60]), brightness(SKIN), brightness([250, 190, 150])];
  assert.ok(dark < same - 20 && same < bright, `${dark}, ${same}, ${bright}`);
  const [red, green, blue] = at(inside(mouth, painted([150, 150, 150]), SHUT, drivers), 32, 35);
  assert.ok(Math.max(red!, green!, blue!) - Math.min(red!, green!, blue!) <= 2, `${red}, ${green}, ${blue}`);
});

test('a mouth that the portrait shows itself, and one that stays shut, are left as they are', () => {
  const drivers = seen(SKIN, teeth, OPENED);
  const mouth = InnerMouth.of(NAMES)!;
  const frame = painted();
  assert.equal(inside(mouth, frame, keypointsOf({ width: 14, opening: 6 }), drivers), frame.picture);
  const shut = { ...frame, keypoints: SHUT };
  assert.equal(inside(mouth, shut, SHUT, drivers), shut.picture);
  assert.equal(inside(mouth, frame, { value: SHUT.value }, drivers), frame.picture, 'not found by the face mesh');
  assert.equal(InnerMouth.of({ upperLip: 0, lowerLip: 1 }), undefined);
  assert.equal(InnerMouth.of(NAMES, 'painted'), undefined);
});

test('where what drives has no picture, or its mouth shut, a mouth is drawn: teeth below the upper lip, dark behind them', () => {
  const frame = painted();
  const drawn = inside(InnerMouth.of(NAMES)!, frame, SHUT);
  const bright = (shown: Picture, y: number): number => Math.min(...at(shown, 32, y));
  assert.ok(bright(drawn, 27) > 150 && bright(drawn, 33) < 60, `${at(drawn, 32, 27)}, ${at(drawn, 32, 33)}`);
  const [teethOfAll, left, right] = [27, 24, 40].map((x) => at(drawn, x === 27 ? 32 : x, 28)[0]!);
  assert.ok(
    Math.abs(left! - right!) < 40 && teethOfAll! >= Math.max(left!, right!) - 20,
    `${left}, ${teethOfAll}, ${right}`,
  );
  near(at(drawn, 32, 20), SKIN, 0);
  const drivers = seen(SKIN, teeth, OPENED);
  const shut = seen(SKIN, teeth, { width: 14, opening: 0.3 });
  assert.deepEqual(inside(InnerMouth.of(NAMES)!, frame, SHUT, shut).data, drawn.data);
  const unsure = { ...drivers, keypoints: { value: drivers.keypoints.value } };
  assert.deepEqual(inside(InnerMouth.of(NAMES)!, frame, SHUT, unsure).data, drawn.data);
  assert.deepEqual(inside(InnerMouth.of(NAMES, 'drawn')!, frame, SHUT, drivers).data, drawn.data);
  const dark = inside(InnerMouth.of(NAMES)!, painted([70, 50, 40]), SHUT);
  assert.ok(bright(dark, 27) < bright(drawn, 27) - 20);
});

test('while a driver is not seen the mouth stays as it was last', () => {
  const mouth = InnerMouth.of(NAMES)!;
  const before = inside(mouth, painted(), SHUT, seen(SKIN, teeth, OPENED));
  const unseen = seen(SKIN, () => GREY, OPENED);
  assert.deepEqual(inside(mouth, painted(), SHUT, unseen, false).data, before.data);
  const drawn = inside(InnerMouth.of(NAMES)!, painted(), SHUT);
  assert.deepEqual(inside(mouth, painted(), SHUT).data, drawn.data, 'what drives now has no pictures');
});

test('animateBy takes the inside from what drives where it has a picture and draws one where it has none, unless it is to be painted', async () => {
  const [frame, drivers] = [painted(), seen(SKIN, teeth, OPENED)];
  const engine = { keypointNames: NAMES, generate: async () => [frame.picture] } as unknown as Engine;
  const shown = async (picture: Picture | undefined, innerMouth?: 'painted', mouth = 1): Promise<Picture> => {
    async function* driven() {
      yield [{ input: {}, driving: { keypoints: keypointsOf(OPENED), disparity: null }, hasFace: true, picture }];
    }
    const source = { keypoints: SHUT, disparity: null };
    const frames = animateBy(engine, source, driven(), {
      motion: 'absolute',
      names: NAMES,
      innerMouth,
      controls: { parts: { mouth } },
    });
    return (await frames.next()).value.picture;
  };
  near(at(await shown(drivers.picture), 32, 35), teeth(1), 6);
  near(at(await shown(undefined), 32, 35), at(inside(InnerMouth.of(NAMES)!, frame, SHUT), 32, 35), 0);
  assert.equal(await shown(drivers.picture, 'painted'), frame.picture);
  near(at(await shown(drivers.picture, undefined, 0), 32, 35), at(await shown(undefined), 32, 35), 0);
});

test('what is measured are the networks’ own frames, unless those with the driver’s mouth are asked for', async () => {
  const [frame, drivers] = [painted(), seen(SKIN, teeth, OPENED)];
  const engine = {
    ...{ keypointNames: NAMES, description: 'a test', batchSize: 1 },
    setSource: async () => ({ keypoints: SHUT, disparity: null }),
    drive: async () => [{ keypoints: keypointsOf(OPENED), disparity: null }],
    generate: async () => [frame.picture],
  } as unknown as Engine;
  const measured = async (innerMouth?: 'auto'): Promise<Picture> => {
    const contestant = modelContestant(engine, { name: 'a', identity: 'b', innerMouth });
    await contestant.begin(frame.picture, { motion: 'absolute', adaptScale: false }, null);
    return (await contestant.render([drivers.picture]))[0]!;
  };
  assert.equal(await measured(), frame.picture);
  near(at(await measured('auto'), 32, 28), teeth(-1), 6);
});

test('an animation shows mouths and says that it is synthetic in part; painted, in whole', async () => {
  const folder = await temporaryFolder();
  const file = (name: string): string => fileURLToPath(new URL(`../../../../${name}`, import.meta.url));
  const make = async (name: string, driving: string, innerMouth?: 'painted'): Promise<Picture[]> => {
    const output = join(folder, name);
    const portrait = file('examples/mona-lisa.jpg');
    await animateClip({
      ...{ portrait, driving, output, innerMouth, end: 24 },
      ...{ checkpoint: file('weights/starter'), threads: 1 },
    });
    await using clip = await openClip(output);
    const pictures: Picture[] = [];
    for await (const { picture } of clip.frames()) pictures.push(picture);
    return pictures;
  };
  const source = async (name: string): Promise<string | undefined> =>
    (await readMetadata(join(folder, name))).origin?.digitalSourceType;
  const shown = await make('shown.mp4', file('examples/driving.mp4'));
  const guessed = await make('guessed.mp4', file('examples/driving.mp4'), 'painted');
  await make('template.mp4', 'speak');
  assert.match((await source('shown.mp4'))!, /\/compositeWithTrainedAlgorithmicMedia$/);
  assert.match((await source('guessed.mp4'))!, /\/trainedAlgorithmicMedia$/);
  assert.match((await source('template.mp4'))!, /\/compositeWithTrainedAlgorithmicMedia$/);
  const most = shown.map(({ data }, i) =>
    data.reduce((sum, value, at) => Math.max(sum, Math.abs(value - guessed[i]!.data[at]!)), 0),
  );
  assert.ok(Math.max(...most) > 40, `${most}`);
});
