// The engine in its worker, in a real browser: what it makes is what Node makes, and what goes wrong is said.
import { expect, test } from 'vitest';
import type { LoadProgress } from '../../src/engine/api.js';
import { FollowedFace } from '../../src/followed-face.js';
import {
  animated,
  asked,
  bitmapOf,
  clip,
  faces,
  furthest,
  json,
  modelAt,
  picture,
  psnr,
  rejection,
  start,
  whole,
} from './browser-fixtures.js';

test('pages of the tests may use threads', () => {
  expect(crossOriginIsolated).toBe(true);
});

for (const [precision, threads] of [
  ['float32', 1],
  ['float16', 2],
] as const) {
  test(`a ${precision} model on ${threads} threads gives what ONNX Runtime gives in Node`, async () => {
    const engine = start(threads);
    const steps: [number, number][] = [];
    const onProgress = ({ done, total }: LoadProgress) => steps.push([done, total]);
    const model = await engine.load({ url: modelAt(precision), provider: 'wasm' }, { onProgress });
    const expected = await json(`expected-${precision}.json`);
    expect(model).toMatchObject({ provider: 'wasm', fallback: null, size: expected.size });
    expect(model).toMatchObject({ hasDepth: true, hasAttention: true, hasOcclusion: true });
    const runtime = `, ${precision}, wasm, ${threads} thread${threads === 1 ? '' : 's'}`;
    expect(model.description).toMatch(new RegExp(`^ONNX Runtime 1\\.\\d+\\.\\d+${runtime}$`));
    expect(model.weights.license).toBe('CC0-1.0');
    expect(steps.at(-1)).toEqual([model.bytes, model.bytes]);
    expect(steps.map(([done]) => done)).toEqual(steps.map(([done]) => done).sort((a, b) => a - b));

    const portrait = await engine.setPortrait({ picture: whole, square: faces.square });
    expect(furthest(portrait.keypoints.value, expected.source)).toBeLessThan(1e-3);
    expect(furthest(portrait.disparity!.data, expected.sourceDisparity)).toBeLessThan(1e-3);
    expect(portrait).toMatchObject({ square: faces.square, whole: { width: 400, height: 320 } });

    await engine.setReference({ frame: clip[0]!, square: faces.clipSquare });
    const frame = await engine.animate({ frame: clip[2]!, square: faces.clipSquare, insight: true });
    expect(furthest(frame.driving.value, expected.driving)).toBeLessThan(1e-3);
    expect(furthest(frame.keypoints.value, expected.keypoints)).toBeLessThan(1e-3);
    expect(furthest(frame.keypoints.jacobian!, expected.jacobians)).toBeLessThan(1e-2);
    expect(furthest(frame.insight!.disparity!.data, expected.disparity)).toBeLessThan(1e-3);
    expect(furthest(frame.insight!.occlusion!.data, expected.occlusion)).toBeLessThan(1e-3);
    expect(furthest(frame.insight!.deformation!, expected.deformation)).toBeLessThan(1e-3);
    expect(psnr(frame.picture, await picture(`${precision}-picture`))).toBeGreaterThan(40);

    const { frame: looks, portrait: carried } = (await engine.attention({ x: 0.5, y: 0.25 }))!;
    expect(furthest(looks.data, expected.attention)).toBeLessThan(1e-3);
    const total = looks.data.reduce((sum, weight) => sum + weight, 0);
    expect(total).toBeCloseTo(1, 4);
    expect(carried.data.reduce((sum, weight) => sum + weight, 0)).toBeLessThan(total + 1e-4);

    const pasted = await engine.animate({ frame: clip[2]!, square: faces.clipSquare, pasteBack: true });
    expect(pasted.insight).toBeNull();
    expect(psnr(pasted.picture, await picture(`${precision}-pasted`))).toBeGreaterThan(40);
    // The attention of a frame that came without insight is there all the same.
    expect(furthest((await engine.attention({ x: 0.5, y: 0.25 }))!.frame.data, expected.attention)).toBeLessThan(1e-3);
  });
}

test('on wasm a model with convolutions of 8 bits paints by them', async () => {
  const engine = start(1);
  const { description } = await engine.load({ url: modelAt('int8'), provider: 'wasm' });
  expect(description).toMatch(/, int8, wasm, 1 thread$/);
  await engine.setPortrait({ picture: whole, square: faces.square });
  await engine.setReference({ frame: clip[0]!, square: faces.clipSquare });
  const { picture: painted } = await engine.animate({ frame: clip[2]!, square: faces.clipSquare });
  const ratio = psnr(painted, await picture('float32-picture'));
  expect(ratio).toBeGreaterThan(35);
  expect(ratio).toBeLessThan(Infinity); // they are rounded
});

test('bitmaps are read like pixels, and are taken over', async () => {
  const engine = start(1);
  await engine.load({ url: modelAt('float32'), provider: 'wasm' });
  const byPixels = await engine.setPortrait({ picture: whole, square: faces.square });
  const bitmap = await bitmapOf(whole);
  const { picture: square } = await engine.setPortrait({ picture: bitmap, square: faces.square });
  expect(furthest(square.data, byPixels.picture.data)).toBeLessThan(3);
  expect(bitmap.width).toBe(0);
  expect((await rejection(engine.findFaces({ picture: bitmap }))).code).toBe('bad-picture');
  expect((await engine.findFaces({ picture: await bitmapOf(whole) })).squares.length).toBe(1);
  expect(whole.data.length).toBeGreaterThan(0); // pixels stay of use
});

test('without a reference motion is measured from the first frame, again after a reset; smoothing and absolute motion', async () => {
  const engine = start(1);
  await engine.load({ url: modelAt('float32'), provider: 'wasm' });
  const { keypoints: own } = await engine.setPortrait({ picture: whole, square: faces.square });
  const square = faces.clipSquare;
  expect(furthest((await engine.animate({ frame: clip[0]!, square })).keypoints.value, own.value)).toBeLessThan(1e-6);
  const moved = await engine.animate({ frame: clip[2]!, square });
  expect(furthest(moved.keypoints.value, own.value)).toBeGreaterThan(1e-5);
  await engine.resetReference();
  expect(furthest((await engine.animate({ frame: clip[2]!, square })).keypoints.value, own.value)).toBeLessThan(1e-6);
  const absolute = await engine.animate({ frame: clip[2]!, square, motion: 'absolute' });
  expect(absolute.keypoints).toEqual(absolute.driving);
  await engine.resetReference();
  await engine.animate({ frame: clip[0]!, square, smoothing: 1 });
  const smooth = await engine.animate({ frame: clip[2]!, square, smoothing: 1 });
  expect(furthest(smooth.keypoints.value, own.value)).toBeLessThan(furthest(moved.keypoints.value, own.value));
});

test('the last portraits can be recalled, with the driver’s reference or without; those that were forgotten cannot', async () => {
  const engine = start(1);
  await engine.load({ url: modelAt('float32'), provider: 'wasm' });
  const pair = await picture('pair');
  const square = faces.clipSquare;
  const one = await engine.setPortrait({ picture: whole, square: faces.square });
  await engine.animate({ frame: clip[0]!, square }); // the reference
  const first = await engine.animate({ frame: clip[2]!, square });
  const other = await engine.setPortrait({ picture: pair, square: faces.pairSquares[1], keepReference: true });
  expect(other.number).not.toBe(one.number);
  const moved = await engine.animate({ frame: clip[2]!, square });
  expect(furthest(moved.keypoints.value, other.keypoints.value), 'measured from the same frame').toBeGreaterThan(1e-5);
  expect(await engine.recallPortrait({ number: one.number, keepReference: true })).toEqual(one);
  const again = await engine.animate({ frame: clip[2]!, square });
  expect(psnr(again.picture, first.picture)).toBeGreaterThan(60);
  expect(again.keypoints).toEqual(first.keypoints);
  await engine.recallPortrait({ number: other.number });
  const resting = await engine.animate({ frame: clip[2]!, square });
  expect(furthest(resting.keypoints.value, other.keypoints.value), 'measured from this frame').toBeLessThan(1e-6);

  await engine.forgetPortrait({ number: other.number });
  expect(await engine.recallPortrait({ number: other.number })).toBe(null);
  await engine.animate({ frame: clip[2]!, square }); // it is animated until there is another
  for (let i = 0; i < 5; i++) await engine.setPortrait({ picture: whole, square: faces.square });
  expect(await engine.recallPortrait({ number: one.number }), 'only the last few are kept').toBe(null);
  await engine.clearPortrait();
  expect((await rejection(engine.animate({ frame: clip[0]!, square }))).code).toBe('no-portrait');
});

test('the faces of a picture, the square of a clip and its frame nearest to the portrait are those that Node finds', async () => {
  const engine = start(1);
  expect(await engine.findFaces({ picture: whole })).toEqual({ squares: [faces.square], largest: 1 });
  const pair = await picture('pair');
  expect(await engine.findFaces({ picture: pair })).toEqual({ squares: faces.pairSquares, largest: 2 });
  const none = await picture('faceless');
  expect(await rejection(engine.findFaces({ picture: none }))).toMatchObject({
    code: 'no-face',
    message: expect.stringMatching(/^No face was found in this picture: take one/),
  });

  const followed = new FollowedFace(engine);
  for (const frame of clip) await followed.see(frame);
  expect(await followed.framing()).toEqual({ square: faces.clipSquare, seen: 4, of: 4, face: 1, faces: 1 });
  expect((await rejection(followed.see(whole))).message).toMatch(
    /frames of a clip have one size: this one is 400 x 320/,
  );
  await engine.load({ url: modelAt('float32'), provider: 'wasm' });
  await engine.setPortrait({ picture: whole, square: faces.square });
  expect(await followed.nearest()).toBe(faces.nearest);
  followed.close();

  for (const [face, chosen] of [
    [undefined, 2],
    [1, 1],
  ] as const) {
    const one = new FollowedFace(engine, face);
    await one.see(pair);
    const square = faces.pairSquares[chosen - 1];
    expect(await one.framing()).toEqual({ square, seen: 1, of: 1, face: chosen, faces: 2 });
    one.close();
  }

  const empty = new FollowedFace(engine);
  await empty.see(none);
  expect(await empty.nearest()).toBeNull();
  expect(await rejection(empty.framing())).toMatchObject({ code: 'no-face', message: expect.stringContaining('clip') });
});

test('a frame without the face leaves the portrait as it was, which is told frame by frame and in the end', async () => {
  const engine = start(1);
  await engine.load({ url: modelAt('float32'), provider: 'wasm' });
  await engine.setPortrait({ picture: whole, square: faces.square });
  await engine.setReference({ frame: clip[0]!, square: faces.clipSquare });
  const none = await picture('faceless');
  const size = Math.min(none.width, none.height);
  const empty = { frame: none, square: { left: 0, top: 0, side: size }, watch: true };
  const shown = { frame: clip[2]!, square: faces.clipSquare, watch: true };
  const moved = await engine.animate(shown);
  const held = await engine.animate(empty);
  expect([moved.sight, held.sight]).toEqual(['face', 'nobody']);
  expect(held.keypoints).toEqual(moved.keypoints);
  expect(held.picture.data).toEqual(moved.picture.data);
  expect((await engine.animate({ ...empty, watch: false })).sight, 'nobody looks').toBe('face');
  await engine.animate(shown);
  expect(await engine.absences()).toEqual([{ first: 1, end: 2, sight: 'nobody' }]);
  await engine.resetReference();
  expect(await engine.absences()).toEqual([]);
});

test('a model is fetched once: the second time from what is kept, also while the server is dead', async () => {
  const first = start(1);
  await first.forgetModels();
  await asked('float32');
  expect(await first.keptModels()).toBe(0);
  const { bytes } = await first.load({ url: modelAt('float32/') });
  const kept = await first.keptModels();
  expect(kept).toBeGreaterThan(bytes); // the manifest, too
  expect(kept).toBeLessThan(bytes + 100_000);
  expect((await asked('float32')).sort()).toEqual(
    ['drive.onnx', 'generate.onnx', 'manifest.json', 'model.safetensors', 'source.onnx'].map(
      (name) => `float32/${name}`,
    ),
  );
  first.dispose();
  const second = start(1);
  await second.load({ url: modelAt('float32') });
  expect(await asked('float32')).toEqual(['float32/manifest.json']);
  await json(':dead');
  try {
    await second.load({ url: modelAt('float32') });
    await second.forgetModels();
    expect(await second.keptModels()).toBe(0);
    expect(await rejection(second.load({ url: modelAt('float32') }))).toMatchObject({
      code: 'offline',
      message: expect.stringMatching(/manifest\.json could not be loaded \(status 503\): check the connection/),
    });
  } finally {
    await json(':alive');
  }
  await second.load({ url: modelAt('float32') });
  expect(await second.keptModels()).toBe(kept);
});

test('damaged and missing files are refused by name, and nothing of them is kept', async () => {
  const engine = start(1);
  for (const [model, words] of [
    ['damaged-weights', /model\.safetensors is not the file that the manifest was written for/],
    ['damaged-graph', /generate\.onnx is not the file that the manifest was written for/],
    ['damaged-manifest', /manifest\.json: /],
    ['nothing', /there is no \/fixtures\/nothing\/manifest\.json \(status 404\)/],
    ['https://example.org/model', /from the page's own address alone, not from https:\/\/example\.org/],
  ] as const) {
    for (let times = 0; times < 2; times++) {
      const error = await rejection(engine.load({ url: modelAt(model) }));
      expect(error).toMatchObject({ code: 'bad-model', message: expect.stringMatching(words) });
    }
  }
});

test('calls out of order and pictures that cannot be are errors with a code', async () => {
  const engine = start(1);
  const square = null;
  expect((await rejection(engine.setPortrait({ picture: whole, square }))).code).toBe('no-model');
  await engine.load({ url: modelAt('float32'), provider: 'wasm' });
  expect((await rejection(engine.animate({ frame: clip[0]!, square }))).code).toBe('no-portrait');
  expect(await engine.attention({ x: 0.5, y: 0.5 })).toBeNull();
  const short = { width: 10, height: 10, data: new Uint8Array(7) };
  expect((await rejection(engine.setPortrait({ picture: short, square }))).code).toBe('bad-picture');
  const outside = { left: 5000, top: 0, side: 100 };
  expect((await rejection(engine.setPortrait({ picture: whole, square: outside }))).code).toBe('bad-picture');
  await engine.setPortrait({ picture: whole, square });
  await engine.clearPortrait();
  expect((await rejection(engine.animate({ frame: clip[0]!, square }))).code).toBe('no-portrait');
});

test('where WebGPU is of no use the model runs on wasm and says why; asked for by name it is an error', async () => {
  const engine = start(1);
  const model = await engine.load({ url: modelAt('float32'), provider: 'auto' });
  expect(model.provider).toBe('wasm');
  expect(model.fallback).toMatch(/no WebGPU|no graphics processor/);
  // Graphics processors in software, as this browser has one at best, have no 16-bit arithmetic.
  expect(await rejection(engine.load({ url: modelAt('float16'), provider: 'webgpu' }))).toMatchObject({
    code: 'no-webgpu',
    message: expect.stringMatching(/^WebGPU cannot be used: .* Choose wasm\.$/),
  });
});

test('what waits can be cancelled, a download too; the page stays free; an engine that was disposed of says so', async () => {
  const engine = start(1);
  await animated(engine, 'float32', 'wasm');
  const square = faces.clipSquare;
  const stop = new AbortController();
  let ticks = 0;
  const ticking = setInterval(() => ticks++, 5);
  const kept = engine.animate({ frame: clip[1]!, square });
  const dropped = engine.animate({ frame: await bitmapOf(clip[2]!), square }, { signal: stop.signal });
  const later = engine.animate({ frame: clip[3]!, square });
  stop.abort();
  await expect(dropped).rejects.toBe(stop.signal.reason);
  await Promise.all([kept, later]);
  clearInterval(ticking);
  expect(ticks).toBeGreaterThan(3);

  await engine.forgetModels();
  const loading = new AbortController();
  const onProgress = () => loading.abort(new DOMException('enough', 'AbortError'));
  const load = engine.load({ url: modelAt('float16') }, { signal: loading.signal, onProgress });
  await expect(load).rejects.toThrow('enough');
  await engine.animate({ frame: clip[1]!, square }); // the model before is still there
  await expect(engine.animate({ frame: clip[1]!, square }, { signal: stop.signal })).rejects.toBe(stop.signal.reason);

  const waiting = engine.animate({ frame: clip[1]!, square });
  engine.dispose();
  expect((await rejection(waiting)).code).toBe('ended');
  expect((await rejection(engine.findFaces({ picture: whole }))).code).toBe('ended');
});
