/** Clips: every kind in and out, timing, orientation, colours, sound, and what is left when writing ends early. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { EncodedPacketSink } from 'mediabunny';
import sharp from 'sharp';
import { UNEDITED } from '../src/media/formats/edit-list.js';
import { gifFrame, gifFrames, gifHeader, gifTrailer } from '../src/media/formats/gif-blocks.js';
import { PacketTimes } from '../src/media/formats/packet-times.js';
import {
  type Clip,
  createClipWriter,
  cropPicture,
  MediaError,
  openClip,
  type Picture,
  readPicture,
  resizePicture,
  rotatePicture,
  writePicture,
} from '../src/media/index.js';
import { collect, inspect, makeMp4, names, psnr, readAll, scene, temporaryFolder } from './media-fixtures.js';

const folder = await temporaryFolder();
const file = (name: string) => join(folder, name);
const close = (got: number, expected: number, tolerance: number, what: string) =>
  assert(Math.abs(got - expected) <= tolerance, `${what}: ${got}, not ${expected}`);

type WriterOptions = Partial<Parameters<typeof createClipWriter>[1]>;

/** Writes `count` frames of the scene; returns the warnings. */
async function writeScene(path: string, count: number, options: WriterOptions = {}, times?: number[]) {
  const { width = 64, height = 48 } = options;
  const warnings: string[] = [];
  const onWarning = (text: string) => warnings.push(text);
  const rate = times ? {} : { frameRate: 25 };
  await using writer = await createClipWriter(path, { width, height, ...rate, ...options, onWarning });
  for (let index = 0; index < count; index++) await writer.add(scene(width, height, index), times?.[index]);
  await writer.finish();
  return warnings;
}

test('a clip written as mp4, mov, mkv or webm comes back with its frames, times and tags', async () => {
  for (const [name, codec, least] of [
    ['a.mp4', 'avc', 38],
    ['a.mov', 'avc', 38],
    ['a.mkv', 'avc', 38],
    ['a.webm', 'vp9', 34],
  ] as const) {
    await writeScene(file(name), 20, { metadata: { title: 'the title', comment: 'made by a test' } });
    const { clip, frames, warnings } = await readAll(file(name));
    assert.deepEqual([clip.kind, clip.width, clip.height], ['video', 64, 48]);
    assert.deepEqual([clip.frameRate, clip.constantFrameRate, clip.frameCount, clip.hasAudio], [25, true, 20, false]);
    close(clip.duration ?? 0, 0.8, 0.002, `${name} duration`);
    assert.equal(frames.length, 20);
    frames.forEach(({ picture, timestamp, duration }, index) => {
      close(timestamp, index / 25, 0.001, `${name} timestamp`);
      close(duration, 1 / 25, 0.0015, `${name} duration`);
      const quality = psnr(picture, scene(64, 48, index));
      assert(quality > least, `${name} frame ${index}: ${quality} dB`);
    });
    assert.deepEqual(warnings, []);
    const { tags, videoCodec, color } = await inspect(file(name));
    assert.equal(videoCodec, codec);
    assert.deepEqual([tags.title, tags.comment], ['the title', 'made by a test']);
    assert.equal(color?.matrix, 'smpte170m');
  }
});

test('the quality setting decides the size of the file', async () => {
  const sizes: number[] = [];
  for (const quality of ['low', 'very-high'] as const) {
    await writeScene(file(`${quality}.mp4`), 10, { quality, width: 256, height: 192 });
    sizes.push((await readFile(file(`${quality}.mp4`))).length);
  }
  assert(sizes[0]! < 0.7 * sizes[1]!, sizes.join(' '));
});

test('a variable frame rate keeps its timestamps', async () => {
  const times = [0, 0.04, 0.12, 0.13, 0.4, 0.5, 0.75, 1.5];
  for (const [name, tolerance] of [
    ['vfr.mp4', 1e-4],
    ['vfr.mkv', 1e-3],
    ['vfr.webm', 1e-3],
    ['vfr.gif', 0],
    ['vfr.webp', 0],
  ] as const) {
    // Browsers slow delays of 10 ms and less down, so an animation leaves the frame at 0.13 s out.
    const animation = tolerance === 0;
    const warnings = await writeScene(file(name), times.length, {}, times);
    const { clip, frames } = await readAll(file(name));
    const expected = animation ? times.filter((time) => time !== 0.13) : times;
    assert.equal(warnings.length, animation ? 1 : 0, warnings.join());
    assert.equal(clip.constantFrameRate, false);
    assert.equal(frames.length, expected.length, name);
    frames.forEach(({ timestamp, duration }, index) => {
      close(timestamp, expected[index]!, tolerance + 1e-9, name);
      const next = expected[index + 1];
      if (next !== undefined) close(duration, next - expected[index]!, 2 * tolerance + 1e-9, `${name} duration`);
    });
  }
});

test('timestamps that do not ascend, a missing one and a wrong size are refused', async () => {
  await using writer = await createClipWriter(file('wrong.mp4'), { width: 64, height: 48 });
  await writer.add(scene(64, 48, 0), 1);
  await assert.rejects(writer.add(scene(64, 48, 0), 1), RangeError);
  await assert.rejects(writer.add(scene(64, 48, 0)), RangeError);
  await assert.rejects(writer.add(scene(48, 64, 0), 2), /the clip is 64 x 48, the added picture 48 x 64/);
  await assert.rejects(createClipWriter(file('wrong.mp4'), { width: 0, height: 48 }), RangeError);
  await assert.rejects(createClipWriter(file('wrong.mp4'), { width: 64, height: 48, frameRate: 0 }), RangeError);
});

test('a frame range gives exactly those frames, from any frame on, and can be read again', async () => {
  await makeMp4(file('range.mp4'), { frames: 30 });
  await writeScene(file('range.mkv'), 30);
  await writeScene(file('range.gif'), 30);
  await writeScene(file('range/'), 30);
  const ranges = [
    [7, 20],
    [13, undefined],
    [0, 1],
    [29, 30],
    [25, 99],
  ] as const;
  for (const name of ['range.mp4', 'range.mkv', 'range.gif', 'range']) {
    const { frames: all } = await readAll(file(name));
    assert.equal(all.length, 30);
    for (const [start, end] of name === 'range.mp4' ? ranges : ranges.slice(0, 2)) {
      await using clip = await openClip(file(name), { start, end });
      for (let pass = 0; pass < 2; pass++) {
        const frames = await collect(clip);
        const expected = all.slice(start, end);
        assert.equal(clip.frameCount, expected.length, `${name} ${start} ${end}`);
        assert.deepEqual(
          frames.map(({ picture }) => picture),
          expected.map(({ picture }) => picture),
        );
        frames.forEach((frame, index) => {
          close(frame.timestamp, expected[index]!.timestamp - expected[0]!.timestamp, 1e-3, `${name} timestamp`);
        });
      }
    }
    await assert.rejects(openClip(file(name), { start: 30 }), /30 (frames|pictures), so there is no frame 30/);
  }
  await assert.rejects(openClip(file('range.mp4'), { start: 5, end: 5 }), RangeError);
  await assert.rejects(openClip(file('range.mp4'), { start: -1 }), RangeError);
});

test('every so many-th frame of a range can be read alone, from any kind of clip', async () => {
  await makeMp4(file('some.mp4'), { frames: 30 });
  await writeScene(file('some.gif'), 30);
  await writeScene(file('some/'), 30);
  for (const name of ['some.mp4', 'some.gif', 'some']) {
    const all = await readAll(file(name), { start: 3, end: 25 });
    const { clip, frames, warnings } = await readAll(file(name), { start: 3, end: 25, every: 5 });
    assert.deepEqual(warnings, []);
    assert.equal(clip.frameCount, 22, name);
    assert.equal(frames.length, 5);
    for (const [index, frame] of frames.entries()) assert.deepEqual(frame, all.frames[5 * index], `${name} ${index}`);
    assert.equal((await readAll(file(name), { every: 100 })).frames.length, 1);
  }
  await assert.rejects(openClip(file('some.mp4'), { every: 0 }), /every must be a whole number from 1 on, not 0/);
});

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

test('an open clip hands out other frames than it was opened for, otherwise cut, and then its own again', async () => {
  await writeScene(file('parts.mp4'), 20);
  await writeScene(file('parts/'), 6);
  await writeScene(file('parts.webm'), 340, { width: 16, height: 16 }); // no index: 300 frames are looked at on opening
  for (const [name, start, end, later] of [
    ['parts.mp4', 4, 18, 15],
    ['parts', 1, 6, 4],
    ['parts.webm', 4, 18, 335],
  ] as const) {
    await using clip = await openClip(file(name), { start, end });
    for (const part of [
      { every: 3 },
      { start: 2, end: 5, transform: { size: [32, 24] } },
      { start: later, end: later + 2 },
      { start: 0 },
    ] as const) {
      const own = await all(clip.frames(part));
      const { frames } = await readAll(file(name), { start, end, ...part });
      assert.deepEqual(own, frames, `${name} ${JSON.stringify(part)}`);
    }
    assert.deepEqual(await all(clip.frames()), (await readAll(file(name), { start, end })).frames);
    await assert.rejects(all(clip.frames({ start: 5, end: 5 })), RangeError);
    await assert.rejects(all(clip.frames({ start: 999, end: 1000 })), MediaError);
  }
});

test('whatever frames of a clip are asked for, its packets are gone through once', async () => {
  const packets = Array.from({ length: 25_000 }, (_, i) => ({ timestamp: i / 25 }));
  let read = 0;
  const sink = {
    async *packets(from = packets[0]!) {
      for (const packet of packets.slice(packets.indexOf(from))) {
        read += packet === from && from !== packets[0] ? 0 : 1;
        yield packet;
      }
    },
  };
  let told = 0;
  const times = new PacketTimes(sink as unknown as EncodedPacketSink, UNEDITED, true, () => told++);
  const upTo = (start: number, end?: number) => times.upTo({ path: 'hours.mp4', start, end });
  assert.equal((await upTo(0, 10)).complete, false);
  const opened = read;
  for (const start of [22_000, 22_010, 100, 0]) {
    const { shown, complete } = await upTo(start, start + 10);
    assert.deepEqual([shown[start]!.time, complete], [start / 25, false]);
  }
  assert.ok(opened < read && read < 22_100, `${read} packets`);
  const all = await upTo(24_990);
  assert.deepEqual([all.shown.length, all.complete, read], [25_000, true, 25_000]);
  await upTo(24_000);
  assert.equal(read, 25_000);
  assert.ok(told >= 25, `a watchdog heard of it ${told} times`);
});

test('a new iteration over a clip ends the one before it', async () => {
  await makeMp4(file('twice.mp4'));
  await using clip = await openClip(file('twice.mp4'));
  const older = clip.frames();
  await older.next();
  assert.equal((await collect(clip)).length, 30);
  await assert.rejects(async () => {
    while (!(await older.next()).done);
  }, MediaError);
});

test('the rotation of a phone video is applied', async () => {
  await makeMp4(file('upright.mp4'), { frames: 3 });
  const upright = await readAll(file('upright.mp4'));
  for (const rotation of [90, 270] as const) {
    await makeMp4(file('rotated.mp4'), { frames: 3, rotation });
    const { clip, frames } = await readAll(file('rotated.mp4'));
    assert.deepEqual([clip.width, clip.height], [48, 64]);
    frames.forEach(({ picture }, index) => {
      assert.deepEqual(picture, rotatePicture(upright.frames[index]!.picture, rotation));
    });
  }
});

test('odd sizes are padded to even ones by repeating the edge, and kept by the other formats', async () => {
  await writeScene(file('odd.mp4'), 4, { width: 33, height: 47 });
  const { clip, frames } = await readAll(file('odd.mp4'));
  assert.deepEqual([clip.width, clip.height], [34, 48]);
  for (const [index, { picture }] of frames.entries()) {
    assert(psnr(cropPicture(picture, { left: 0, top: 0, width: 33, height: 47 }), scene(33, 47, index)) > 36);
    const last = cropPicture(picture, { left: 33, top: 0, width: 1, height: 48 });
    const before = cropPicture(picture, { left: 32, top: 0, width: 1, height: 48 });
    assert(psnr(last, before) > 36);
  }
  for (const name of ['odd.gif', 'odd.webp', 'odd/']) {
    await writeScene(file(name), 4, { width: 33, height: 47 });
    const read = await readAll(file(name));
    assert.deepEqual([read.clip.width, read.clip.height], [33, 47]);
  }
});

test('a transform does on reading what the functions for pictures do', async () => {
  await makeMp4(file('whole.mp4'), { frames: 3, width: 96, height: 64 });
  const whole = await readAll(file('whole.mp4'));
  const crop = { left: 11, top: 5, width: 40, height: 50 };
  const { clip, frames } = await readAll(file('whole.mp4'), { transform: { crop, size: [32, 32] } });
  assert.deepEqual([clip.width, clip.height, clip.sourceWidth, clip.sourceHeight], [32, 32, 96, 64]);
  frames.forEach(({ picture }, index) => {
    assert.deepEqual(picture, resizePicture(cropPicture(whole.frames[index]!.picture, crop), 32, 32));
  });
  await assert.rejects(readAll(file('whole.mp4'), { transform: { crop: { ...crop, left: 90 } } }), MediaError);
});

test('the colour matrix and range of a file are honoured, and untagged means BT.601', async () => {
  for (const matrix of ['bt601', 'bt709'] as const) {
    for (const fullRange of [false, true]) {
      await makeMp4(file('tagged.mp4'), { frames: 2, color: { matrix, fullRange, tagged: true } });
      const { frames } = await readAll(file('tagged.mp4'));
      const quality = psnr(frames[0]!.picture, scene(64, 48, 0));
      assert(quality > 38, `${matrix} ${fullRange}: ${quality} dB`);
    }
  }
  await makeMp4(file('untagged.mp4'), { frames: 2, color: { matrix: 'bt601', fullRange: false, tagged: false } });
  assert(psnr((await readAll(file('untagged.mp4'))).frames[0]!.picture, scene(64, 48, 0)) > 38);
  await makeMp4(file('wrong709.mp4'), { frames: 2, color: { matrix: 'bt709', fullRange: false, tagged: false } });
  assert(psnr((await readAll(file('wrong709.mp4'))).frames[0]!.picture, scene(64, 48, 0)) < 36);
});

test('a larger picture is written with the matrix of high definition', async () => {
  await writeScene(file('hd.mp4'), 2, { width: 1280, height: 720 });
  assert.equal((await inspect(file('hd.mp4'))).color?.matrix, 'bt709');
  assert(psnr((await readAll(file('hd.mp4'))).frames[1]!.picture, scene(1280, 720, 1)) > 40);
});

/** Copies a clip's frames into a new file together with its sound. */
async function copyClip(clip: Clip, path: string) {
  const warnings: string[] = [];
  const onWarning = (text: string) => warnings.push(text);
  const { width, height, frameRate } = clip;
  await using writer = await createClipWriter(path, { width, height, frameRate, sound: clip, onWarning });
  for await (const { picture } of clip.frames()) await writer.add(picture);
  await writer.finish();
  return warnings;
}

test('sound is copied packet by packet where the container takes it', async () => {
  for (const [sound, container] of [
    ['aac', 'mp4'],
    ['aac', 'mov'],
    ['mp3', 'mp4'],
    ['opus', 'mp4'],
    ['opus', 'webm'],
    ['opus', 'mkv'],
  ] as const) {
    await makeMp4(file(`${sound}.mp4`), { sound, frames: 40 });
    await using clip = await openClip(file(`${sound}.mp4`));
    assert.equal(clip.hasAudio, true);
    const path = file(`with-${sound}.${container}`);
    assert.deepEqual(await copyClip(clip, path), []);
    const [before, after] = [await inspect(file(`${sound}.mp4`)), await inspect(path)];
    assert.equal(after.audioCodec, sound);
    assert.equal(after.times.length, 40);
    assert.equal(after.sound.length, before.sound.length, path);
    after.sound.forEach((packet, index) => {
      assert.deepEqual(Buffer.from(packet.data), Buffer.from(before.sound[index]!.data));
      close(packet.timestamp, before.sound[index]!.timestamp, 0.0015, path);
    });
  }
});

test('sound is coded anew where the container cannot take it', async () => {
  for (const [sound, container, codec] of [
    ['aac', 'webm', 'opus'],
    ['flac', 'mp4', 'aac'],
  ] as const) {
    await makeMp4(file(`${sound}.mp4`), { sound, frames: 40 });
    await using clip = await openClip(file(`${sound}.mp4`));
    const path = file(`anew-${sound}.${container}`);
    assert.deepEqual(await copyClip(clip, path), []);
    const { audioCodec, audioEnd } = await inspect(path);
    assert.equal(audioCodec, codec);
    close(audioEnd ?? 0, 1.6, 0.08, `${path} sound length`);
  }
});

test('sound is cut to the frame range, and to the frames really written', async () => {
  await makeMp4(file('sound.mp4'), { sound: 'aac', frames: 75 });
  for (const name of ['cut.mp4', 'cut.webm']) {
    await using clip = await openClip(file('sound.mp4'), { start: 25, end: 50 });
    await copyClip(clip, file(name));
    const { audioEnd, sound, times } = await inspect(file(name));
    assert.equal(times.length, 25);
    close(audioEnd ?? 0, 1, 0.08, `${name} sound length`);
    assert(sound[0]!.timestamp > -0.11 && sound[0]!.timestamp < 0.03, `${name} starts at ${sound[0]!.timestamp}`);
  }
  await using clip = await openClip(file('sound.mp4'));
  await using writer = await createClipWriter(file('short.mp4'), { width: 64, height: 48, frameRate: 25, sound: clip });
  for (let index = 0; index < 20; index++) await writer.add(scene(64, 48, index));
  await writer.finish();
  close((await inspect(file('short.mp4'))).audioEnd ?? 0, 0.8, 0.05, 'sound of 20 frames');
});

test('formats without sound say that it is left out', async () => {
  await makeMp4(file('sound.mp4'), { sound: 'aac', frames: 5 });
  for (const name of ['silent.gif', 'silent.webp', 'silent/']) {
    await using clip = await openClip(file('sound.mp4'));
    const warnings = await copyClip(clip, file(name));
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, /without sound/);
  }
});

test('an animated GIF or WebP longer than one encoded piece keeps every frame, its time and its look', async () => {
  for (const [name, least] of [
    ['long.gif', 26],
    ['long.webp', 33],
  ] as const) {
    await writeScene(file(name), 150, { metadata: { comment: 'made by a test' } });
    const { clip, frames } = await readAll(file(name));
    assert.deepEqual([clip.kind, clip.frameCount, clip.frameRate], ['animation', 150, 25]);
    assert.equal(frames.length, 150);
    frames.forEach(({ picture, timestamp }, index) => {
      close(timestamp, index / 25, 1e-9, name);
      const quality = psnr(picture, scene(64, 48, index));
      assert(quality > least, `${name} frame ${index}: ${quality} dB`);
    });
    const bytes = await readFile(file(name));
    assert(bytes.includes('made by a test'));
    assert.equal((await sharp(bytes, { animated: true }).metadata()).loop, 0);
  }
});

test('an animation may have any number of frames, but no frame of more than 8192 x 8192 pixels', async () => {
  const grey = { width: 900, height: 900, data: new Uint8Array(900 * 900 * 3).fill(128) };
  await using writer = await createClipWriter(file('grey.gif'), { width: 900, height: 900, frameRate: 25 });
  await writer.add(grey);
  await writer.finish();
  const image = gifFrames(await readFile(file('grey.gif')))[0]!;
  const frame = gifFrame(image, 4);
  const many = [gifHeader(900, 900), ...Array.from({ length: 340 }, () => frame), gifTrailer()];
  await writeFile(file('many.gif'), Buffer.concat(many));
  const { clip, frames } = await readAll(file('many.gif'), { start: 337 });
  assert.deepEqual([clip.width, clip.height, clip.frameCount, frames.length], [900, 900, 3, 3]);
  for (const { picture } of frames) assert(psnr(picture, grey) > 45);

  const area = Buffer.from(Uint16Array.of(0, 0, 9000, 9000).buffer);
  const huge = gifFrame({ ...image, area }, 4);
  const write = (name: string, count: number) => {
    const pieces = Array.from({ length: count }, () => huge);
    return writeFile(file(name), Buffer.concat([gifHeader(9000, 9000), ...pieces, gifTrailer()]));
  };
  await write('huge.gif', 2);
  await assert.rejects(openClip(file('huge.gif')), (error) => {
    return error instanceof MediaError && /: has 9000 x 9000 pixels; .* 8192 x 8192 /.test(error.message);
  });
  // A still is a picture, and a large picture is read smaller.
  await write('huge-still.gif', 1);
  await using still = await openClip(file('huge-still.gif'));
  assert.deepEqual([still.width, still.height, still.frameCount], [4500, 4500, 1]);
});

test('a single frame makes a valid GIF and WebP', async () => {
  for (const name of ['one.gif', 'one.webp']) {
    await writeScene(file(name), 1);
    assert(psnr(await readPicture(file(name)), scene(64, 48, 0)) > 26);
  }
});

test('a folder of frames is exact in both directions and read in natural order', async () => {
  await writeScene(file('frames/'), 12);
  assert.deepEqual((await names(file('frames'))).slice(0, 2), ['000000.png', '000001.png']);
  const { clip, frames } = await readAll(file('frames'), { frameRate: 30 });
  assert.deepEqual([clip.kind, clip.frameCount, clip.frameRate], ['folder', 12, 30]);
  frames.forEach(({ picture, timestamp }, index) => {
    assert.deepEqual(picture, scene(64, 48, index));
    close(timestamp, index / 30, 1e-9, 'timestamp');
  });

  await mkdir(file('natural'));
  await writeFile(join(file('natural'), 'notes.txt'), 'not a picture');
  for (const index of [1, 2, 10, 11])
    await writePicture(join(file('natural'), `img${index}.png`), scene(32, 32, index));
  const natural = await readAll(file('natural'));
  assert.deepEqual(
    natural.frames.map(({ picture }) => picture),
    [1, 2, 10, 11].map((index) => scene(32, 32, index)),
  );
});

test('a folder of frames is replaced by a shorter one, but never a folder with other things in it', async () => {
  await writeScene(file('again'), 6);
  await writeScene(file('again'), 3);
  assert.deepEqual(await names(file('again')), ['000000.png', '000001.png', '000002.png']);
  await writeFile(join(file('again'), 'precious.txt'), 'mine');
  await assert.rejects(writeScene(file('again'), 2), /holds precious\.txt/);
  assert.equal((await names(file('again'))).length, 4);
});

test('two writers of one output do not meet, and what lies beside it is left alone', async () => {
  const inner = file('shared');
  await mkdir(join(inner, 'a.part'), { recursive: true });
  await writeFile(join(inner, 'a.part', 'precious.txt'), 'mine');
  await writeFile(join(inner, 'a.gif.part'), 'mine');
  for (const name of ['a/', 'a.gif']) {
    const path = join(inner, name);
    const first = await createClipWriter(path, { width: 64, height: 48, frameRate: 25 });
    const second = await createClipWriter(path, { width: 32, height: 32, frameRate: 25 });
    for (let index = 0; index < 4; index++) await first.add(scene(64, 48, index));
    await second.add(scene(32, 32, 0));
    await first.finish();
    const early = await readAll(path);
    assert.deepEqual([early.clip.width, early.frames.length], [64, 4]);
    await second.add(scene(32, 32, 1));
    await second.finish();
    const late = await readAll(path);
    assert.deepEqual([late.clip.width, late.frames.length], [32, 2]);
  }
  assert.deepEqual(await names(inner), ['a', 'a.gif', 'a.gif.part', 'a.part']);
  assert.deepEqual(await names(join(inner, 'a.part')), ['precious.txt']);
  assert.equal(await readFile(join(inner, 'a.gif.part'), 'utf8'), 'mine');

  // What was put into the output folder while the frames were being made.
  const writer = await createClipWriter(join(inner, 'a/'), { width: 32, height: 32, frameRate: 25 });
  await writer.add(scene(32, 32, 0));
  await writeFile(join(inner, 'a', 'precious.txt'), 'mine');
  await assert.rejects(writer.finish(), /holds precious\.txt/);
  assert.deepEqual(await names(join(inner, 'a')), ['000000.png', '000001.png', 'precious.txt']);
  assert.deepEqual(await names(inner), ['a', 'a.gif', 'a.gif.part', 'a.part']);
});

test('a still picture is a clip of one frame, and the content counts, not the name', async () => {
  await writePicture(file('still.png'), scene(20, 20, 0));
  const { clip, frames } = await readAll(file('still.png'));
  assert.deepEqual([clip.kind, frames.length], ['image', 1]);
  assert.deepEqual(frames[0]!.picture, scene(20, 20, 0));
  await writeScene(file('named.gif'), 3);
  await rename(file('named.gif'), file('named.mp4'));
  assert.equal((await readAll(file('named.mp4'))).clip.kind, 'animation');
});

test('a writer that is cancelled, left by an error or given no frame leaves nothing and keeps the old file', async () => {
  const inner = file('early');
  await mkdir(inner);
  for (const name of ['a.mp4', 'a.gif', 'a.webp', 'a/']) {
    const path = join(inner, name);
    if (name !== 'a/') await writeFile(path, 'old');
    const before = await names(inner);
    const write = async () => {
      await using writer = await createClipWriter(path, { width: 64, height: 48, frameRate: 25 });
      for (let index = 0; index < 5; index++) await writer.add(scene(64, 48, index));
      throw new Error('interrupted');
    };
    await assert.rejects(write, /interrupted/);
    assert.deepEqual(await names(inner), before);
    const empty = await createClipWriter(path, { width: 64, height: 48, frameRate: 25 });
    await assert.rejects(empty.finish(), /no frames/);
    await assert.rejects(empty.add(scene(64, 48, 0)), /no longer open/);
    assert.deepEqual(await names(inner), before);
    if (name !== 'a/') assert.equal(await readFile(path, 'utf8'), 'old');
  }
});

test('an output that cannot be written is one clear error at once', async () => {
  const size = { width: 64, height: 48, frameRate: 25 };
  const cases: [string, RegExp][] = [
    [join(folder, 'missing', 'a.mp4'), /the folder .*missing does not exist/],
    [file('a.avi'), /not as '\.avi'/],
  ];
  await mkdir(file('taken.mp4'));
  cases.push([file('taken.mp4'), /is a folder/]);
  await writeFile(file('plain'), 'a file');
  cases.push([join(file('plain'), 'a.mp4'), /is not a folder/], [file('plain'), /cannot be written/]);
  for (const [path, reason] of cases) {
    await assert.rejects(createClipWriter(path, size), (error) => {
      assert(error instanceof MediaError, String(error));
      assert.equal(error.path, path);
      assert.match(error.message, reason);
      return true;
    });
  }
});

test('a program that ends with clips open ends at once, quietly, and leaves no half-written file', async () => {
  await makeMp4(file('open.mp4'), { frames: 60 });
  const inner = file('left');
  await mkdir(inner);
  const media = new URL('../src/media/index.js', import.meta.url).href;
  const script = `
    import { createClipWriter, openClip } from ${JSON.stringify(media)};
    const clip = await openClip(${JSON.stringify(file('open.mp4'))});
    const writer = await createClipWriter(${JSON.stringify(join(inner, 'out.mp4'))}, { width: 64, height: 48, frameRate: 25 });
    for await (const { picture } of clip.frames()) { await writer.add(picture); break; }`;
  const run = promisify(execFile);
  const { stdout, stderr } = await run(process.execPath, ['--input-type=module', '-e', script]);
  assert.deepEqual([stdout, stderr], ['', '']);
  assert.deepEqual(await names(inner), []);
  const thrown = run(process.execPath, ['--input-type=module', '-e', `${script}\nthrow new Error('unexpected');`]);
  await assert.rejects(thrown, /unexpected/);
  assert.deepEqual(await names(inner), []);
});

test('of a program that is killed no half-written file is left', async () => {
  await makeMp4(file('killed.mp4'), { frames: 60 });
  const inner = file('killed');
  await mkdir(inner);
  const media = new URL('../src/media/index.js', import.meta.url).href;
  for (const name of ['out.mp4', 'out.gif', 'frames/']) {
    const script = `
      import { createClipWriter, openClip } from ${JSON.stringify(media)};
      const clip = await openClip(${JSON.stringify(file('killed.mp4'))});
      const writer = await createClipWriter(${JSON.stringify(join(inner, name))}, { width: 64, height: 48, frameRate: 25 });
      let added = 0;
      for await (const { picture } of clip.frames()) { await writer.add(picture); if (++added === 6) break; }
      process.kill(process.pid, 'SIGKILL');`;
    const words = ['--input-type=module', '-e', script];
    await assert.rejects(promisify(execFile)(process.execPath, words), { signal: 'SIGKILL' });
    const patience = Date.now() + 120_000;
    while ((await names(inner)).length > 0 && Date.now() < patience) await setTimeout(50);
    assert.deepEqual(await names(inner), [], name);
  }
});

test('frames arrive one after the other as pictures of their own', async () => {
  await makeMp4(file('own.mp4'), { frames: 6 });
  await using clip = await openClip(file('own.mp4'));
  const kept: Picture[] = [];
  for await (const { picture } of clip.frames()) {
    assert.equal(picture.data.buffer.byteLength, 64 * 48 * 3);
    kept.push(picture);
  }
  kept[0]!.data.fill(0);
  assert(psnr(kept[1]!, scene(64, 48, 1)) > 36);
});
