// The engine on LibTorch, and animation with any engine.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { liveTensors } from '@dagan/libtorch';
import { CheckpointError } from '@dagan/libtorch/checkpoint';
import { shareThreads } from '../src/animation/engines/engine-threads.js';
import { LibtorchEngine, loadLibtorchEngine } from '../src/animation/engines/index.js';
import { type Analysis, animate, type Engine } from '../src/animation/index.js';
import { ResizedEngine } from '../src/animation/resized-engine.js';
import type { Picture } from '../src/media/pictures/picture.js';
import { resizePicture } from '../src/media/pictures/resize.js';
import { MODEL_PRESETS, type ModelConfig, saveModel } from '../src/models/index.js';
import { type KeypointSet, keypointsToTensors, tensorsToKeypoints } from '../src/tensors/keypoint-set.js';
import { pictureToTensor, tensorToMaps, tensorToPictures } from '../src/tensors/pictures.js';
import { scatter } from './compare.js';
import { temporaryFolder } from './media-fixtures.js';
import { formulaModel, narrow } from './small-models.js';

const SIZE = 128;

/** A picture of coloured noise that is the same in every run. */
function picture(seed: number, size = SIZE): Picture {
  const data = Uint8Array.from({ length: size * size * 3 }, (_, i) => {
    const x = Math.sin((i + 1) * 12.9898 + seed * 78.233) * 43758.5453;
    return 256 * (x - Math.floor(x));
  });
  return { width: size, height: size, data };
}

const engineOf = (config: ModelConfig, options: ConstructorParameters<typeof LibtorchEngine>[1] = {}): LibtorchEngine =>
  new LibtorchEngine(formulaModel(narrow(config)), { size: SIZE, ...options });

async function* clip(count: number): AsyncGenerator<{ picture: Picture; time: number }> {
  for (let i = 0; i < count; i++) yield { picture: picture(i + 10), time: i / 25 };
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

const furthest = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);

test('pictures, keypoints and maps go to tensors and back unchanged', () => {
  const pictures = [
    picture(1, 16),
    { ...picture(2, 24), height: 16, data: picture(2, 24).data.subarray(0, 24 * 16 * 3) },
  ];
  for (const each of pictures) {
    const image = pictureToTensor(each);
    assert.deepEqual(image.shape, [1, 3, each.height, each.width]);
    // The green of the pixel at row 2, column 5.
    assert.ok(
      Math.abs(image.select(1, 1).select(1, 2).select(1, 5).item() - each.data[3 * (2 * each.width + 5) + 1]! / 255) <
        1e-6,
    );
    assert.deepEqual(tensorToPictures(image), [each]);
  }
  const sets: KeypointSet[] = [3, 4].map((seed) => ({
    value: scatter([5, 2], seed).toFloat32Array(),
    jacobian: scatter([5, 2, 2], seed).toFloat32Array(),
  }));
  assert.deepEqual(tensorsToKeypoints(keypointsToTensors(sets)), sets);
  const plain = sets.map(({ value }) => ({ value, jacobian: null }));
  assert.deepEqual(tensorsToKeypoints(keypointsToTensors(plain)), plain);
  const maps = tensorToMaps(scatter([2, 1, 3, 4], 5));
  assert.deepEqual(
    maps.map(({ width, height, data }) => [width, height, data.length]),
    [
      [4, 3, 12],
      [4, 3, 12],
    ],
  );
});

test('an engine before another one changes the size of pictures and of nothing else', async () => {
  const inner = engineOf(MODEL_PRESETS.dagan);
  const engine = new ResizedEngine(inner, 2 * SIZE);
  try {
    assert.equal(engine.size, 2 * SIZE);
    assert.match(engine.description, /networks for 128 x 128 pixels/);
    const [portrait, driving] = [picture(1, 2 * SIZE), picture(2, 2 * SIZE)];
    const { keypoints, disparity } = await engine.setSource(portrait);
    assert.deepEqual([disparity!.width, disparity!.height], [2 * SIZE, 2 * SIZE]);
    const [driven] = await engine.drive([driving], { withDisparity: true });
    assert.equal(driven!.disparity!.width, 2 * SIZE);
    const [frame] = await engine.generate([driven!.keypoints]);
    const seen = await engine.inspect(driven!.keypoints, { withTensors: true, driving });
    assert.deepEqual(seen.picture, frame);
    assert.deepEqual(seen.tensors!.get('prediction')!.shape, [1, 3, SIZE, SIZE], 'as the networks have it');
    const small = (big: Picture): Picture => resizePicture(big, SIZE, SIZE);
    assert.deepEqual((await inner.setSource(small(portrait))).keypoints, keypoints);
    const [expected] = await inner.generate([(await inner.drive([small(driving)]))[0]!.keypoints]);
    assert.deepEqual(frame, resizePicture(expected!, 2 * SIZE, 2 * SIZE, { enlarge: 'lanczos' }));
    await assert.rejects(engine.setSource(small(portrait)), /works on 256 x 256 pictures, this one is 128 x 128/);
    const twin = engine.twin();
    await twin.setSource(driving);
    assert.deepEqual((await engine.generate([keypoints]))[0]!.width, 2 * SIZE, 'a twin has a portrait of its own');
    twin.dispose();
  } finally {
    engine.dispose();
  }
});

test('colours out of range are cut, not wrapped', () => {
  const [found] = tensorToPictures(scatter([1, 3, 2, 2], 1).mul(10));
  const values = scatter([1, 3, 2, 2], 1).permute(0, 2, 3, 1).contiguous().flatten().toArray() as number[];
  assert.deepEqual(
    [...found!.data],
    values.map((x) => (x < 0 ? 0 : x > 0.1 ? 255 : Math.round(2550 * x))),
  );
});

test('a clip is animated frame by frame, whatever the size of the batches', async () => {
  const results = [];
  for (const batchSize of [1, 2, 5, 8]) {
    const engine = engineOf(MODEL_PRESETS.dagan, { batchSize });
    const source = await engine.setSource(picture(1));
    assert.equal(source.disparity!.width, SIZE);
    results.push(await collect(animate(engine, source, clip(5))));
    engine.dispose();
  }
  for (const frames of results) {
    assert.deepEqual(
      frames.map(({ input }) => input.time),
      [0, 0.04, 0.08, 0.12, 0.16],
    );
    for (const [i, frame] of frames.entries()) {
      const expected = results[0]![i]!;
      assert.ok(furthest(frame.keypoints.value, expected.keypoints.value) < 1e-5);
      assert.ok(furthest(frame.picture.data, expected.picture.data) <= 1);
      assert.equal(frame.driving.disparity, null);
    }
  }
});

test("the first frame of relative motion has the portrait's own keypoints", async () => {
  const engine = engineOf(MODEL_PRESETS.dagan);
  const source = await engine.setSource(picture(1));
  for (const adaptScale of [false, true]) {
    const [first, second] = await collect(animate(engine, source, clip(2), { adaptScale }));
    assert.ok(furthest(first!.keypoints.value, source.keypoints.value) < 1e-6);
    assert.ok(furthest(first!.keypoints.jacobian!, source.keypoints.jacobian!) < 1e-5);
    assert.ok(furthest(second!.keypoints.value, source.keypoints.value) > 1e-4);
  }
  // Another reference: from the second frame's point of view it is the second that does not move.
  const [{ keypoints: reference }] = (await engine.drive([picture(11)])) as [Analysis];
  const frames = await collect(animate(engine, source, clip(2), { reference }));
  assert.ok(furthest(frames[1]!.keypoints.value, source.keypoints.value) < 1e-6);
  const absolute = await collect(animate(engine, source, clip(2), { motion: 'absolute' }));
  assert.deepEqual(absolute[1]!.keypoints, absolute[1]!.driving.keypoints);
  engine.dispose();
});

test('the portrait animated by itself, absolute or relative, is one and the same frame', async () => {
  const engine = engineOf(MODEL_PRESETS.fomm);
  const portrait = picture(1);
  const source = await engine.setSource(portrait);
  assert.equal(source.disparity, null);
  const frames = async function* () {
    yield { picture: portrait };
  };
  const [relative] = await collect(animate(engine, source, frames()));
  const [absolute] = await collect(animate(engine, source, frames(), { motion: 'absolute' }));
  assert.ok(furthest(relative!.picture.data, absolute!.picture.data) <= 1);
  engine.dispose();
});

test('disparity of driving frames comes where it is asked for, from every model that has a depth network', async () => {
  for (const name of ['dagan', 'fomm-fdn', 'fomm-cam', 'fomm'] as const) {
    const engine = engineOf(MODEL_PRESETS[name]);
    const source = await engine.setSource(picture(1));
    const frames = await collect(animate(engine, source, clip(1), { withDisparity: true }));
    const { disparity } = frames[0]!.driving;
    if (name === 'fomm') assert.equal(disparity, null);
    else {
      assert.deepEqual([disparity?.width, disparity?.height], [SIZE, SIZE], name);
      assert.ok(
        disparity!.data.every((x) => x > 0 && x < 1),
        name,
      );
    }
    engine.dispose();
  }
});

test('a new portrait replaces the one before, and nothing is left behind', async () => {
  const before = liveTensors();
  const engine = engineOf(MODEL_PRESETS.dagan);
  const { keypoints } = await engine.setSource(picture(1));
  const [first] = await engine.generate([keypoints]);
  const alive = liveTensors();
  await engine.setSource(picture(2));
  const [second] = await engine.generate([keypoints]);
  assert.ok(furthest(first!.data, second!.data) > 1);
  for (let i = 0; i < 3; i++) {
    const source = await engine.setSource(picture(1));
    await collect(animate(engine, source, clip(3), { withDisparity: true }));
  }
  assert.equal(liveTensors(), alive);
  const [again] = await engine.generate([keypoints]);
  assert.deepEqual(again, first);
  engine.dispose();
  assert.equal(liveTensors(), before);
});

test('what an engine cannot do is said: no portrait yet, a picture of another size', async () => {
  const engine = engineOf(MODEL_PRESETS.fomm);
  const keypoints = { value: new Float32Array(20), jacobian: null };
  await assert.rejects(engine.generate([keypoints]), /the engine has no portrait yet: call setSource first/);
  await assert.rejects(engine.setSource(picture(1, 64)), /works on 128 x 128 pictures, this one is 64 x 64/);
  await assert.rejects(engine.drive([picture(1), picture(2, 64)]), /works on 128 x 128 pictures, this one is 64 x 64/);
  assert.throws(() => engineOf(MODEL_PRESETS.fomm, { size: 200 }), /must be a multiple of 128, not 200/);
  assert.match(engine.description, /^LibTorch .*, cpu, float32, \d+ threads?$/);
  engine.dispose();
});

test('threads are shared among as many engines as are of use and fit into memory', () => {
  const plenty = 64 * 2 ** 30;
  assert.deepEqual(
    [1, 2, 6, 16].map((threads) => shareThreads(threads, plenty)),
    [[1], [1, 1], [2, 2, 1, 1], [4, 4, 4, 4]],
  );
  assert.deepEqual(shareThreads(7, 4 * 2 ** 30), [4, 3]);
  assert.deepEqual(shareThreads(8, 2 ** 29), [8]);
});

test('several engines in threads give what one gives, in its order, and do not outlive their use', async () => {
  const checkpoint = join(await temporaryFolder(), 'model.safetensors');
  {
    using model = formulaModel(narrow(MODEL_PRESETS.dagan));
    saveModel(checkpoint, model);
  }
  const one = await loadLibtorchEngine({ checkpoint }, { size: SIZE }, 1);
  const several = await loadLibtorchEngine({ checkpoint }, { size: SIZE }, 2);
  assert.ok(one instanceof LibtorchEngine && !(several instanceof LibtorchEngine));
  assert.equal(several.batchSize, 2);
  assert.match(several.description, /^LibTorch [\d.]+, cpu, float32, 2 threads$/);
  const [a, b] = [await one.setSource(picture(1)), await several.setSource(picture(1))];
  assert.ok(furthest(a.keypoints.value, b.keypoints.value) < 1e-5);
  const made = [];
  for (const [engine, source] of [
    [one, a],
    [several, b],
  ] as const) {
    made.push((await collect(animate(engine, source, clip(5)))).map((frame) => frame.picture.data));
  }
  for (const i of [0, 1, 2, 3, 4]) {
    assert.ok(furthest(made[0]![i]!, made[1]![i]!) <= 1, `frame ${i}`);
    assert.ok(i === 0 || furthest(made[0]![i]!, made[0]![i - 1]!) > 1, `frame ${i} is like that before it`);
  }
  await assert.rejects(several.drive([picture(1, 64)]), RangeError);
  one.dispose();
  several.dispose();
  await assert.rejects(several.drive([picture(1)]), /the engine is disposed of/);
  await assert.rejects(loadLibtorchEngine({ checkpoint: `${checkpoint}.not` }, {}, 2), CheckpointError);
});

test('animation hands any engine batches of its size, and stops reading when its consumer does', async () => {
  const batches: number[] = [];
  const set: KeypointSet = { value: Float32Array.of(0, 0), jacobian: null };
  const engine: Engine = {
    description: 'counting',
    size: 4,
    batchSize: 3,
    setSource: async () => ({ keypoints: set, disparity: null }),
    drive: async (frames) => {
      batches.push(frames.length);
      return frames.map(() => ({ keypoints: set, disparity: null }));
    },
    generate: async (keypoints) => keypoints.map(() => picture(1, 4)),
    inspect: () => assert.fail('nobody asks'),
    twin: () => assert.fail('nobody asks'),
    dispose: () => {},
  };
  const source = { keypoints: set, disparity: null };
  assert.equal((await collect(animate(engine, source, clip(7)))).length, 7);
  assert.deepEqual(batches, [3, 3, 1]);
  assert.equal((await collect(animate(engine, source, clip(0)))).length, 0);

  let closed = false;
  const endless = async function* () {
    try {
      for (;;) yield { picture: picture(1, 4) };
    } finally {
      closed = true;
    }
  };
  for await (const _ of animate(engine, source, endless())) break;
  assert.ok(closed);
});
