// Stills that become clips: the warp between landmarks, heads that are moved, and `dagan preprocess --stills`.
import assert from 'node:assert/strict';
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openDataset, Random } from '../src/data/index.js';
import { type HeadMotion, HeadPath, MovableStill, STILL } from '../src/data/preprocess/index.js';
import { FaceAnalyzer, type HeadPose } from '../src/faces/index.js';
import { LandmarkWarp, type Point } from '../src/geometry/landmark-warp.js';
import { createPicture, type Picture, readPicture, writePicture } from '../src/media/index.js';
import { dagan } from './cli-run.js';
import { readAll, temporaryFolder } from './media-fixtures.js';

const folder = await temporaryFolder();
const portraitPath = fileURLToPath(new URL('../../../../examples/portrait.png', import.meta.url));
const portrait = await readPicture(portraitPath);
const analyzer = await FaceAnalyzer.load();
const mesh = (await analyzer.track(portrait))!;
const still = new MovableStill(portrait, mesh);
after(() => analyzer.close());

const CORNERS: Point[] = [
  [0, 0],
  [100, 0],
  [0, 100],
  [100, 100],
  [40, 60],
];

function near(actual: Point, wanted: Point, within: number): void {
  assert.ok(Math.hypot(actual[0] - wanted[0], actual[1] - wanted[1]) <= within, `${actual} is not ${wanted}`);
}

test('a warp meets its landmarks, and between them it is the affine map where there is one', () => {
  const bent: Point[] = CORNERS.map(([x, y], index) => (index === 4 ? [50, 50] : [x, y]));
  const warp = new LandmarkWarp(CORNERS, bent, { scale: 100 });
  for (const [index, [x, y]] of CORNERS.entries()) near(warp.at(x, y), bent[index]!, 1e-9);
  const affine = ([x, y]: Point): Point => [3 + 0.9 * x - 0.2 * y, -5 + 0.1 * x + 1.1 * y];
  const plain = new LandmarkWarp(CORNERS, CORNERS.map(affine), { scale: 100, smoothing: 0.1 });
  for (const p of [
    [17, 81],
    [250, -40],
  ] as const)
    near(plain.at(p[0], p[1]), affine(p), 1e-9);
});

test('a smoothed warp bends less and misses its landmarks', () => {
  const bent: Point[] = CORNERS.map(([x, y], index) => (index === 4 ? [50, 50] : [x, y]));
  const [x] = new LandmarkWarp(CORNERS, bent, { scale: 100, smoothing: 0.5 }).at(40, 60);
  assert.ok(x > 41 && x < 49, `${x}`);
});

test('landmarks that cannot determine a warp are refused', () => {
  const line: Point[] = [
    [0, 0],
    [1, 1],
    [2, 2],
  ];
  assert.throws(() => new LandmarkWarp(line, line), /on one line/);
  assert.throws(() => new LandmarkWarp(line.slice(1), line.slice(1)), /three landmarks at least, not 2/);
  assert.throws(() => new LandmarkWarp(CORNERS, line), /5 landmarks, 3 places/);
});

/** The pose of the head in the moved portrait, as against the pose in the portrait. */
async function poseOf(motion: Partial<HeadMotion>): Promise<{ yaw: number; pitch: number; roll: number }> {
  const seen = await analyzer.track(still.moved({ ...STILL, ...motion }));
  assert.ok(seen, 'the face is not found any more');
  const [was, is] = [analyzer.pose(mesh), analyzer.pose(seen)];
  return { yaw: is.yaw - was.yaw, pitch: is.pitch - was.pitch, roll: is.roll - was.roll };
}

function meanDifference(a: Picture, b: Picture, where: (x: number, y: number) => boolean = () => true): number {
  let [sum, count] = [0, 0];
  for (let at = 0; at < a.data.length; at++) {
    const pixel = Math.floor(at / 3);
    if (!where(pixel % a.width, Math.floor(pixel / a.width))) continue;
    sum += Math.abs(a.data[at]! - b.data[at]!);
    count++;
  }
  return sum / count;
}

test('a head that is not moved leaves the portrait as it is', () => {
  assert.ok(meanDifference(still.moved(STILL), portrait) < 0.1);
});

test('a head turns, nods and leans as it is told to', async () => {
  const turned = await poseOf({ yaw: 14 });
  assert.ok(turned.yaw > 7 && turned.yaw < 18 && Math.abs(turned.roll) < 3, JSON.stringify(turned));
  const back = await poseOf({ yaw: -14 });
  assert.ok(back.yaw < -7 && back.yaw > -18, JSON.stringify(back));
  const nodded = await poseOf({ pitch: 9 });
  assert.ok(nodded.pitch > 5 && nodded.pitch < 13, JSON.stringify(nodded));
  const leant = await poseOf({ roll: 10 });
  assert.ok(Math.abs(leant.roll - 10) < 1.5 && Math.abs(leant.yaw) < 3, JSON.stringify(leant));
});

test('a head goes where it is told to and grows, and the rim of the picture stays', async () => {
  const motion = { ...STILL, right: 0.08, down: -0.05, larger: 1.06 };
  const moved = still.moved(motion);
  const seen = (await analyzer.track(moved))!;
  const nose = still.places([1], motion)[0]!;
  near([seen.points[3]!, seen.points[4]!], nose, 0.02 * mesh.box.height);
  assert.ok(Math.abs(seen.box.height / mesh.box.height - 1.06) < 0.02);
  const { height } = portrait;
  const atTheSide = (x: number, y: number): boolean => x < 3 && y > 0.1 * height && y < 0.6 * height;
  assert.ok(meanDifference(moved, portrait, atTheSide) < 4);
  assert.ok(meanDifference(moved, portrait) > 8);
});

test('a mouth opens and is dark inside, eyes close, and the rest of the face stays', async () => {
  await using refined = await FaceAnalyzer.load({ mesh: 'refined' });
  const signals = async (picture: Picture) => refined.expression((await refined.track(picture))!);
  const was = await signals(portrait);
  const open = still.moved({ ...STILL, jaw: 0.07 });
  const speaking = await signals(open);
  assert.ok(speaking.lipsParted > was.lipsParted + 0.04, `${was.lipsParted} to ${speaking.lipsParted}`);
  const [closedLip] = still.places([14], STILL);
  const [openLip] = still.places([14], { ...STILL, jaw: 0.07 });
  assert.ok(openLip![1] - closedLip![1] > 0.06 * mesh.box.height);
  const brightness = ({ width, data }: Picture, [x, y]: Point): number =>
    data[(Math.floor(y) * width + Math.floor(x)) * 3]!;
  const inside: Point = [closedLip![0], (closedLip![1] + openLip![1]) / 2];
  assert.ok(brightness(open, inside) < 60 && brightness(portrait, inside) > 80);

  const blinking = await signals(still.moved({ ...STILL, blink: 1 }));
  assert.ok(blinking.eyeOpenLeft < 0.75 * was.eyeOpenLeft, `${was.eyeOpenLeft} to ${blinking.eyeOpenLeft}`);
  assert.ok(blinking.eyeOpenRight < 0.75 * was.eyeOpenRight);
  const pose = await poseOf({ jaw: 0.07, blink: 1 });
  assert.ok(Math.abs(pose.yaw) < 2 && Math.abs(pose.roll) < 1, JSON.stringify(pose));
});

test('a path of the head is smooth, keeps its limits, uses them, and is the same for the same key', () => {
  const path = new HeadPath(new Random('test', 1));
  const times = Array.from({ length: 500 }, (_, i) => i / 25);
  const yaws = times.map((time) => path.at(time).yaw);
  assert.ok(Math.max(...yaws.map(Math.abs)) <= 18);
  assert.ok(Math.max(...yaws) - Math.min(...yaws) > 12);
  assert.ok(yaws.slice(1).every((yaw, i) => Math.abs(yaw - yaws[i]!) < 3));
  assert.ok(times.every((time) => Math.abs(path.at(time).larger - 1) <= 0.08));
  const jaws = times.map((time) => path.at(time).jaw);
  assert.ok(Math.min(...jaws) === 0 && Math.max(...jaws) > 0.04 && Math.max(...jaws) <= 0.07);
  const closed = times.filter((time) => path.at(time).blink > 0.5).length;
  assert.ok(closed > 5 && closed < 200, `${closed}`);
  assert.deepEqual(new HeadPath(new Random('test', 1)).at(3), path.at(3));
  assert.notDeepEqual(new HeadPath(new Random('test', 2)).at(3), path.at(3));
});

const settings = ['--size', '96', '--fps', '10'];

test('pictures in a folder become clips of moving heads, and what shows no face or is damaged does not', async () => {
  await mkdir(join(folder, 'stills/anna'), { recursive: true });
  await copyFile(portraitPath, join(folder, 'stills/anna/passport.png'));
  await writePicture(join(folder, 'stills/wall.png'), createPicture(300, 300));
  await writeFile(join(folder, 'stills/broken.jpg'), 'no picture');
  const run = await dagan(folder, ['preprocess', 'stills', '-o', 'set', '--stills', '1.5', ...settings]);
  assert.equal(run.code, 1, run.stderr);
  assert.match(run.stderr, /broken\.jpg/);
  assert.match(run.stderr, /wall\.png: 0 clips, no face found/);
  assert.deepEqual(await readdir(join(folder, 'set/train')), ['anna#passport#000000-000015.mp4']);

  const { clips } = await openDataset(join(folder, 'set'));
  assert.equal(clips[0]?.identity, 'anna');
  assert.ok(clips[0].motion! > 0.02 && clips[0].motion! < 0.3, `${clips[0].motion}`);
  const { frames } = await readAll(clips[0].path);
  assert.equal(frames.length, 15);
  const poses: HeadPose[] = [];
  for (const { picture } of [frames[0]!, frames[7]!, frames[14]!]) {
    const seen = await analyzer.track(picture);
    assert.ok(seen, 'a frame without a face');
    assert.ok(Math.abs(seen.box.height / 96 - 0.555) < 0.1, `face height ${seen.box.height / 96}`);
    poses.push(analyzer.pose(seen));
  }
  assert.ok(poses.some(({ yaw, roll }) => Math.abs(yaw - poses[0]!.yaw) + Math.abs(roll - poses[0]!.roll) > 2));

  const before = await readFile(clips[0].path);
  const again = await dagan(folder, ['preprocess', 'stills', '-o', 'set', '--stills', '1.5', ...settings]);
  assert.match(again.stderr, /2 of 3 videos are done already/);
  assert.ok(before.equals(await readFile(clips[0].path)));
});

test('without --stills folders are searched for videos alone, and a picture is refused with the remedy', async () => {
  const single = await dagan(folder, ['preprocess', 'stills/anna/passport.png', '-o', 'none', ...settings]);
  assert.equal(single.code, 1);
  assert.match(single.stderr, /passport\.png: is a single picture, not a video; .* with --stills SECONDS/);
  const whole = await dagan(folder, ['preprocess', 'stills', '-o', 'none', ...settings]);
  assert.equal(whole.code, 1);
  assert.match(whole.stderr, /stills: holds no videos/);
});
