// A clip as the portrait: its own motion goes on, and the driver's is added to every frame.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { cropPicture, readPicture, saveModel, writePicture } from '../src/index.js';
import { type AnimateClipOptions, animateClip } from '../src/pipelines/index.js';
import { writeMotion } from '../src/pipelines/motion-file.js';
import { formulaModel, SMALL_WITHOUT_DEPTH } from './cli-run.js';
import { inspect, makeMp4, names, readAll, scene, temporaryFolder } from './media-fixtures.js';

const folder = await temporaryFolder();
const path = (...parts: string[]): string => join(folder, ...parts);
const numKeypoints = 4;
const semanticKeypoints = { noseTip: 0, chin: 1, forehead: 2, upperLip: 3 };
const named = { ...SMALL_WITHOUT_DEPTH, numKeypoints, estimateJacobian: false, semanticKeypoints };
saveModel(path('named.safetensors'), formulaModel(named), { name: 'named' });
await makeMp4(path('self.mp4'), { width: 96, height: 64, frames: 5, sound: 'aac' });

/** A template whose points all move to the right by so much a frame. */
const template = (name: string, frames: number, step: number): string => {
  const at = (k: number) => ({
    value: Float32Array.from([0, 0, 0, 0.4, 0, -0.4, 0, 0.2], (x, i) => x + (i % 2 ? 0 : step * k)),
    jacobian: null,
  });
  writeMotion(path(name), {
    frames: Array.from({ length: frames }, (_, k) => ({ keypoints: at(k), timestamp: k / 25, hasFace: true })),
    ...{ duration: frames / 25, frameRate: 25, reference: at(0), names: semanticKeypoints, model: undefined },
  });
  return path(name);
};
const [still, moving, long] = [
  template('still.safetensors', 4, 0),
  template('moving.safetensors', 4, 0.03),
  template('long.safetensors', 30, 0.01),
];

const order = (
  portrait: string,
  driving: string,
  output: string,
  more: Partial<AnimateClipOptions> = {},
): AnimateClipOptions => ({
  ...{ portrait, driving, output: path(output), checkpoint: path('named.safetensors'), engine: 'libtorch' },
  ...{ device: 'cpu', precision: 'float32', threads: 1, crop: { kind: 'none' }, keypoints: 'network', ...more },
});
const framesOf = async (output: string): Promise<Buffer[]> =>
  Promise.all(
    (await names(path(output))).map(async (name) => Buffer.from((await readPicture(path(output, name))).data)),
  );

test('every frame is the one that its own picture gives as a portrait, and a driver that moves moves it', async () => {
  const result = await animateClip(order(path('self.mp4'), still, 'kept/'));
  assert.equal(result.frames, 4, 'the driver ends first');
  const kept = await framesOf('kept');
  const { frames } = await readAll(path('self.mp4'));
  for (const k of [0, 3]) {
    await writePicture(path('frame.png'), frames[k]!.picture);
    await animateClip(order(path('frame.png'), still, 'alone/', { end: 1 }));
    assert.deepEqual(kept[k], (await framesOf('alone'))[0], `frame ${k}`);
  }
  await animateClip(order(path('self.mp4'), moving, 'moved/'));
  const moved = await framesOf('moved');
  assert.deepEqual(moved[0], kept[0], 'at the reference nothing is added');
  assert.notDeepEqual(moved[3], kept[3]);
});

test('the result ends with the portrait where the driver is longer or one picture, and keeps its time and sound', async () => {
  await animateClip(order(path('self.mp4'), long, 'long.mp4'));
  const made = await inspect(path('long.mp4'));
  assert.deepEqual([made.times.length, made.audioCodec], [5, 'aac']);
  for (const [k, time] of made.times.entries()) assert.ok(Math.abs(time - k / 25) < 1e-3);
  await writePicture(path('face.png'), scene(90, 70, 3));
  const posed = await animateClip(order(path('self.mp4'), path('face.png'), 'posed.gif'));
  assert.equal(posed.frames, 5);
  const fewer = await animateClip(order(path('self.mp4'), long, 'fewer.gif', { frameRate: 10 }));
  assert.equal(fewer.frames, 2, '0.2 s');
});

test('pasted back, what lies outside of the square is that of each frame', async () => {
  await animateClip(order(path('self.mp4'), moving, 'whole/', { pasteBack: true }));
  const [made, given] = [await names(path('whole')), (await readAll(path('self.mp4'))).frames];
  assert.equal(made.length, 4);
  for (const [k, name] of made.entries()) {
    const picture = await readPicture(path('whole', name));
    const outside = { left: 0, top: 0, width: 16, height: 64 }; // the square is 64 x 64 in the middle of 96 x 64
    assert.deepEqual(cropPicture(picture, outside).data, cropPicture(given[k]!.picture, outside).data, name);
  }
});
