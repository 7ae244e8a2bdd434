// Stills that become clips: how heads move, and `dagan preprocess --stills`.
import assert from 'node:assert/strict';
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openDataset, Random } from '../src/data/index.js';
import { HeadPath } from '../src/data/preprocess/index.js';
import { FaceAnalyzer, type HeadPose } from '../src/faces/index.js';
import { createPicture, writePicture } from '../src/media/index.js';
import { dagan } from './cli-run.js';
import { readAll, temporaryFolder } from './media-fixtures.js';

const folder = await temporaryFolder();
const portraitPath = fileURLToPath(new URL('../../../../examples/portrait.png', import.meta.url));
const analyzer = await FaceAnalyzer.load();
after(() => analyzer.close());

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
  assert.ok(times.every((time) => path.at(time).smile === 0 || path.at(time).pucker === 0));
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
