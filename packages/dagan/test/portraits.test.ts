// Portraits that move: known motion, pairs, and the store of prepared portraits.
import assert from 'node:assert/strict';
import { copyFile, mkdir, readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  drawPair,
  ExpressionTracks,
  loadFaceSurface,
  MadeUpExpressions,
  type MeshTrack,
  MovingPortrait,
  type PortraitMotion,
  preparePortraits,
  readPortrait,
} from '../src/data/portraits/index.js';
import { Random } from '../src/data/random.js';
import { FaceAnalyzer } from '../src/faces/index.js';
import { createPicture, type Picture, readPicture, resizePicture, writePicture } from '../src/media/index.js';
import { temporaryFolder } from './media-fixtures.js';

const folder = await temporaryFolder();
const portraitPath = fileURLToPath(new URL('../../../../examples/portrait.png', import.meta.url));
const picture = resizePicture(await readPicture(portraitPath), 256, 256);
const analyzer = await FaceAnalyzer.load({ mesh: 'refined' });
after(() => analyzer.close());
const mesh = (await analyzer.track(picture))!;
const surface = await loadFaceSurface();
const expressions = new MadeUpExpressions(surface);
const portrait = new MovingPortrait(picture, mesh.points, surface);

function meanDifference(a: Picture, b: Picture): number {
  return a.data.reduce((sum, value, at) => sum + Math.abs(value - b.data[at]!), 0) / a.data.length;
}

/** Mean distance between where points are said to be and where the analyzer finds them, in heights of the face. */
async function missed(motion: PortraitMotion, indices = Array.from({ length: 468 }, (_, i) => i)): Promise<number> {
  const frame = portrait.render(motion);
  const seen = await analyzer.track(frame.picture);
  assert.ok(seen, 'the face is not found any more');
  const distance = (index: number): number =>
    Math.hypot(
      seen.points[index * 3]! - frame.points[index * 2]!,
      seen.points[index * 3 + 1]! - frame.points[index * 2 + 1]!,
    );
  return indices.reduce((sum, index) => sum + distance(index), 0) / indices.length / seen.box.height;
}

test('a portrait that is not moved is shown as it is', () => {
  const { picture: shown, points } = portrait.render({});
  assert.ok(meanDifference(shown, picture) < 0.1);
  for (let i = 0; i < 478; i++) assert.ok(Math.abs(points[i * 2]! - mesh.points[i * 3]!) < 1e-3);
});

test('the points are where the face mesh of the moved portrait is found', async () => {
  const motions: PortraitMotion[] = [
    {},
    { pose: { yaw: 12 } },
    { pose: { yaw: -12 } },
    { pose: { pitch: 8 } },
    { pose: { pitch: -8 } },
    { pose: { roll: 12, right: 0.08, down: -0.04, larger: 1.1 } },
    { expression: expressions.of({ jaw: 0.07 }) },
    { pose: { yaw: 8, roll: -8 }, expression: expressions.of({ smile: 0.06, jaw: 0.04, brows: 0.05 }) },
  ];
  for (const motion of motions) {
    const distance = await missed(motion);
    assert.ok(distance < 0.025, `${JSON.stringify(motion.pose)}: ${distance}`);
  }
});

test('a head turns, nods and leans as it is told to', async () => {
  const was = analyzer.pose(mesh);
  for (const [way, degrees] of [
    ['yaw', 14],
    ['yaw', -14],
    ['pitch', 9],
    ['roll', -10],
  ] as const) {
    const seen = (await analyzer.track(portrait.render({ pose: { [way]: degrees } }).picture))!;
    const change = analyzer.pose(seen)[way] - was[way];
    assert.ok(change / degrees > 0.5 && change / degrees < 1.4, `${way} ${degrees}: ${change}`);
  }
});

test('mouth, lids and brows do what they are told to', async () => {
  const signals = async (motion: PortraitMotion) =>
    analyzer.expression((await analyzer.track(portrait.render(motion).picture))!);
  const was = await signals({});
  const speaking = await signals({ expression: expressions.of({ jaw: 0.08 }) });
  assert.ok(speaking.lipsParted > was.lipsParted + 0.04, `${was.lipsParted} to ${speaking.lipsParted}`);
  const blinking = await signals({ expression: expressions.of({ blink: 1 }) });
  assert.ok(blinking.eyeOpenLeft < 0.6 * was.eyeOpenLeft, `${was.eyeOpenLeft} to ${blinking.eyeOpenLeft}`);
  assert.ok(blinking.eyeOpenRight < 0.6 * was.eyeOpenRight, `${was.eyeOpenRight} to ${blinking.eyeOpenRight}`);
  assert.ok(Math.abs(blinking.lipsParted - was.lipsParted) < 0.02);
  const surprised = await signals({ expression: expressions.of({ brows: 0.07 }) });
  assert.ok(surprised.browInnerLeft > was.browInnerLeft + 0.01, `${was.browInnerLeft} to ${surprised.browInnerLeft}`);
});

test('lips and lids that are told to cross meet', () => {
  const { points } = portrait.render({ expression: expressions.of({ jaw: -0.2, blink: 3 }) });
  for (const [above, below] of [
    [13, 14],
    [82, 87],
    [159, 145],
    [386, 374],
  ] as const) {
    assert.ok(Math.abs(points[below * 2 + 1]! - points[above * 2 + 1]!) < 1, `${above}, ${below}`);
  }
});

test('a smaller picture shows the same at the same places', async () => {
  const motion: PortraitMotion = { pose: { yaw: 9, pitch: -4 }, expression: expressions.of({ jaw: 0.05 }) };
  const [large, small] = [portrait.render(motion), portrait.render(motion, 128)];
  assert.equal(small.picture.width, 128);
  assert.ok(meanDifference(resizePicture(large.picture, 128, 128), small.picture) < 2);
  for (let at = 0; at < small.points.length; at++)
    assert.ok(Math.abs(small.points[at]! * 2 - large.points[at]!) < 1e-3);
});

test('no turn of the head turns more of the surface over than what the nose hides', () => {
  const area = (points: Float32Array, [a, b, c]: readonly number[]): number =>
    (points[b! * 2]! - points[a! * 2]!) * (points[c! * 2 + 1]! - points[a! * 2 + 1]!) -
    (points[c! * 2]! - points[a! * 2]!) * (points[b! * 2 + 1]! - points[a! * 2 + 1]!);
  const rest = portrait.render({}).points;
  const middle = (index: number): boolean => Math.abs(surface.canonical.points[index * 3]!) < 4.5;
  const triangles = Array.from({ length: surface.triangles.length / 3 }, (_, i) => [
    ...surface.triangles.subarray(i * 3, i * 3 + 3),
  ]).filter((corners) => corners.every(middle) && Math.abs(area(rest, corners)) > 1);
  assert.ok(triangles.length > 200);
  for (const pose of [{ yaw: 15 }, { yaw: -15 }, { pitch: 9 }, { pitch: -9 }, { yaw: 12, pitch: 7, roll: -10 }]) {
    const { points } = portrait.render({ pose, expression: expressions.of({ jaw: 0.07, brows: 0.05, smile: 0.05 }) });
    const over = triangles.filter((corners) => area(points, corners) * area(rest, corners) <= 0).length;
    assert.ok(over < 0.04 * triangles.length, `${JSON.stringify(pose)}: ${over} of ${triangles.length}`);
  }
});

test('what comes in from beyond the border is like the border', () => {
  const striped = { ...picture, data: picture.data.slice() };
  striped.data.fill(255, 0, 4 * 256 * 3);
  striped.data.fill(0, 4 * 256 * 3, 12 * 256 * 3);
  const { picture: lower } = new MovingPortrait(striped, mesh.points, surface).render({
    pose: { down: 0.1, larger: 0.8 },
  });
  assert.ok(lower.data.subarray(0, 3 * 256 * 3).every((value) => value > 250));
});

test('pairs differ, and are the same for the same random numbers', () => {
  const draw = (key: number) => drawPair(new Random('pair', key), portrait, expressions, 64);
  const [first, again, other] = [draw(1), draw(1), draw(2)];
  assert.deepEqual(first, again);
  assert.ok(meanDifference(first.driving.picture, other.driving.picture) > 1);
  const distances = Array.from({ length: 20 }, (_, key) => draw(key)).map(({ source, driving }) =>
    Math.hypot(source.points[2]! - driving.points[2]!, source.points[3]! - driving.points[3]!),
  );
  assert.ok(Math.max(...distances) > 4 && distances.filter((distance) => distance > 1).length > 15);
});

/** The mesh of the portrait through a made-up clip: it turns to and fro, and at times does what it is told to. */
function trackOf(actions: readonly Float32Array[], frames = 60): MeshTrack {
  const { rotation } = analyzer.pose(mesh);
  const unit = Math.hypot(...[0, 1, 2].map((axis) => mesh.points[33 * 3 + axis]! - mesh.points[263 * 3 + axis]!));
  const points = new Float32Array(frames * 478 * 3);
  for (let frame = 0; frame < frames; frame++) {
    const action = frame % 4 === 0 ? actions[(frame / 4) % actions.length] : undefined;
    const angle = 0.2 * Math.sin(frame);
    for (let i = 0; i < 478; i++) {
      const [x, y, z] = [0, 1, 2].map((axis) => {
        const [a, b, c] = [action?.[i * 3] ?? 0, -(action?.[i * 3 + 1] ?? 0), -(action?.[i * 3 + 2] ?? 0)];
        const change = rotation[axis * 3]! * a + rotation[axis * 3 + 1]! * b + rotation[axis * 3 + 2]! * c;
        return mesh.points[i * 3 + axis]! + (axis === 0 ? 1 : -1) * change * unit;
      }) as [number, number, number];
      const turned = [x * Math.cos(angle) - z * Math.sin(angle), y, x * Math.sin(angle) + z * Math.cos(angle)];
      points.set(turned, (frame * 478 + i) * 3);
    }
  }
  points.fill(Number.NaN, 0, 478 * 3); // no face in the first frame
  return { points, width: 256, height: 256 };
}

test('expressions are taken from clips with the pose left out, and fit other faces', () => {
  const jaw = expressions.of({ jaw: 0.06 });
  const blink = expressions.of({ blink: 0.8 });
  const tracks = ExpressionTracks.of([trackOf([jaw, blink])], surface, { count: 10 });
  const gap = (values: ArrayLike<number>, stride: number, above: number, below: number): number =>
    values[below * stride + 1]! - values[above * stride + 1]!;
  const all = Array.from({ length: tracks.count }, (_, i) => tracks.at(i));
  const widest = all.reduce((a, b) => (gap(a, 3, 13, 14) > gap(b, 3, 13, 14) ? a : b));
  assert.ok(Math.abs(gap(widest, 3, 13, 14) / gap(jaw, 3, 13, 14) - 1) < 0.12, `${gap(widest, 3, 13, 14)}`);
  assert.ok(Math.abs(gap(widest, 3, 159, 145)) < 0.01);
  const still = [4, 6, 168, 10, 234, 454].map((index) => Math.hypot(...widest.subarray(index * 3, index * 3 + 2)));
  assert.ok(Math.max(...still) < 0.015, `${still}`);
  // The clip's eyes and the portrait's are equally open, so the portrait does what the clip did.
  const closing = all.reduce((a, b) => (gap(a, 3, 159, 145) < gap(b, 3, 159, 145) ? a : b));
  const open = gap(portrait.render({}).points, 2, 159, 145);
  const unit = Math.hypot(...[0, 1].map((axis) => mesh.points[33 * 3 + axis]! - mesh.points[263 * 3 + axis]!));
  const wanted = open + unit * gap(blink, 3, 159, 145);
  const now = gap(portrait.render({ expression: closing }).points, 2, 159, 145);
  assert.ok(Math.abs(now - wanted) < 0.1 * open && wanted < 0.6 * open, `${open} to ${now}, not ${wanted}`);
});

test('a collection of expressions is the same for the same clips, is shared when it is packed, and needs faces', () => {
  const track = trackOf([expressions.of({ jaw: 0.06 }), expressions.of({ smile: 0.05 })]);
  const [one, other] = [0, 1].map(() => ExpressionTracks.of([track], surface));
  assert.deepEqual(one!.packed, other!.packed);
  assert.ok(one!.packed.changes.buffer instanceof SharedArrayBuffer);
  const received = new ExpressionTracks(structuredClone(one!.packed));
  assert.deepEqual(received.draw(new Random('same')), one!.draw(new Random('same')));
  assert.ok(one!.count > 2);
  const nobody = { points: new Float32Array(30 * 478 * 3).fill(Number.NaN), width: 64, height: 64 };
  assert.throws(() => ExpressionTracks.of([nobody], surface), /no clip shows a face in at least 12 frames/);
});

test('what cannot be a portrait is refused', () => {
  assert.throws(() => new MovingPortrait(createPicture(20, 30), mesh.points, surface), /must be square, not 20 x 30/);
  assert.throws(() => new MovingPortrait(picture, mesh.points.slice(30), surface), /478 points .* not 468/);
  assert.throws(() => portrait.render({ expression: new Float32Array(3) }), /478 points, not 1/);
});

test('a folder is prepared once, again where it has changed, and what is no portrait is left out', async () => {
  const root = join(folder, 'people');
  await mkdir(root);
  await copyFile(portraitPath, join(root, 'anna.png'));
  await writePicture(join(root, 'ben.jpg'), picture);
  await writePicture(join(root, 'wall.png'), createPicture(200, 200));
  await writeFile(join(root, 'broken.jpg'), 'no picture');
  await writeFile(join(root, 'notes.txt'), 'no picture either');
  const warnings: string[] = [];
  let looked = 0;
  const prepare = () =>
    preparePortraits(root, { size: 128, onWarning: (text) => warnings.push(text), onProgress: () => looked++ });
  const prepared = await prepare();
  assert.deepEqual(
    prepared.portraits.map(({ name }) => name),
    ['anna.png', 'ben.jpg'],
  );
  assert.equal(looked, 4);
  assert.match(warnings[0]!, /2 of 4 pictures left out: broken\.jpg \(.*\), wall\.png \(no face found\)$/);
  const read = await readPortrait(prepared, 1, surface);
  assert.equal(read.picture.width, 128);
  assert.ok(meanDifference(read.picture, resizePicture(picture, 128, 128)) < 3);
  const nose = read.render({}).points.subarray(2, 4);
  assert.ok(Math.hypot(nose[0]! - mesh.points[3]! / 2, nose[1]! - mesh.points[4]! / 2) < 1);

  assert.deepEqual(await prepare(), prepared);
  assert.equal(looked, 4);
  await rm(join(root, 'anna.png'));
  await utimes(join(root, 'ben.jpg'), 1, 1);
  const changed = await prepare();
  assert.equal(looked, 7);
  assert.equal(changed.portraits.length, 1);
  assert.deepEqual(changed.meshes, prepared.meshes.slice(478 * 3));
  assert.deepEqual(await readdir(join(root, '.dagan-frames')), ['portraits-128.store']);
});

test('a store that is cut off is made anew, and one that is lost during a run is an error that says so', async () => {
  const root = join(folder, 'one');
  await mkdir(root);
  await copyFile(portraitPath, join(root, 'anna.png'));
  const cacheFolder = join(folder, 'cache');
  const both = await Promise.all([0, 1].map(() => preparePortraits(root, { size: 64, cacheFolder })));
  assert.deepEqual(both[0], both[1]);
  const { store } = both[0]!;
  const whole = await readFile(store);
  await truncate(store, (await stat(store)).size - 100);
  assert.deepEqual(await preparePortraits(root, { size: 64, cacheFolder }), both[0]);
  assert.ok(whole.equals(await readFile(store)));
  await rm(store);
  await assert.rejects(readPortrait(both[0]!, 0, surface), /portraits-64\.store: .* start again to have it made anew/);
});

test('a folder without portraits, and work that is ended, leave nothing behind', async () => {
  const root = join(folder, 'none');
  await mkdir(root);
  await assert.rejects(preparePortraits(root, { size: 64 }), /none: holds no pictures/);
  await writePicture(join(root, 'wall.png'), createPicture(200, 200));
  await assert.rejects(
    preparePortraits(root, { size: 64 }),
    /none of its 1 pictures is a portrait; the first: no face/,
  );
  const cacheFolder = join(folder, 'ended');
  await assert.rejects(preparePortraits(root, { size: 32, cacheFolder, signal: AbortSignal.abort() }), /abort/i);
  assert.deepEqual(await readdir(cacheFolder), []);
  await assert.rejects(preparePortraits(join(folder, 'nowhere'), { size: 64 }), /nowhere: cannot be read/);
});
