// A clip as the portrait: its own motion goes on, and the driver's is added to every frame.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { manualSeed } from '@dagan/libtorch';
import { createClipWriter, cropPicture, readPicture, saveModel, writePicture } from '../src/index.js';
import { createPicture, type Picture } from '../src/media/index.js';
import { NeuralHead } from '../src/models/neuralhead/neuralhead.js';
import { type AnimateClipOptions, animateClip, type PipelineEvent } from '../src/pipelines/index.js';
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

const example = (name: string): string => fileURLToPath(new URL(`../../../../examples/${name}`, import.meta.url));

async function writeClip(name: string, pictures: readonly Picture[]): Promise<string> {
  const { width, height } = pictures[0]!;
  await using writer = await createClipWriter(path(name), { width, height, frameRate: 25 });
  for (const picture of pictures) await writer.add(picture);
  await writer.finish();
  return path(name);
}

test('where a portrait that the face mesh drives shows no face, the last frame that does stays', async () => {
  manualSeed(1);
  using landmarks = new NeuralHead({
    ...{ system: 'neuralhead-ff', blockExpansion: 16, maxFeatures: 32 },
    ...{ numEmbedderBlocks: 3, numDownBlocks: 2, numBottleneckBlocks: 1 },
  }).eval();
  saveModel(path('landmarks.safetensors'), landmarks, { name: 'landmarks' });
  const { frames } = await readAll(example('driving.mp4'), { end: 30 });
  const [a, b, c] = [frames[0]!.picture, frames[14]!.picture, frames[29]!.picture] as [Picture, Picture, Picture];
  const black = createPicture(a.width, a.height);
  const portrait = await writeClip('faded.mp4', [black, a, b, black, black, c]);
  for (const model of ['landmarks', 'named']) {
    const told: PipelineEvent[] = [];
    const options: Partial<AnimateClipOptions> = {
      ...{ checkpoint: path(`${model}.safetensors`), keypoints: 'mesh', pasteBack: true },
      crop: { kind: 'auto' },
      onEvent: (event) => void told.push(event),
    };
    await animateClip(order(portrait, example('portrait.png'), `${model}/`, options)); // one picture drives all along
    const made = await framesOf(model);
    assert.equal(made.length, 6);
    const same = (i: number, k: number): boolean => made[i]!.equals(made[k]!);
    assert.ok(same(0, 1), `${model}: the first frame with a face stands for those before it`);
    assert.ok(same(2, 3) && same(3, 4), `${model}: the last frame with a face stays`);
    assert.ok(!same(1, 2) && !same(4, 5), `${model}: frames with a face move on`);
    const absent = told.filter((event) => event.type === 'warning' && event.code === 'face-absent');
    assert.equal(absent.length, 1);
    assert.match((absent[0] as { message: string }).message, /faded\.mp4: 3 frames do not show the face \(0, 3 to 4\)/);
  }
});

test('a portrait without any face is named where landmarks of one are needed', async () => {
  const landmarks = { checkpoint: path('landmarks.safetensors'), keypoints: 'mesh' } as const;
  const black = createPicture(96, 96);
  const clip = await writeClip('black.mp4', [black, black, black]);
  await writePicture(path('black.png'), black);
  for (const [portrait, told] of [
    [clip, /black\.mp4: none of its 3 frames shows a face/],
    [path('black.png'), /black\.png: shows no face/],
  ] as const) {
    await assert.rejects(animateClip(order(portrait, example('portrait.png'), 'none/', landmarks)), {
      ...{ name: 'DaganError', code: 'no-mesh', message: told },
    });
  }
  assert.ok(!(await names(folder)).includes('none'), 'nothing is written');
});
