/** Samples and batches: which frames are drawn, in which order, by whom, how they are changed, and how loading ends. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { liveTensors, type Tensor } from '@dagan/libtorch';
import { expressionsOf } from '../src/data/face-cues.js';
import {
  type ClipSample,
  changeColors,
  type FramePairBatch,
  type LoaderOptions,
  openDataset,
  openPairLoader,
  openTripletLoader,
  type PreparedDataset,
  prepareFrames,
  prepareMeshes,
  Random,
  readMeshes,
  SampleSequence,
  type SamplingOptions,
} from '../src/data/index.js';
import { preparePortraits } from '../src/data/portraits/portrait-store.js';
import { FaceAnalyzer, MIRRORED_POINTS, TRAVELLING_POINTS } from '../src/faces/index.js';
import {
  createPicture,
  cropPicture,
  MediaError,
  readPicture,
  resizePicture,
  writePicture,
} from '../src/media/index.js';
import { tensorToPictures } from '../src/tensors/pictures.js';
import { makeFolderClip, makeMarkedSet, makeVideoClip, markedFrame, markOf, SIDE } from './data-fixtures.js';
import { temporaryFolder } from './media-fixtures.js';
import { sharedMissing, sharedPath } from './shared.js';

const folder = await temporaryFolder();

/** Five identities with one to three clips. */
const CLIPS = ['a_1', 'a_2', 'a_3', 'b_1', 'b_2', 'c_1', 'd_1', 'e_1'];
const marked = await makeMarkedSet(join(folder, 'marked'), CLIPS);

/** A set like a large one: 40 identities, of which identity i has 1 + i % 5 clips. */
const large: PreparedDataset = {
  root: '',
  size: SIDE,
  leftOut: [],
  clips: Array.from({ length: 40 }, (_, i) => i).flatMap((i) =>
    Array.from({ length: 1 + (i % 5) }, (_, clip) => ({
      name: `train/p${i}_${clip}`,
      path: '',
      kind: 'folder' as const,
      identity: `p${i}`,
      frames: 2 + ((7 * i + clip) % 30),
      store: '',
    })),
  ),
};

const sequence = (options: Partial<SamplingOptions> = {}, dataset = large) =>
  new SampleSequence(dataset, { seed: 1, count: 2, frames: { kind: 'random' }, ...options });

const epoch = (samples: SampleSequence, number: number) =>
  Array.from({ length: samples.epochLength }, (_, i) => samples.at(number * samples.epochLength + i) as ClipSample);

/** What a batch holds, as plain data, after which it is disposed of. */
function contents(batch: FramePairBatch) {
  using _ = batch;
  const [source, driving] = [batch.source.toFloat32Array(), batch.driving.toFloat32Array()];
  return { names: batch.names, frames: batch.frames, source, driving };
}

/** The next `count` batches of a new loader, and its position after each. */
async function take(count: number, options: Partial<LoaderOptions> = {}, dataset = marked) {
  await using loader = openPairLoader(dataset, { batchSize: 3, seed: 7, ...options });
  const batches: ReturnType<typeof contents>[] = [];
  const states = [loader.state()];
  for (let i = 0; i < count; i++) {
    batches.push(contents(await loader.next()));
    states.push(loader.state());
  }
  return { batches, states };
}

test('an epoch is every identity as often as asked for, each with a clip of its own', () => {
  for (const numRepeats of [1, 3]) {
    const samples = sequence({ numRepeats });
    assert.equal(samples.epochLength, 40 * numRepeats);
    const orders = [0, 1, 2].map((number) => {
      const drawn = epoch(samples, number).map(({ clip }) => clip.identity);
      assert.deepEqual(
        [...drawn].sort(),
        large.clips
          .flatMap(({ name, identity }) => (name.endsWith('_0') ? Array(numRepeats).fill(identity) : []))
          .sort(),
      );
      return drawn.join();
    });
    assert.equal(new Set(orders).size, 3);
  }
});

test('the clips of an identity come equally often, and so do the frames of a clip', () => {
  const samples = sequence({ numRepeats: 50 });
  const clips = new Map<string, number>();
  const firstClip = new Map<number, number>();
  let drawn = 0;
  for (const number of [0, 1, 2, 3]) {
    for (const { clip, frames } of epoch(samples, number)) {
      const [first, second] = [...frames].sort((a, b) => a - b);
      assert(first! >= 0 && first! < second! && second! < clip.frames);
      if (clip.identity === 'p4') clips.set(clip.name, (clips.get(clip.name) ?? 0) + 1);
      if (clip.name !== 'train/p5_0') continue;
      drawn++;
      for (const frame of frames) firstClip.set(frame, (firstClip.get(frame) ?? 0) + 1);
    }
  }
  assert.equal(clips.size, 5);
  for (const times of clips.values()) assert(times > 20 && times < 65, `${times} of 200, 40 expected`);
  const { frames } = large.clips.find(({ name }) => name === 'train/p5_0')!;
  assert.equal(firstClip.size, frames);
  for (const times of firstClip.values()) assert(times < (6 * drawn) / frames, `${times} of ${drawn} samples`);
});

test('a sample depends on seed and position alone, and augmentation does not change which frames it has', () => {
  const positions = [0, 500, 3, 39, 40, 41, 1e9];
  const draw = (options: Partial<SamplingOptions>) => {
    const samples = sequence(options);
    return new Map(positions.map((position) => [position, samples.at(position) as ClipSample]));
  };
  const reference = draw({});
  assert.deepEqual(reference, new Map([...positions].reverse().map((position) => [position, sequence().at(position)])));
  assert.notDeepEqual(reference, draw({ seed: 2 }));
  for (const [position, { clip, frames, augmentation }] of draw({ augmentation: false })) {
    const with_: ClipSample = reference.get(position)!;
    assert.deepEqual(augmentation, { mirror: false, reverse: false, colors: [], view: { side: 1, right: 0, down: 0 } });
    assert.deepEqual([clip, frames], [with_.clip, [...with_.frames].sort((a, b) => a - b)]);
  }
});

test('neighbours lie the spacing apart, as far as the clip allows, and the spacing may depend on the clip', () => {
  for (const count of [2, 3] as const) {
    for (const spacing of [undefined, 1, 4, ({ frames }: { frames: number }) => 1 + (frames % 3)]) {
      const samples = sequence({ count, frames: { kind: 'neighbours', spacing }, augmentation: false });
      for (const { clip, frames } of [...epoch(samples, 0), ...epoch(samples, 1)]) {
        if (clip.frames < count) continue;
        const wanted = typeof spacing === 'function' ? spacing(clip) : (spacing ?? 1);
        const step = Math.min(wanted, Math.floor((clip.frames - 1) / (count - 1)));
        assert.deepEqual(
          frames,
          Array.from({ length: count }, (_, i) => frames[0]! + i * step),
        );
        assert(frames[0]! >= 0 && frames.at(-1)! < clip.frames);
      }
    }
  }
  for (const spacing of [0, 1.5, () => -1]) {
    assert.throws(() => sequence({ frames: { kind: 'neighbours', spacing } }), RangeError);
  }
});

test('a batch holds the frames it says, bit for bit, when augmentation is off', async () => {
  const { batches } = await take(4, { augmentation: false });
  for (const { names, frames, source, driving } of batches) {
    assert.equal(source.length, 3 * 3 * SIDE * SIDE);
    for (let i = 0; i < 3; i++) {
      const clip = CLIPS.indexOf(names[i]!.slice('train/'.length));
      const [first, second] = frames[i]!;
      assert(first! < second!);
      for (const [values, frame] of [
        [source, first],
        [driving, second],
      ] as const) {
        const seen = markOf(values, i);
        assert.deepEqual([Math.round(1e3 * seen.clip), Math.round(1e3 * seen.frame)], [1e3 * clip, 1e3 * frame!]);
        const at = (3 * i + 2) * SIDE * SIDE; // the first and the last blue number of the first row
        assert.deepEqual([values[at], values[at + SIDE - 1]], [Math.fround(92 / 255), Math.fround(100 / 255)]);
      }
    }
  }
});

test('a triplet is three neighbours, and all tensors are freed with their batches', async () => {
  const before = liveTensors();
  await using loader = openTripletLoader(marked, { batchSize: 4, seed: 3, spacing: 2, augmentation: { timeFlip: 1 } });
  for (let i = 0; i < 3; i++) {
    using batch = await loader.next();
    assert.equal(liveTensors(), before + 3);
    const { previous, target, next } = batch;
    for (const each of [previous, target, next]) assert.deepEqual([...each.shape], [4, 3, SIDE, SIDE]);
    for (const [first, second, third] of batch.frames) assert.deepEqual([first! - 2, first! - 4], [second, third]);
  }
  assert.equal(liveTensors(), before);
  const short = { ...marked, clips: [{ ...marked.clips[0]!, frames: 2 }] };
  assert.throws(() => openTripletLoader(short, { batchSize: 1, seed: 0 }), /has 2 frames; a sample needs 3/);
});

test('a run taken up at any position sees what the uninterrupted one saw, whatever its batches and workers', async () => {
  const whole = await take(12);
  assert.deepEqual(await take(12, { workers: 3, prefetch: 2 }), whole);
  for (const done of [0, 1, 2, 5, 11]) {
    const state = JSON.parse(JSON.stringify(whole.states[done]));
    const rest = await take(12 - done, { state, prefetch: 1 + done });
    assert.deepEqual(rest, { batches: whole.batches.slice(done), states: whole.states.slice(done) });
  }
  const larger = await take(2, { batchSize: 6, state: whole.states[4] });
  assert.deepEqual(
    larger.batches.flatMap(({ names, frames }) => names.map((name, i) => [name, frames[i]])),
    whole.batches.slice(4, 8).flatMap(({ names, frames }) => names.map((name, i) => [name, frames[i]])),
  );
  assert.deepEqual(larger.states.at(-1), whole.states[8]);
  assert.notDeepEqual((await take(12, { seed: 8 })).batches, whole.batches);
});

test('ranks share every step’s samples without overlap, and together see what one process sees', async () => {
  const alone = await take(5, { batchSize: 6, numRepeats: 3 });
  const ranks = await Promise.all(
    [0, 1, 2].map((rank) => take(5, { batchSize: 2, rank, worldSize: 3, numRepeats: 3 })),
  );
  for (const [step, batch] of alone.batches.entries()) {
    const parts = ranks.map(({ batches }) => batches[step]!);
    assert.deepEqual(
      parts.flatMap(({ frames }) => frames),
      batch.frames,
    );
    assert.deepEqual(Float32Array.from(parts.flatMap(({ source }) => [...source])), batch.source);
  }
  assert.deepEqual(
    ranks.map(({ states }) => states),
    [alone.states, alone.states, alone.states],
  );
  const joined = await take(2, { batchSize: 6, numRepeats: 3, state: ranks[1]!.states[3] });
  assert.deepEqual(joined, { batches: alone.batches.slice(3), states: alone.states.slice(3) });
});

test('a position is refused for other data, another seed or other sampling, unless that is accepted', async () => {
  const { states } = await take(1);
  const state = states[1]!;
  const open = (options: Partial<LoaderOptions>, dataset = marked) =>
    openPairLoader(dataset, { batchSize: 3, seed: 7, state, ...options }).close();
  const changed = { ...marked, clips: marked.clips.slice(1) };
  const refused = /is not as it was when the run was saved/;
  assert.throws(() => open({}, changed), refused);
  assert.throws(() => open({ seed: 8 }), refused);
  assert.throws(() => open({ numRepeats: 2 }), refused);
  assert.throws(() => open({ state: { ...state, samples: -1 }, acceptChangedData: true }), RangeError);
  await open({});
  await open({ augmentation: false, batchSize: 2, workers: 2 });
  await open({ acceptChangedData: true }, changed);
  for (const wrong of [
    { batchSize: 0 },
    { rank: 2, worldSize: 2 },
    { workers: 1.5 },
    { prefetch: 0 },
    { numRepeats: 0 },
  ]) {
    assert.throws(() => open(wrong), RangeError);
  }
});

test('augmentation mirrors, swaps and colours both frames alike and stays within [0, 1]', async () => {
  const root = join(folder, 'still');
  // Both frames are the same picture: whatever is done to them, they must stay so.
  await mkdir(join(root, 'train/one'), { recursive: true });
  for (const name of ['0.png', '1.png']) await writePicture(join(root, 'train/one', name), markedFrame(24, 3));
  const still = await prepareFrames(await openDataset(root), { size: SIDE });
  const plain = (await take(1, { augmentation: false, batchSize: 1 }, still)).batches[0]!.source;
  const seen = { mirrored: 0, swapped: 0, colours: new Set<number>() };
  for (const { source, driving, frames } of (await take(40, { batchSize: 1 }, still)).batches) {
    assert.deepEqual(source, driving);
    assert(source.every((value) => value >= 0 && value <= 1));
    const last = 2 * SIDE * SIDE + SIDE - 1;
    if (source[last]! < source[last - SIDE + 1]!) seen.mirrored++;
    if (frames[0]![0] === 1) seen.swapped++;
    seen.colours.add(source[last]!);
    // 10 % each of brightness, contrast and saturation, and a tenth of the circle: far from anything.
    assert(source.every((value, i) => Math.abs(value - plain[i]!) < 0.7));
  }
  assert(seen.mirrored > 8 && seen.mirrored < 32, `mirrored ${seen.mirrored} times of 40`);
  assert(seen.swapped > 8 && seen.swapped < 32, `swapped ${seen.swapped} times of 40`);
  assert.equal(seen.colours.size, 40);

  const none = { brightness: 0, contrast: 0, saturation: 0, hue: 0 };
  const flips = async (horizontalFlip: number, timeFlip: number) =>
    (await take(6, { batchSize: 1, augmentation: { ...none, horizontalFlip, timeFlip } }, still)).batches;
  for (const { source, frames } of await flips(0, 1)) {
    assert.deepEqual(frames, [[1, 0]]);
    assert(source.every((value, i) => Math.abs(value - plain[i]!) < 1e-6));
  }
  for (const { source, frames } of await flips(1, 0)) {
    assert.deepEqual(frames, [[0, 1]]);
    source.forEach((value, i) => {
      const mirrored = plain[i - (i % SIDE) + SIDE - 1 - (i % SIDE)]!;
      assert(Math.abs(value - mirrored) < 1e-6);
    });
  }
  for (const wrong of [
    { hue: 0.6 },
    { zoom: -0.1 },
    { horizontalFlip: 2 },
    { contrast: -0.1 },
    { brightness: Number.NaN },
  ]) {
    assert.throws(() => openPairLoader(still, { batchSize: 1, seed: 0, augmentation: wrong }), RangeError);
  }
});

test('zoom shows a square of the frames, the same of both, of any size up to the zoom and anywhere', async () => {
  const root = join(folder, 'slopes');
  // Red tells how far right a pixel is, green how far down; the frames are wider than high.
  const [width, height, side] = [96, 64, 32];
  const slopes = createPicture(width, height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) slopes.data.set([2 * x, 2 * y, 0], 3 * (y * width + x));
  }
  await mkdir(join(root, 'train/one'), { recursive: true });
  for (const name of ['0.png', '1.png']) await writePicture(join(root, 'train/one', name), slopes);
  const frames = await prepareFrames(await openDataset(root), { size: height });
  const none = { brightness: 0, contrast: 0, saturation: 0, hue: 0, horizontalFlip: 0, timeFlip: 0 };
  const options = { batchSize: 1, size: side, augmentation: { ...none, zoom: 1 } };

  /** Where the first and the last pixel centres of a row or column lie in the frame. */
  const extent = (first: number, last: number): [number, number] => {
    const [from, to] = [(first * 255) / 2 + 0.5, (last * 255) / 2 + 0.5];
    const pixel = (to - from) / (side - 1);
    return [from - pixel / 2, to + pixel / 2];
  };
  const seen = (await take(60, options, frames)).batches.map(({ source, driving }) => {
    assert.deepEqual(source, driving);
    const area = side * side;
    const [left, right] = extent(source[0]!, source[side - 1]!);
    const [top, bottom] = extent(source[area]!, source[2 * area - side]!);
    assert(Math.abs(right - left - (bottom - top)) < 0.6, 'it is a square');
    assert(
      left > 15.5 && right < 80.5 && top > -0.5 && bottom < 64.5,
      `${[left, right, top, bottom]} leaves the middle`,
    );
    return { side: right - left, left: left - 16, top, leftOver: 64 - (right - left) };
  });
  const sides = seen.map((view) => view.side);
  assert(Math.min(...sides) > 31 && Math.min(...sides) < 38 && Math.max(...sides) > 56 && Math.max(...sides) < 64.5);
  const loose = seen.filter(({ leftOver }) => leftOver > 8);
  for (const offset of ['left', 'top'] as const) {
    const places = loose.map((view) => view[offset] / view.leftOver);
    assert(Math.min(...places) < 0.2 && Math.max(...places) > 0.8, `${offset}: ${places}`);
  }

  const [plain] = (await take(1, { batchSize: 1, size: side, augmentation: false }, frames)).batches;
  const middle = resizePicture(cropPicture(slopes, { left: 16, top: 0, width: 64, height: 64 }), side, side);
  plain!.source.forEach((value, i) => {
    const [channel, pixel] = [Math.floor(i / (side * side)), i % (side * side)];
    assert(Math.abs(value * 255 - middle.data[3 * pixel + channel]!) < 1e-4);
  });
});

test('brightness, contrast, saturation and hue follow their formulas', () => {
  const random = new Random('test colours');
  const pixels = Array.from({ length: 200 }, () => [random.next(), random.next(), random.next()] as const);
  pixels.push(
    [0, 0, 0],
    [1, 1, 1],
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
    [0.5, 0.5, 0.25],
    [0.2, 0.7, 0.7],
    [0.1, 0.2, 0.3],
  );
  const grey = ([r, g, b]: readonly [number, number, number]) => 0.2989 * r + 0.587 * g + 0.114 * b;
  const apply = (kind: 'brightness' | 'contrast' | 'saturation' | 'hue', amount: number) => {
    const half = pixels.length / 2;
    const frames = [pixels.slice(0, half), pixels.slice(half)].map((part) =>
      Float32Array.from([0, 1, 2].flatMap((channel) => part.map((pixel) => pixel[channel]!))),
    );
    changeColors(frames, [{ kind, amount }]);
    return frames.flatMap((frame) => {
      const count = frame.length / 3;
      return Array.from({ length: count }, (_, i) => [frame[i]!, frame[count + i]!, frame[2 * count + i]!]);
    });
  };
  const check = (got: number[][], expected: (pixel: readonly [number, number, number], c: number) => number) => {
    got.forEach((pixel, i) => {
      pixel.forEach((value, channel) => {
        const wanted = Math.min(1, Math.max(0, expected(pixels[i]!, channel)));
        assert(Math.abs(value - wanted) < 1e-5, `pixel ${pixels[i]} channel ${channel}: ${value}, not ${wanted}`);
      });
    });
  };
  const mean = pixels.reduce((sum, pixel) => sum + grey(pixel), 0) / pixels.length;
  for (const amount of [0, 0.9, 1, 1.1, 1.7]) {
    check(apply('brightness', amount), (pixel, c) => amount * pixel[c]!);
    check(apply('contrast', amount), (pixel, c) => amount * pixel[c]! + (1 - amount) * mean);
    check(apply('saturation', amount), (pixel, c) => amount * pixel[c]! + (1 - amount) * grey(pixel));
  }
  for (const turn of [-0.5, -0.1, -0.03, 0, 0.04, 0.1, 1 / 3, 0.5]) {
    check(apply('hue', turn), (pixel, c) => turnedHue(pixel, turn)[c]!);
  }
});

/** RGB to HSV by the textbook, the hue turned, and back by the six sectors of the colour circle. */
function turnedHue([r, g, b]: readonly [number, number, number], turn: number): number[] {
  const value = Math.max(r, g, b);
  const chroma = value - Math.min(r, g, b);
  if (chroma === 0) return [r, g, b];
  const sixths = value === r ? (g - b) / chroma : value === g ? 2 + (b - r) / chroma : 4 + (r - g) / chroma;
  const hue = (((sixths / 6 + turn) % 1) + 1) % 1;
  const sector = Math.floor(hue * 6);
  const part = hue * 6 - sector;
  const saturation = chroma / value;
  const p = value * (1 - saturation);
  const q = value * (1 - saturation * part);
  const t = value * (1 - saturation * (1 - part));
  return [
    [value, t, p],
    [q, value, p],
    [p, value, t],
    [p, q, value],
    [t, p, value],
    [value, p, q],
  ][sector % 6]!;
}

test('a frame that cannot be read ends loading with the name of its file', async () => {
  const root = join(folder, 'breaking');
  await makeFolderClip(join(root, 'train/a'), 1, 4);
  await makeVideoClip(join(root, 'train/b.mp4'), 4);
  const both = await prepareFrames(await openDataset(root), { size: SIDE });
  const only = (index: number) => ({ ...both, clips: [both.clips[index]!] });
  const failure = async (dataset: PreparedDataset, path: string, reason: RegExp) => {
    await using loader = openPairLoader(dataset, { batchSize: 2, seed: 0 });
    for (const _ of [1, 2]) {
      await assert.rejects(loader.next(), (error) => {
        assert(error instanceof MediaError, String(error));
        assert(error.path.startsWith(path), error.message);
        assert.match(error.reason, reason);
        return true;
      });
    }
    assert.equal(loader.state().samples, 0);
  };
  const frames = ['0000000.png', '0000001.png', '0000002.png', '0000003.png'].map((name) =>
    join(root, 'train/a', name),
  );
  for (const frame of frames) await writeFile(frame, 'not a picture');
  await failure(only(0), join(root, 'train/a'), /not an image format/);
  for (const frame of frames) await rm(frame);
  await failure(only(0), join(root, 'train/a'), /has no frame \d any more/);
  const { store } = both.clips[1]!;
  await truncate(store, 50);
  await failure(only(1), store, /is damaged; the frame cache has changed during the run/);
  await rm(store);
  await failure(only(1), store, /no such file.*|the frame cache has changed/);

  await using loader = openPairLoader({ ...marked, size: 1e6 }, { batchSize: 100, seed: 0 });
  await assert.rejects(loader.next(), /a loader's worker failed: .*(array|memory)/i);
});

test('no more batches than allowed are made ahead, so memory does not grow while training is slow', async () => {
  const root = join(folder, 'ahead');
  await makeFolderClip(join(root, 'train/a'), 1, 3);
  const dataset = await prepareFrames(await openDataset(root), { size: SIDE });
  await using loader = openPairLoader(dataset, { batchSize: 1, seed: 0, prefetch: 3 });
  (await loader.next())[Symbol.dispose]();
  // Whatever is read from now on fails. Three batches may have been read before, and no other.
  await new Promise((resolve) => setTimeout(resolve, 300));
  await rm(join(root, 'train/a'), { recursive: true });
  let good = 0;
  await assert.rejects(async () => {
    for (; ; good++) (await loader.next())[Symbol.dispose]();
  }, MediaError);
  assert(good <= 3, `${good} batches were ready`);
});

test('closing ends a loader that is being waited for, and an open one does not keep the program alive', async () => {
  const loader = openPairLoader(marked, { batchSize: 64, seed: 0, prefetch: 8 });
  const waiting = loader.next();
  await Promise.all([assert.rejects(waiting, /the loader is closed/), loader.close()]);
  await assert.rejects(loader.next(), /the loader is closed/);
  await loader.close();

  const index = fileURLToPath(new URL('../src/data/index.js', import.meta.url));
  const program = `
    import { openDataset, openPairLoader, prepareFrames } from ${JSON.stringify(`file://${index}`)};
    const dataset = await prepareFrames(await openDataset(${JSON.stringify(marked.root)}), { size: ${SIDE} });
    const loader = openPairLoader(dataset, { batchSize: 2, seed: 0 });
    const { names } = await loader.next();
    const other = openPairLoader(dataset, { batchSize: 2, seed: 0, workers: 2 });
    const waiting = other.next().catch((error) => error.message);
    await other.close();
    console.log(names.length, await waiting);`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
    timeout: 300_000, // it ends by itself long before
  });
  assert.equal(stdout, '2 the loader is closed\n');
});

test('mouth, eyes and landmarks are where the face has them, mirrored or not; without a face nothing is marked', async () => {
  const root = join(folder, 'faces');
  const portrait = await readPicture(fileURLToPath(new URL('../../../../examples/portrait.png', import.meta.url)));
  for (const [name, picture] of [
    ['face', portrait],
    ['wall', createPicture(64, 64)],
  ] as const) {
    await mkdir(join(root, 'train', name), { recursive: true });
    for (const frame of [0, 1]) await writePicture(join(root, 'train', name, `${frame}.png`), picture);
  }
  const prepared = await prepareFrames(await openDataset(root), { size: 128 });
  const meshes = await prepareMeshes(prepared);
  await using analyzer = await FaceAnalyzer.load({ mesh: 'refined' });
  const mesh = (await analyzer.track(resizePicture(portrait, 128, 128)))!;
  const place = (index: number, mirror: boolean): [number, number] => {
    const [x, y] = [mesh.points[index * 3]!, mesh.points[index * 3 + 1]!];
    return [mirror ? 128 - x : x, y];
  };
  const count = TRAVELLING_POINTS.length;
  for (const mirror of [false, true]) {
    const still = { timeFlip: 0, brightness: 0, contrast: 0, saturation: 0, hue: 0 };
    const augmentation = { ...still, horizontalFlip: mirror ? 1 : 0 };
    await using loader = openPairLoader(prepared, { batchSize: 2, seed: 1, meshes, augmentation });
    using batch = await loader.next();
    assert.deepEqual(batch.regions?.shape, [2, 1, 128, 128]);
    const of = (name: string) => batch.names.indexOf(`train/${name}`);
    const masks = batch.regions.toFloat32Array();
    const markedAt = (index: number): number => {
      const [x, y] = place(index, mirror);
      return masks[of('face') * 128 * 128 + Math.floor(y) * 128 + Math.floor(x)]!;
    };
    const [lips, eye, forehead, brow] = [13, 159, 10, 9];
    assert.deepEqual([lips, eye, forehead, brow].map(markedAt), [1, 1, 0, 0], `mirrored: ${mirror}`);
    assert.ok(masks.subarray(of('wall') * 128 * 128, (of('wall') + 1) * 128 * 128).every((value) => value === 0));
    assert.deepEqual(batch.landmarks?.shape, [2, 2, count, 3]);
    const landmarks = batch.landmarks.toFloat32Array();
    const names = mirror ? MIRRORED_POINTS : TRAVELLING_POINTS;
    for (const frame of [0, 1]) {
      for (const [i, point] of names.entries()) {
        const at = ((of('face') * 2 + frame) * count + i) * 3;
        const found = [0, 1].map((axis) => ((landmarks[at + axis]! + 1) / 2) * 127 + 0.5);
        const expected = place(point, mirror);
        assert.ok(
          Math.hypot(found[0]! - expected[0], found[1]! - expected[1]) < 2.5,
          `${point}: ${found}, ${expected}`,
        );
        assert.equal(landmarks[at + 2], 1);
        const wall = ((of('wall') * 2 + frame) * count + i) * 3;
        assert.deepEqual([...landmarks.subarray(wall, wall + 3)], [0, 0, 0]);
      }
    }
  }
  await using plain = openPairLoader(prepared, { batchSize: 2, seed: 1 });
  using batch = await plain.next();
  assert.equal(batch.regions, undefined);
  assert.equal(batch.landmarks, undefined);
});

test("processes that look for the faces of one data set at the same time share the clips, and do not get in each other's way", async () => {
  const root = join(folder, 'shared-faces');
  const portrait = await readPicture(fileURLToPath(new URL('../../../../examples/portrait.png', import.meta.url)));
  const small = resizePicture(portrait, 64, 64);
  for (const name of ['a', 'b', 'c']) {
    await mkdir(join(root, 'train', name), { recursive: true });
    for (const frame of [0, 1]) await writePicture(join(root, 'train', name, `${frame}.png`), small);
  }
  const prepared = await prepareFrames(await openDataset(root), { size: 64 });
  const orders: number[][] = [[], []];
  const both = await Promise.all(
    [0, 1].map((rank) =>
      prepareMeshes(prepared, { rank, worldSize: 2, onProgress: ({ done }) => orders[rank]!.push(done) }),
    ),
  );
  assert.deepEqual(both[0], both[1]);
  assert.deepEqual(orders, [
    [1, 2, 3],
    [1, 2, 3],
  ]);
  for (const file of both[0]!.values()) assert.equal(readMeshes(file).points.length, 2 * 478 * 3);
  const left = await readdir(join(root, '.dagan-frames', 'meshes', 'train'));
  assert.deepEqual(left.sort(), ['a.safetensors', 'b.safetensors', 'c.safetensors']);
});

test('portraits move in their share of the samples, with landmarks on their faces, the same at every start', async () => {
  const root = join(folder, 'portrait-set');
  const portrait = await readPicture(fileURLToPath(new URL('../../../../examples/portrait.png', import.meta.url)));
  await mkdir(join(root, 'clips', 'train', 'wall'), { recursive: true });
  await mkdir(join(root, 'portraits'), { recursive: true });
  for (const frame of [0, 1]) {
    await writePicture(join(root, 'clips', 'train', 'wall', `${frame}.png`), createPicture(64, 64));
  }
  await writePicture(join(root, 'portraits', 'anna.png'), portrait);
  const prepared = await prepareFrames(await openDataset(join(root, 'clips')), { size: 128 });
  const meshes = await prepareMeshes(prepared);
  const expressions = { changes: new Int16Array(new SharedArrayBuffer(478 * 3 * 2)), step: 1 };
  const portraits = {
    prepared: await preparePortraits(join(root, 'portraits'), { size: 256 }),
    expressions,
    share: 0.5,
  };
  await using analyzer = await FaceAnalyzer.load({ mesh: 'refined' });
  const load = () => openPairLoader(prepared, { batchSize: 8, seed: 4, meshes, portraits });
  await using loader = load();
  using batch = await loader.next();
  const moved = batch.names.flatMap((name, n) => (name === 'anna.png' ? [n] : []));
  assert.ok(moved.length > 0 && moved.length < 8, `${moved.length} of 8`);
  for (const n of moved) {
    const picture = tensorToPictures(batch.driving.narrow(0, n, 1))[0]!;
    const mesh = await analyzer.track(picture);
    assert.ok(mesh, 'the face is found');
    const points = batch.landmarks!.select(0, n).select(0, 1).toArray() as number[][];
    const off = points.map(([x, y], i) => {
      const at = TRAVELLING_POINTS[i]! * 3;
      return Math.hypot(
        ((x! + 1) / 2) * 127 + 0.5 - mesh.points[at]!,
        ((y! + 1) / 2) * 127 + 0.5 - mesh.points[at + 1]!,
      );
    });
    const middle = [...off].sort((a, b) => a - b)[off.length >> 1]!;
    assert.ok(middle < 3, `half of the landmarks are within ${middle} pixels`);
  }
  await using again = load();
  using same = await again.next();
  assert.deepEqual(same.driving.toFloat32Array(), batch.driving.toFloat32Array());
  assert.deepEqual(same.landmarks!.toFloat32Array(), batch.landmarks!.toFloat32Array());
});

test('of two frames the second is chosen by how much expression and turn of the head differ', () => {
  const clip = large.clips.find(({ name }) => name === 'train/p5_0')!;
  const only = { ...large, clips: [clip] };
  const chosen = (options: Partial<SamplingOptions>): number => {
    const samples = sequence({ numRepeats: 400, ...options }, only);
    return epoch(samples, 0).filter(({ frames }) => frames.includes(1)).length;
  };
  const places = new Map([
    [1, [0.5, 0.5]], // nose
    [10, [0.5, 0.2]], // forehead
    [152, [0.5, 0.8]], // chin
    [234, [0.3, 0.5]], // sides of the cheeks
    [454, [0.7, 0.5]],
    [13, [0.5, 0.65]], // lips
    [14, [0.5, 0.65]],
  ]);
  /** All frames show one face, but for a point in one of them. */
  const unlike = (point: number, [right, down]: [number, number]) => {
    const moved = TRAVELLING_POINTS.indexOf(point);
    const all = Array.from({ length: clip.frames }, (_, frame) =>
      TRAVELLING_POINTS.flatMap((each, i) => {
        const [x, y] = places.get(each) ?? [0.5, 0.5];
        return frame === 1 && i === moved ? [x! + right, y! + down] : [x!, y!];
      }),
    ).flat();
    const shared = new Float32Array(new SharedArrayBuffer(4 * all.length));
    shared.set(all);
    return new Map([[clip.name, expressionsOf({ frames: clip.frames, places: shared })]]);
  };
  for (const expressions of [unlike(14, [0, 0.1]), unlike(1, [0.1, 0])]) {
    assert.ok(chosen({ expressions }) > 1.6 * chosen({}), `${chosen({ expressions })} against ${chosen({})}`);
    assert.equal(chosen({ expressions, augmentation: false }), chosen({ augmentation: false }));
  }
  const alike = unlike(14, [0, 0]);
  assert.ok(Math.abs(chosen({ expressions: alike }) / chosen({}) - 1) < 0.4);
});

test('real clips: both frames of a pair are pictures of the same scene', { skip: sharedMissing }, async () => {
  const list = join(folder, 'real.csv');
  await writeFile(list, 'file\ntrain/pexels_langer_01.mp4\ntrain/grid_b_01.mp4\ntrain/grid_c_01.mp4\n');
  const dataset = await openDataset(sharedPath('dataset'), { list });
  const prepared = await prepareFrames(dataset, { size: 128, cacheFolder: join(folder, 'real') });
  await using loader = openPairLoader(prepared, { batchSize: 3, seed: 1 });
  const average = (x: Tensor) => {
    const values = x.toFloat32Array();
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  };
  for (let i = 0; i < 3; i++) {
    using batch = await loader.next();
    assert.deepEqual(
      [...batch.names].sort(),
      prepared.clips.map(({ name }) => name),
    );
    const [source, driving] = [average(batch.source), average(batch.driving)];
    assert(source > 0.1 && source < 0.9 && Math.abs(source - driving) < 0.1, `${source} and ${driving}`);
  }
});
