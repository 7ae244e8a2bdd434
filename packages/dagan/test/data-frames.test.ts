/** Making clips ready: videos decoded once into a cache that is checked, resumed and shared, clips that are left out. */

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readPacked } from '../src/data/frame-pack.js';
import { openDataset, type PrepareOptions, prepareFrames } from '../src/data/index.js';
import { MediaError, openClip, writePicture } from '../src/media/index.js';
import { makeFolderClip, makeVideoClip, markedFrame } from './data-fixtures.js';
import { collect, makeMp4, temporaryFolder } from './media-fixtures.js';
import { sharedMissing, sharedPath } from './shared.js';

const folder = await temporaryFolder();
const newRoot = async () => {
  const root = await mkdtemp(join(folder, 'set-'));
  await mkdir(join(root, 'train'));
  return root;
};

/** Prepares a data set afresh; returns what was told as well. */
async function prepare(root: string, options: Partial<PrepareOptions> = {}) {
  const warnings: string[] = [];
  const onWarning = (text: string) => warnings.push(text);
  const prepared = await prepareFrames(await openDataset(root), { size: 24, onWarning, ...options });
  return { ...prepared, warnings, frames: prepared.clips.map(({ frames }) => frames) };
}

/** Which file a pack is and when it was written. */
const identityOfFile = async (path: string) => {
  const { ino, mtimeMs } = await stat(path);
  return `${ino} ${mtimeMs}`;
};

test('the cache gives the very frames that the clip has, cut square and scaled, in any order', async () => {
  const root = await newRoot();
  await makeVideoClip(join(root, 'train/a.mp4'), 9, 48, 32);
  await makeVideoClip(join(root, 'train/b.webm'), 4);
  const { clips, frames, leftOut, warnings } = await prepare(root);
  assert.deepEqual([frames, leftOut, warnings], [[9, 4], [], []]);
  for (const { path, store, frames } of clips) {
    await using clip = await openClip(path, { transform: { size: [24, 24], fit: 'cover' } });
    const expected = (await collect(clip)).map(({ picture }) => picture);
    const order = Array.from({ length: frames }, (_, i) => (i * 3) % frames);
    const packed = await readPacked(store, order);
    assert.deepEqual(
      packed,
      order.map((frame) => expected[frame]),
    );
  }
});

test('clips are decoded once for each size, again when their file changes or their pack is damaged', async () => {
  const root = await newRoot();
  const cacheFolder = join(root, 'cache');
  const video = join(root, 'train/a.mp4');
  await makeVideoClip(video, 6);
  const pack = (await prepare(root, { cacheFolder })).clips[0]!.store;
  assert(pack.startsWith(cacheFolder));
  const first = await identityOfFile(pack);
  await prepare(root, { cacheFolder });
  assert.equal(await identityOfFile(pack), first);
  await prepare(root, { cacheFolder, size: 16 });
  assert.equal(await identityOfFile(pack), first);

  await makeVideoClip(video, 8);
  assert.deepEqual((await prepare(root, { cacheFolder })).frames, [8]);
  const second = await identityOfFile(pack);
  assert.notEqual(second, first);
  await utimes(video, 1e9, 1e9);
  await prepare(root, { cacheFolder });
  const third = await identityOfFile(pack);
  assert.notEqual(third, second);

  for (const damage of [() => truncate(pack, 100), () => truncate(pack, 3), () => writeFile(pack, '')]) {
    await damage();
    assert.deepEqual((await prepare(root, { cacheFolder })).frames, [8]);
    assert.equal((await readPacked(pack, [7]))[0]!.width, 24);
  }
});

test('preparation that was interrupted goes on where it was and clears away what was left half done', async () => {
  const root = await newRoot();
  for (const name of ['a', 'b', 'c']) await makeVideoClip(join(root, `train/${name}.mp4`), 5);
  const stop = new AbortController();
  const reason = new Error('stopped by the test');
  const onProgress = ({ done }: { done: number }) => done === 1 && stop.abort(reason);
  await assert.rejects(prepare(root, { signal: stop.signal, onProgress }), reason);
  const cache = join(root, '.dagan-frames/24/train');
  assert.deepEqual(await readdir(cache), ['a.mp4.frames']);
  const first = await identityOfFile(join(cache, 'a.mp4.frames'));

  await writeFile(join(cache, 'b.mp4.frames.0123.part'), 'left by a process that was ended yesterday');
  await utimes(join(cache, 'b.mp4.frames.0123.part'), 1e9, 1e9);
  await writeFile(join(cache, 'c.mp4.frames.4567.part'), 'another process is writing this now');
  const total: number[] = [];
  assert.deepEqual((await prepare(root, { onProgress: ({ done }) => total.push(done) })).frames, [5, 5, 5]);
  assert.deepEqual(total, [1, 2, 3]);
  assert.equal(await identityOfFile(join(cache, 'a.mp4.frames')), first);
  assert.deepEqual((await readdir(cache)).sort(), [
    'a.mp4.frames',
    'b.mp4.frames',
    'c.mp4.frames',
    'c.mp4.frames.4567.part',
  ]);
});

test('several processes that prepare the same data set at once get the same result', async () => {
  const root = await newRoot();
  for (const name of ['a', 'b', 'c', 'd']) await makeVideoClip(join(root, `train/${name}.mp4`), 4);
  const [one, two] = await Promise.all([
    prepare(root, { rank: 0, worldSize: 2, concurrency: 2 }),
    prepare(root, { rank: 1, worldSize: 2 }),
  ]);
  assert.deepEqual(one.clips, two.clips);
  assert.deepEqual(one.frames, [4, 4, 4, 4]);
  for (const { store } of one.clips) assert.equal((await readPacked(store, [0, 3])).length, 2);
  assert.equal((await readdir(join(root, '.dagan-frames/24/train'))).length, 4);
});

test('clips that cannot be used are left out by name, and it is an error when none is left', async () => {
  const root = await newRoot();
  const train = (name: string) => join(root, 'train', name);
  await writeFile(train('broken.mp4'), 'Once upon a time a text called itself a video.'.repeat(20));
  await writeFile(train('empty.mp4'), '');
  await makeVideoClip(train('single.mp4'), 1);
  await makeFolderClip(train('torn'), 1, 3);
  await writeFile(train('torn/0000000.png'), 'not a picture');
  await makeFolderClip(train('mixed'), 1, 3);
  await writePicture(train('mixed/0000002.png'), markedFrame(1, 2, 20, 16));
  await makeFolderClip(train('lonely'), 1, 1);
  await assert.rejects(prepare(root), (error) => {
    assert(error instanceof MediaError);
    assert.match(error.message, /none of its 6 clips can be used; the first: .*broken\.mp4: /);
    return true;
  });

  await makeVideoClip(train('good.mp4'), 3);
  await makeFolderClip(train('fine'), 2, 4);
  const { clips, leftOut, warnings } = await prepare(root);
  assert.deepEqual(
    clips.map(({ name, frames }) => [name, frames]),
    [
      ['train/fine', 4],
      ['train/good.mp4', 3],
    ],
  );
  const reasons = Object.fromEntries(leftOut.map(({ clip, reason }) => [clip.name, reason]));
  assert.equal(warnings.length, 6);
  assert(leftOut.every(({ clip, reason }) => reason.startsWith(clip.path) && warnings.includes(`left out: ${reason}`)));
  assert.match(reasons['train/broken.mp4']!, /is not a video/);
  assert.match(reasons['train/empty.mp4']!, /is empty/);
  assert.match(reasons['train/single.mp4']!, /single frame/);
  assert.match(reasons['train/torn']!, /0000000\.png: .*not an image format/);
  assert.match(reasons['train/mixed']!, /0000002\.png: is 20 x 16 while 0000000\.png is 16 x 16/);
  assert.match(reasons['train/lonely']!, /single frame/);
});

test('of a clip that was cut off the frames that are there are used, and it is told', async () => {
  const root = await newRoot();
  const path = join(root, 'train/a.mp4');
  await makeMp4(path, { frames: 60 });
  await truncate(path, Math.floor(0.8 * (await stat(path)).size));
  const { frames, warnings, leftOut } = await prepare(root);
  assert.deepEqual(leftOut, []);
  assert(frames[0]! >= 20 && frames[0]! < 60, `${frames} frames`);
  assert.deepEqual(warnings, [`${path}: the file is damaged or cut off: ${frames[0]} of 60 frames could be read`]);
});

test('a cache that cannot be written is the cache’s error and no clip’s', async () => {
  const root = await newRoot();
  await makeVideoClip(join(root, 'train/a.mp4'), 3);
  const cacheFolder = join(root, 'occupied');
  await writeFile(cacheFolder, 'a file, not a folder');
  await assert.rejects(prepare(root, { cacheFolder }), (error) => {
    assert(error instanceof MediaError);
    assert.match(error.message, /occupied.*cannot hold the decoded frames.*not a folder/s);
    return true;
  });
  await assert.rejects(prepare(root, { size: 0 }), RangeError);
});

test('real clips: the cached frames are those of the clip', { skip: sharedMissing }, async () => {
  const list = join(folder, 'real.txt');
  await writeFile(list, 'train/pexels_langer_01.mp4\ntrain/grid_b_01.mp4\n');
  const dataset = await openDataset(sharedPath('dataset'), { list });
  const prepared = await prepareFrames(dataset, { size: 128, cacheFolder: join(folder, 'real') });
  assert.deepEqual(prepared.leftOut, []);
  for (const { path, store, frames } of prepared.clips) {
    await using clip = await openClip(path, { start: 40, end: 41, transform: { size: [128, 128] } });
    const [frame] = await collect(clip);
    assert(frames >= 75);
    assert.deepEqual((await readPacked(store, [40]))[0], frame!.picture);
    const { size } = await stat(store);
    assert(size < 0.5 * frames * 3 * 128 * 128, `${size} bytes`);
  }
});
