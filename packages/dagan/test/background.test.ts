// What stands behind the person: the mask of a real portrait, every kind of background, and transparency in files.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { PersonMask } from '../src/faces/person-mask.js';
import {
  createClipWriter,
  cropPicture,
  type Picture,
  readPicture,
  resizePicture,
  saveModel,
  writePicture,
} from '../src/index.js';
import { animateClip } from '../src/pipelines/animate-clip.js';
import { Background, type BackgroundChoice } from '../src/pipelines/background.js';
import { dagan, formulaModel, SMALL_WITHOUT_DEPTH } from './cli-run.js';
import { names, readAll, scene, temporaryFolder } from './media-fixtures.js';

const folder = await temporaryFolder();
const path = (...parts: string[]): string => join(folder, ...parts);
const file = fileURLToPath(new URL('../../../../examples/portrait.png', import.meta.url));
const portrait = resizePicture(await readPicture(file), 256, 256);
const at = ({ width, data }: Picture, x: number, y: number): number[] => [
  ...data.subarray(3 * (y * width + x), 3 * (y * width + x) + 3),
];

/** The portrait's head moved to the right by so many pixels, over its own edge repeated. */
const moved = (by: number): Picture => {
  const result = { ...portrait, data: new Uint8Array(portrait.data.length) };
  for (let y = 0; y < 256; y++) {
    for (let x = 0; x < 256; x++) result.data.set(at(portrait, Math.max(0, x - by), y), 3 * (256 * y + x));
  }
  return result;
};

test('the mask of a portrait holds face, hair and shoulders, and leaves the wall out', async () => {
  await using mask = await PersonMask.load();
  const { width, height, data } = await mask.find(portrait);
  assert.deepEqual([width, height], [256, 256]);
  const share = (x: number, y: number): number => data[256 * y + x]!;
  for (const [x, y] of [
    [128, 128],
    [125, 40],
    [60, 80],
    [128, 240],
  ] as const)
    assert.ok(share(x, y) > 0.9, `${x},${y} is the person's: ${share(x, y)}`);
  for (const [x, y] of [
    [8, 8],
    [247, 8],
    [10, 100],
    [248, 120],
  ] as const)
    assert.ok(share(x, y) < 0.1, `${x},${y} is the wall's: ${share(x, y)}`);
  const empty = await mask.find(cropPicture(portrait, { left: 0, top: 0, width: 20, height: 20 }));
  assert.ok(empty.data.reduce((sum, value) => sum + value, 0) / empty.data.length < 0.5, 'a wall is mostly nobody');
});

test('a colour, a picture or nothing stands behind the person, whose own pixels stay', async () => {
  await writePicture(path('wall.png'), scene(90, 40, 5));
  const choices: BackgroundChoice[] = [
    { kind: 'colour', colour: [0, 177, 64] },
    { kind: 'picture', path: path('wall.png') },
    { kind: 'transparent' },
  ];
  const [colour, picture, transparent] = await Promise.all(
    choices.map(async (choice) => {
      await using background = (await Background.open(choice))!;
      return await background.behind(portrait, portrait);
    }),
  );
  assert.deepEqual(at(colour!, 8, 8), [0, 177, 64]);
  assert.notDeepEqual(at(picture!, 8, 8), at(portrait, 8, 8));
  for (const made of [colour!, picture!, transparent!]) assert.deepEqual(at(made, 128, 128), at(portrait, 128, 128));
  assert.deepEqual([transparent!.alpha![256 * 8 + 8], transparent!.alpha![256 * 128 + 128]], [0, 255]);
  assert.equal(await Background.open({ kind: 'moving' }), undefined);
});

test('a background that stands still is the portrait’s own, bit for bit, wherever nobody is or was', async () => {
  await using background = (await Background.open({ kind: 'still' }))!;
  const tinted = moved(14);
  for (let i = 0; i < tinted.data.length; i += 3) tinted.data[i] = Math.min(255, tinted.data[i]! + 20); // networks change it
  const result = await background.behind(tinted, portrait);
  for (const [x, y] of [
    [8, 8],
    [10, 100],
    [250, 60],
  ] as const)
    assert.deepEqual(at(result, x, y), at(portrait, x, y), `${x},${y}`);
  assert.deepEqual(at(result, 140, 128), at(tinted, 140, 128), 'the person is the moved one');
});

test('a webm keeps how opaque its pixels are, also of odd sizes', async () => {
  const alpha = Uint8Array.from({ length: 65 * 49 }, (_, i) => (i % 65 < 32 ? 0 : 255));
  const red = {
    width: 65,
    height: 49,
    data: new Uint8Array(65 * 49 * 3).map((_, i) => (i % 3 === 0 ? 220 : 30)),
    alpha,
  };
  await using writer = await createClipWriter(path('clear.webm'), {
    width: 65,
    height: 49,
    frameRate: 25,
    alpha: true,
  });
  for (let i = 0; i < 3; i++) await writer.add(red);
  await assert.rejects(writer.add({ ...red, alpha: undefined }), RangeError);
  await writer.finish();
  const { frames } = await readAll(path('clear.webm')); // what is transparent is read on white
  assert.equal(frames.length, 3);
  const [clear, solid] = [at(frames[2]!.picture, 10, 24), at(frames[2]!.picture, 54, 24)];
  assert.ok(
    clear.every((value) => value > 245),
    `${clear}`,
  );
  assert.ok(solid[0]! > 200 && solid[1]! < 60 && solid[2]! < 60, `${solid}`);
  await assert.rejects(createClipWriter(path('x.mp4'), { width: 4, height: 4, alpha: true }), /without transparency/);
});

test('transparent results are folders of PNG frames, or one PNG; other outputs are refused before the work', async () => {
  saveModel(path('quick.safetensors'), formulaModel(SMALL_WITHOUT_DEPTH), { name: 'quick' });
  await writePicture(path('face.png'), scene(90, 70, 3));
  const order = { portrait: path('face.png'), driving: path('face.png'), checkpoint: path('quick.safetensors') };
  const settings = {
    ...order,
    device: 'cpu',
    precision: 'float32',
    threads: 1,
    crop: { kind: 'none' },
    size: 64,
  } as const;
  for (const output of ['one.png', 'frames/']) {
    await animateClip({ ...settings, output: path(output), background: { kind: 'transparent' } });
    const made = output === 'one.png' ? path(output) : path('frames', (await names(path('frames')))[0]!);
    assert.deepEqual((({ channels, width }) => [channels, width])(await sharp(made).metadata()), [4, 64]);
  }
  const words = ['animate', 'face.png', 'face.png', '-o', 'x.mp4', '--background', 'transparent', '--crop', 'none'];
  const refused = await dagan(folder, [...words, '--checkpoint', 'quick.safetensors']);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^dagan: x\.mp4: is written without transparency; name a \.webm/m);
});
