// Files that show something else than all they hold, in order and at one size: edit lists, sizes that change; and sound that
// stays in step with the pictures.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { BufferTarget, Output, Quality, VideoSample, VideoSampleSource, WebMOutputFormat } from 'mediabunny';
import { createClipWriter, openClip, type Picture, transformPicture } from '../src/media/index.js';
import { pictureToI420 } from '../src/media/pictures/color.js';
import {
  clickIn,
  type EditLine,
  inspect,
  makeMp4,
  psnr,
  readAll,
  scene,
  setEdits,
  temporaryFolder,
} from './media-fixtures.js';

const folder = await temporaryFolder();

/** Which frame of the scene a picture is. */
function frameOf(picture: Picture): number {
  const likeness = Array.from({ length: 30 }, (_, index) => psnr(picture, scene(64, 48, index)));
  return likeness.indexOf(Math.max(...likeness));
}

/** Writes the frames of a clip with its sound into another file. */
async function rewrite(from: string, to: string, range: { start?: number; end?: number } = {}): Promise<void> {
  const clip = await openClip(from, range);
  const writer = await createClipWriter(to, { width: 64, height: 48, frameRate: 25, sound: clip });
  for await (const { picture } of clip.frames()) await writer.add(picture);
  await writer.finish();
  await clip.close();
}

/** A clip of 30 frames at 25 a second with a click at 0.6 s, and the same edits of pictures and sound. */
async function edited(
  name: string,
  lines: readonly EditLine[],
  { sound = 'aac', soundLines = lines }: { sound?: 'aac' | 'flac'; soundLines?: readonly EditLine[] } = {},
): Promise<string> {
  const path = join(folder, name);
  await makeMp4(path, { sound, click: 0.6 });
  await setEdits(path, [lines, soundLines]);
  return path;
}

const counting = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

test('a clip that was trimmed shows the part that was left, and its sound is as long', async () => {
  const path = await edited('trimmed.mp4', [{ from: 0.4, seconds: 0.4 }]);
  const { clip, frames, warnings } = await readAll(path);
  assert.deepEqual(
    frames.map(({ picture }) => frameOf(picture)),
    counting(10, 20),
  );
  assert.deepEqual(warnings, []);
  assert.equal(clip.frameCount, 10);
  assert.ok(Math.abs(clip.duration! - 0.4) < 1e-6);
  assert.ok(Math.abs(frames[9]!.timestamp - 0.36) < 1e-6);
  assert.ok(Math.abs(frames[9]!.duration - 0.04) < 1e-6);
  await rewrite(path, join(folder, 'trimmed-out.mp4'));
  const { audioEnd, times } = await inspect(join(folder, 'trimmed-out.mp4'));
  assert.equal(times.length, 10);
  assert.ok(Math.abs(audioEnd! - 0.4) < 0.022, `the sound ends at ${audioEnd}`);
  const click = await clickIn(join(folder, 'trimmed-out.mp4'));
  assert.ok(Math.abs(click! - 0.2) < 0.022, `the click is at ${click}`);
});

test('frame numbers count the frames that are shown', async () => {
  const path = await edited('counted.mp4', [{ from: 0.4, seconds: 0.4 }]);
  const { frames } = await readAll(path, { start: 3, end: 5 });
  assert.deepEqual(
    frames.map(({ picture }) => frameOf(picture)),
    [13, 14],
  );
  await assert.rejects(openClip(path, { start: 10 }), /has 10 frames, so there is no frame 10/);
});

test('joined parts come in the order of the edits, pictures and sound, across a frame range as well', async () => {
  const path = await edited(
    'joined.mp4',
    [
      { from: 0.8, seconds: 0.4 },
      { from: 0.4, seconds: 0.4 },
    ],
    { sound: 'flac' },
  );
  const { clip, frames } = await readAll(path);
  assert.deepEqual(
    frames.map(({ picture }) => frameOf(picture)),
    [...counting(20, 30), ...counting(10, 20)],
  );
  assert.equal(clip.constantFrameRate, true);
  assert.ok(Math.abs(clip.duration! - 0.8) < 1e-6);
  frames.forEach(({ timestamp }, i) => {
    assert.ok(Math.abs(timestamp - i / 25) < 1e-3, `frame ${i} at ${timestamp}`);
  });
  await rewrite(path, join(folder, 'joined-out.mp4'));
  const { audioEnd } = await inspect(join(folder, 'joined-out.mp4'));
  assert.ok(Math.abs(audioEnd! - 0.8) < 0.022, `the sound ends at ${audioEnd}`);
  const click = await clickIn(join(folder, 'joined-out.mp4'));
  assert.ok(Math.abs(click! - 0.6) < 0.003, `the click is at ${click}`);
  const range = await readAll(path, { start: 8, end: 12 });
  assert.deepEqual(
    range.frames.map(({ picture }) => frameOf(picture)),
    [28, 29, 10, 11],
  );
});

test('where an edit shows nothing the frame before it stays, and what comes before the first frame is left out', async () => {
  const path = await edited(
    'gap.mp4',
    [
      { from: null, seconds: 0.2 },
      { from: 0, seconds: 0.2 },
      { from: null, seconds: 0.4 },
      { from: 0.6, seconds: 0.2 },
    ],
    { sound: 'flac' },
  );
  const { frames } = await readAll(path);
  assert.deepEqual(
    frames.map(({ picture }) => frameOf(picture)),
    [...counting(0, 5), ...counting(15, 20)],
  );
  assert.ok(Math.abs(frames[5]!.timestamp - 0.6) < 1e-3);
  assert.ok(Math.abs(frames[4]!.duration - 0.44) < 1e-3);
  const clip = await openClip(path);
  const writer = await createClipWriter(join(folder, 'gap-out.mp4'), { width: 64, height: 48, sound: clip });
  for await (const { picture, timestamp, duration } of clip.frames()) await writer.add(picture, timestamp, duration);
  await writer.finish();
  await clip.close();
  const click = await clickIn(join(folder, 'gap-out.mp4'));
  assert.ok(Math.abs(click! - 0.6) < 0.003, `the click is at ${click}`);
});

test('sound that begins later than the pictures still does so', async () => {
  const later = [
    { from: null, seconds: 0.3 },
    { from: 0, seconds: 0.9 },
  ];
  const path = await edited('later.mp4', [{ from: 0, seconds: 1.2 }], { soundLines: later });
  await rewrite(path, join(folder, 'later-out.mp4'));
  const click = await clickIn(join(folder, 'later-out.mp4'));
  assert.ok(Math.abs(click! - 0.9) < 0.022, `the click is at ${click}`);
});

test('an edit at another speed is refused with what to do', async () => {
  const path = await edited('slow.mp4', [{ from: 0, seconds: 1 }]);
  const file = await readFile(path);
  const at = file.lastIndexOf('elst', file.lastIndexOf('elst') - 1); // that of the pictures
  file.writeUInt32BE(0x8000, at + 20); // half the speed
  await writeFile(path, file);
  await assert.rejects(openClip(path), /slow\.mp4: shows a part at 0\.5 times its speed.*convert it first/);
});

test('sound that is coded anew, and PCM that is cut, keep step with the pictures to the millisecond', async () => {
  await makeMp4(join(folder, 'click.mov'), { sound: 'pcm-s16', click: 0.6 });
  for (const name of ['pcm.mp4', 'pcm.webm', 'pcm.mov', 'pcm.mkv']) {
    for (const start of [0, 5]) {
      await rewrite(join(folder, 'click.mov'), join(folder, name), { start });
      const click = await clickIn(join(folder, name));
      assert.ok(Math.abs(click! - (0.6 - start / 25)) < 1e-3, `${name} from frame ${start}: the click is at ${click}`);
    }
  }
});

test('frames of a recording whose size changes all have the size of the first', async () => {
  const target = new BufferTarget();
  const output = new Output({ format: new WebMOutputFormat(), target });
  const video = new VideoSampleSource({
    codec: 'vp8',
    quality: new Quality('high'),
    sizeChangeBehavior: 'passThrough',
  });
  output.addVideoTrack(video, { frameRate: 25 });
  await output.start();
  for (let index = 0; index < 12; index++) {
    const [codedWidth, codedHeight] = index < 6 ? [64, 48] : [48, 64];
    const { data } = pictureToI420(scene(codedWidth, codedHeight, index), { matrix: 'bt601', fullRange: false });
    const about = { codedWidth, codedHeight, timestamp: index / 25, duration: 1 / 25 };
    using sample = new VideoSample(data, { format: 'I420', ...about });
    await video.add(sample);
  }
  await output.finalize();
  const path = join(folder, 'turned.webm');
  await writeFile(path, new Uint8Array(target.buffer!));
  const { frames, warnings } = await readAll(path);
  assert.equal(frames.length, 12);
  assert.deepEqual(warnings, []);
  const wanted = transformPicture(scene(48, 64, 9), { size: [64, 48] });
  assert.ok(psnr(frames[9]!.picture, wanted) > 25, `${psnr(frames[9]!.picture, wanted)} dB`);
});
