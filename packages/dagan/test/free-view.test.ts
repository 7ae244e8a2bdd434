// A portrait whose head turns to angles of choice with nothing that drives it: a still, a clip in which it turns, a clip as portrait.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { LibtorchEngine } from '../src/animation/engines/libtorch.js';
import { type HeadAngles, withAngles } from '../src/animation/free-view.js';
import { openClip } from '../src/media/index.js';
import { readPicture, writePicture } from '../src/media/pictures/images.js';
import type { Picture } from '../src/media/pictures/picture.js';
import { loadModel, saveModel } from '../src/models/files/model-file.js';
import { Osfv } from '../src/models/osfv/osfv.js';
import { type AnimateClipOptions, animateClip } from '../src/pipelines/index.js';
import { dagan, formulaModel, SMALL_WITHOUT_DEPTH } from './cli-run.js';
import { collect, makeMp4, psnr, scene, temporaryFolder } from './media-fixtures.js';
import { fillOsfv, smallOsfv } from './osfv-model.js';

const folder = await temporaryFolder();
const path = (name: string): string => join(folder, name);
saveModel(path('osfv.safetensors'), fillOsfv(new Osfv(smallOsfv())), { name: 'small' });
await writePicture(path('face.png'), scene(256, 256, 3));

/** A portrait that is turned, without faces being looked for. */
const order = (output: string, more: Partial<AnimateClipOptions>): AnimateClipOptions => ({
  ...{ portrait: path('face.png'), output: path(output), checkpoint: path('osfv.safetensors') },
  ...{ device: 'cpu', precision: 'float32', threads: 1, crop: { kind: 'none' } },
  ...more,
});

/** The frame that the model paints of the portrait with its head at these angles. */
async function painted(angles: HeadAngles, portrait = scene(256, 256, 3)): Promise<Picture> {
  const engine = new LibtorchEngine(loadModel({ checkpoint: path('osfv.safetensors') }).model);
  try {
    const { keypoints } = await engine.setSource(portrait);
    const [picture] = await engine.generate([withAngles(keypoints, [[keypoints.head!, 1]], angles)]);
    return picture!;
  } finally {
    engine.dispose();
  }
}

test('a still shows the portrait with the angles that were chosen; what is left out stays its own', async () => {
  const angles = { yaw: 30, pitch: -15 };
  const { frames } = await animateClip(order('turned.png', { turn: angles }));
  assert.equal(frames, 1);
  const turned = await readPicture(path('turned.png'));
  assert.ok(psnr(turned, await painted(angles)) > 60);
  assert.ok(psnr(turned, await painted({})) < 50, 'the head has turned');
});

test('between two angles the head turns gently, forwards or there and back', async () => {
  const turn = { yaw: [-30, 30], roll: 10 } as const;
  const { frames } = await animateClip(order('sweep/', { turn, speed: 5 }));
  assert.equal(frames, 10); // 2.04 s at 25 frames a second, five times as fast
  const both = await animateClip(order('both.gif', { turn, speed: 5, direction: 'both', size: 64 }));
  assert.equal(both.frames, 20);
  await using clip = await openClip(path('sweep'));
  const pictures = (await collect(clip)).map(({ picture }) => picture);
  assert.ok(psnr(pictures[0]!, await painted({ yaw: -30, roll: 10 })) > 60, 'the first angles');
  const near = pictures.map((picture) => psnr(picture, pictures[0]!));
  assert.ok(near[1]! > near[4]!, 'it goes on turning');
  assert.ok(psnr(pictures[0]!, pictures[1]!) > psnr(pictures[4]!, pictures[5]!), 'slowly at first');
});

test('of a portrait that is a clip every frame has its head turned', async () => {
  await makeMp4(path('talk.mp4'), { width: 256, height: 256, frames: 3 });
  const { frames } = await animateClip(order('talk/', { portrait: path('talk.mp4'), turn: { yaw: 30 } }));
  assert.equal(frames, 3);
  await using before = await openClip(path('talk.mp4'));
  await using after = await openClip(path('talk'));
  const [own, made] = [await collect(before), await collect(after)];
  for (const [i, { picture }] of made.entries()) {
    assert.ok(psnr(picture, await painted({ yaw: 30 }, own[i]!.picture)) > 60, `frame ${i}`);
  }
});

test('the command turns a head, and says what it cannot do', async () => {
  const run = (words: readonly string[], output = 'no.png') =>
    dagan(folder, ['animate', 'face.png', ...words, '--crop', 'none', '--device', 'cpu', '-o', output]);
  const model = ['--checkpoint', 'osfv.safetensors'];
  const turned = await run(['--yaw', '-25', ...model], 'command.png');
  assert.equal(turned.code, 0, turned.stderr);
  assert.ok(psnr(await readPicture(path('command.png')), await painted({ yaw: -25 })) > 40);
  saveModel(path('plane.safetensors'), formulaModel(SMALL_WITHOUT_DEPTH), { name: 'plane' });
  for (const [words, code, message] of [
    [['--yaw', '10', '--checkpoint', 'plane.safetensors'], 1, /stand in the plane.*OSFV.*--checkpoint/],
    [model, 2, /a driving clip, or angles of the head \(--yaw, --pitch, --roll\)/],
    [['talk.mp4', '--yaw', '-20:20', ...model], 2, /--yaw -20:20.*where nothing else drives it/],
    [['--yaw', '10', '--reference-frame', 'first', ...model], 2, /--reference-frame is about what drives/],
    [['--yaw', '10', '--speed', '2', ...model], 1, /stands still.*--yaw -20:20/],
    [['--yaw', '10:20:30', ...model], 2, /one angle, or two with a colon/],
    [['--yaw', '10:', ...model], 2, /number from -90 to 90/],
  ] as const) {
    const refused = await run(words);
    assert.equal(refused.code, code, `${words.join(' ')}: ${refused.stderr}`);
    assert.match(refused.stderr, message);
  }
});
