/** Files that are not what they should be: each ends in frames or in one clear error, soon, and never takes the program down. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { createClipWriter, MediaError, openClip, writePicture } from '../src/media/index.js';
import { MediaProcess } from '../src/media/process/media-process.js';
import { makeMp4, makeWav, names, readAll, scene, temporaryFolder } from './media-fixtures.js';

const folder = await temporaryFolder();
const file = (name: string) => join(folder, name);

/** The reason of the MediaError in which opening or reading `path` ends; the error must name `culprit`. */
async function reasonOf(path: string, culprit = path): Promise<string> {
  try {
    await readAll(path);
  } catch (error) {
    assert(error instanceof MediaError, String(error));
    assert.equal(error.path, culprit);
    assert(!error.message.includes('\n'));
    return error.reason;
  }
  return assert.fail(`${path} was read`);
}

test('what is missing, empty, foreign or without pictures is named as such', async () => {
  assert.match(await reasonOf(file('none.mp4')), /no such file/);
  await writeFile(file('empty.mp4'), '');
  assert.match(await reasonOf(file('empty.mp4')), /is empty/);
  await writeFile(file('text.mp4'), 'Once upon a time there was a text file that called itself a video.'.repeat(40));
  assert.match(await reasonOf(file('text.mp4')), /is not a video/);
  await writeFile(file('one.mp4'), 'x');
  assert.match(await reasonOf(file('one.mp4')), /is too short for a video/);
  await mkdir(file('bare'));
  await writeFile(join(file('bare'), 'readme.txt'), 'no pictures');
  assert.match(await reasonOf(file('bare')), /folder without pictures/);
  await makeWav(file('sound.wav'));
  assert.match(await reasonOf(file('sound.wav')), /no video track/);
  await makeMp4(file('sound.mp4'), { video: false, sound: 'aac' });
  assert.match(await reasonOf(file('sound.mp4')), /sound but no video track/);
  await writeFile(file('list.mp4'), '#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nfile.ts\n#EXT-X-ENDLIST\n');
  assert.match(await reasonOf(file('list.mp4')), /is not a video/);
});

test('a folder whose pictures differ in size names the one that does, a damaged one likewise', async () => {
  await mkdir(file('mixed'));
  for (const index of [0, 1, 2])
    await writePicture(join(file('mixed'), `${index}.png`), scene(index === 2 ? 9 : 8, 8, 0));
  assert.match(await reasonOf(file('mixed'), join(file('mixed'), '2.png')), /is 9 x 8 while 0\.png is 8 x 8/);
  await writeFile(join(file('mixed'), '1.png'), 'broken');
  assert.match(await reasonOf(file('mixed'), join(file('mixed'), '1.png')), /not an image format/);
});

test('an mp4 without its index is an error, one cut off after it gives its good frames and a warning', async () => {
  await makeMp4(file('good.mp4'), { frames: 60, sound: 'aac' });
  const whole = await readFile(file('good.mp4'));
  await writeFile(file('headless.mp4'), whole.subarray(0, 40));
  assert.match(await reasonOf(file('headless.mp4')), /damaged|cut off|not a video/);
  await writeFile(file('cut.mp4'), whole.subarray(0, Math.round(whole.length * 0.6)));
  const { frames, warnings } = await readAll(file('cut.mp4'));
  assert(frames.length > 10 && frames.length < 60, `${frames.length} frames`);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0]!, new RegExp(`cut off: ${frames.length} of 60 frames`));
});

test('a damaged stretch in the middle is left out with a warning and reading goes on behind it', async () => {
  await makeMp4(file('hurt.mp4'), { frames: 60 });
  const { frames: intact } = await readAll(file('hurt.mp4'));
  const bytes = await readFile(file('hurt.mp4'));
  // The pictures follow the index; overwrite a tenth of them a third of the way in.
  const start = bytes.indexOf('mdat') + 4;
  const length = bytes.length - start;
  bytes.fill(0xff, start + Math.round(length * 0.3), start + Math.round(length * 0.4));
  await writeFile(file('hurt.mp4'), bytes);
  const { frames, warnings } = await readAll(file('hurt.mp4'));
  assert(frames.length > 30, `${frames.length} frames`);
  if (frames.length < 60) assert.equal(warnings.length, 1, warnings.join('\n'));
  assert.deepEqual(frames[frames.length - 1]!.picture, intact[59]!.picture);
});

/** Numerical Recipes' linear congruential generator, so that every run damages the same bytes. */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

test('files cut off or damaged anywhere end in frames or in one clear error', async () => {
  await makeMp4(file('seed.mp4'), { frames: 12, sound: 'aac' });
  for (const name of ['seed.webm', 'seed.gif', 'seed.webp']) {
    await using writer = await createClipWriter(file(name), { width: 64, height: 48, frameRate: 25 });
    for (let index = 0; index < 12; index++) await writer.add(scene(64, 48, index));
    await writer.finish();
  }
  const random = randomNumbers(7);
  for (const name of ['seed.mp4', 'seed.webm', 'seed.gif', 'seed.webp']) {
    const whole = await readFile(file(name));
    const work = Array.from({ length: 12 }, async (_, round) => {
      let bytes = Buffer.from(whole);
      const at = (limit: number) => Math.floor(random() * limit);
      if (round % 4 === 0) bytes = bytes.subarray(0, at(bytes.length));
      else if (round % 4 === 1) for (let i = 0; i < 20; i++) bytes[at(bytes.length)] = at(256);
      else if (round % 4 === 2) for (let i = 0; i < 4; i++) bytes[at(Math.min(600, bytes.length))]! ^= 1 << at(8);
      else bytes.fill(at(256), at(bytes.length), at(bytes.length));
      const path = file(`damaged-${round}-${name}`);
      await writeFile(path, bytes);
      return path;
    });
    const paths = await Promise.all(work);
    const attempts = paths.map(async (path) => {
      const { frames } = await readAll(path, { timeLimit: 8 });
      assert(frames.length > 0, `${path}: neither frames nor an error`);
    });
    for (const result of await Promise.allSettled(attempts)) {
      if (result.status === 'rejected') assert(result.reason instanceof MediaError, String(result.reason));
    }
  }
});

test('sound that is damaged does not keep the pictures from being written', async () => {
  await makeMp4(file('tone.mp4'), { frames: 25, sound: 'aac' });
  await using clip = await openClip(file('tone.mp4'));
  const bytes = await readFile(file('tone.mp4'));
  bytes.fill(0, 0, 200); // the file is damaged after the clip has been opened
  await writeFile(file('tone.mp4'), bytes);
  const warnings: string[] = [];
  await using writer = await createClipWriter(file('tone-out.mp4'), {
    width: 64,
    height: 48,
    frameRate: 25,
    sound: clip,
    onWarning: (text) => warnings.push(text),
  });
  for (let index = 0; index < 25; index++) await writer.add(scene(64, 48, index));
  await writer.finish();
  assert.match(warnings.join(), /written without sound/);
  assert.equal((await readAll(file('tone-out.mp4'))).frames.length, 25);
});

test('a codec that makes no progress is ended, and one that crashes is reported', async () => {
  const forever = file('forever.mjs');
  await writeFile(forever, 'while (true);');
  const stuck = new MediaProcess(new URL(`file://${forever}`), {}, 'film.mp4', 0.4, () => undefined);
  await assert.rejects(
    stuck.wait(() => undefined),
    /^MediaError: film\.mp4: no progress in 0\.4 seconds/,
  );
  await stuck.close();
  const crash = file('crash.mjs');
  await writeFile(crash, "process.kill(process.pid, 'SIGSEGV'); setTimeout(() => {}, 1000);");
  const crashed = new MediaProcess(new URL(`file://${crash}`), {}, 'film.mp4', 60, () => undefined);
  await assert.rejects(
    crashed.wait(() => undefined),
    /film\.mp4: the codec ended unexpectedly \(SIGSEGV\)/,
  );
  await crashed.close();
});

test('a disk that takes no more is an error, and nothing is left', async () => {
  const inner = file('full');
  await mkdir(inner);
  const media = new URL('../src/media/index.js', import.meta.url).href;
  for (const name of ['out.mp4', 'out.webm', 'out.gif', 'out.webp', 'out/']) {
    const script = `
      import { createClipWriter } from ${JSON.stringify(media)};
      let noise = 1;
      const size = { width: 160, height: 120, frameRate: 25 };
      const writer = await createClipWriter(${JSON.stringify(join(inner, name))}, size);
      for (let index = 0; index < 20; index++) {
        const data = Uint8Array.from({ length: 160 * 120 * 3 }, () => (noise = Math.imul(noise, 1664525) + 1013904223) >>> 24);
        await writer.add({ width: 160, height: 120, data });
      }
      await writer.finish();`;
    // The shell's file size limit (in blocks of 512 bytes) stands in for a full disk: both cut a write short.
    const limited = ['-c', 'ulimit -f 8; exec "$0" --input-type=module -e "$1"', process.execPath, script];
    await assert.rejects(promisify(execFile)('sh', limited), /MediaError: .*cannot be written/, name);
    assert.deepEqual(await names(inner), []);
  }
});

test('nothing is left of a clip whose writing fails on the way', async () => {
  const inner = file('failing');
  await mkdir(inner);
  // A folder in the place of the finished file can only be noticed when it is put there.
  const path = join(inner, 'out.mp4');
  const writer = await createClipWriter(path, { width: 64, height: 48, frameRate: 25 });
  await writer.add(scene(64, 48, 0));
  await mkdir(join(path, 'in-the-way'), { recursive: true });
  await assert.rejects(writer.finish(), (error) => error instanceof MediaError && error.path === path);
  assert.deepEqual(await names(inner), ['out.mp4']);
});

/** A packet of a transport stream in which a table begins. */
function tablePacket(stream: number, table: number, body: readonly number[]): Buffer {
  const length = body.length + 9;
  const head = [0x47, 0x40 | (stream >> 8), stream & 0xff, 0x10, 0, table, 0xb0 | (length >> 8), length & 0xff];
  return Buffer.concat([Buffer.from([...head, 0, 1, 0xc1, 0, 0, ...body, 0, 0, 0, 0])], 188);
}

test('pictures of a transport stream in a coding that is not known are called by it', async () => {
  const programs = tablePacket(0, 0, [0, 1, 0xe1, 0x00]);
  const streams = (type: number) =>
    tablePacket(0x100, 2, [0xe1, 0x01, 0xf0, 0x00, type, 0xe1, 0x01, 0xf0, 0x00, 0x0f, 0xe1, 0x02, 0xf0, 0x00]);
  const filler = Buffer.alloc(188, 0xff);
  filler.set([0x47, 0x1f, 0xff, 0x10]);
  for (const [type, coding] of [
    [0x02, 'MPEG-2'],
    [0xea, 'VC-1'],
  ] as const) {
    const path = join(folder, `${coding}.ts`);
    await writeFile(path, Buffer.concat([programs, streams(type), ...Array.from({ length: 20 }, () => filler)]));
    await assert.rejects(openClip(path), {
      message: `${path}: is coded as ${coding}, which cannot be decoded here; convert it to H.264 first, for example with: ffmpeg -i IN OUT.mp4`,
    });
  }
});
