// `dagan export`, and `dagan animate` with the result: with LibTorch and on machines that have none.
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Manifest, readPicture, saveModel, writePicture } from '../src/index.js';
import { dagan, formulaModel, SMALL_WITHOUT_DEPTH } from './cli-run.js';
import { makeMp4, names, psnr, scene, temporaryFolder } from './media-fixtures.js';

const folder = await temporaryFolder();
saveModel(join(folder, 'quick.safetensors'), formulaModel(SMALL_WITHOUT_DEPTH), { name: 'quick', license: 'CC0-1.0' });
await writePicture(join(folder, 'face.png'), scene(128, 128, 3));
await makeMp4(join(folder, 'talk.mp4'), { width: 96, height: 96, frames: 3 });

/** As if LibTorch had not been set up. */
const WITHOUT_LIBTORCH = { DAGAN_LIBTORCH_ADDON: join(folder, 'no-such-addon.node') };

/** Words that animate into a folder of frames. */
const animation = (output: string, ...more: string[]): string[] => [
  ...['animate', 'face.png', 'talk.mp4', '-o', `${output}/`, '--crop', 'none', '--reference-frame', 'first'],
  ...more,
];

const frames = (name: string) => Promise.all([0, 1, 2].map((i) => readPicture(join(folder, name, `00000${i}.png`))));

test('an exported model animates without LibTorch, and the frames are those that LibTorch makes', async () => {
  const made = await dagan(folder, ['export', '--checkpoint', 'quick.safetensors', '-o', 'exported']);
  assert.equal(made.code, 0, made.stderr);
  assert.match(made.stdout, /exported\/drive\.onnx: [\d.]+ MB/);
  assert.match(made.stdout, /exported: float32, pictures of any multiple of 128/);
  assert.deepEqual(await names(join(folder, 'exported')), [
    'drive.onnx',
    'generate.onnx',
    'manifest.json',
    'source.onnx',
  ]);
  const manifest: Manifest = JSON.parse(await readFile(join(folder, 'exported', 'manifest.json'), 'utf8'));
  assert.equal(manifest.weights.license, 'CC0-1.0');
  assert.match(manifest.exported_by, /^dagan \d/);

  const onnx = await dagan(folder, animation('onnx', '--checkpoint', 'exported', '--threads', '1'), WITHOUT_LIBTORCH);
  assert.equal(onnx.code, 0, onnx.stderr);
  assert.match(onnx.stderr, /ONNX Runtime [\d.]+, cpu, float32, 1 threads/);
  const words = ['--checkpoint', 'quick.safetensors', '--precision', 'float32'];
  const libtorch = await dagan(folder, animation('libtorch', ...words));
  assert.equal(libtorch.code, 0, libtorch.stderr);
  assert.match(libtorch.stderr, /LibTorch [\d.]+, cpu, float32/);
  const [actual, expected] = [await frames('onnx'), await frames('libtorch')];
  for (const i of [0, 1, 2]) assert.ok(psnr(actual[i]!, expected[i]!) > 60);
});

test('--engine onnx exports a model file on the fly, and the second time takes what it has kept', async () => {
  const cache = { XDG_CACHE_HOME: join(folder, 'cache') };
  const words = ['--checkpoint', 'quick.safetensors', '--engine', 'onnx'];
  const first = await dagan(folder, animation('first', ...words), cache);
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stderr, /exporting the model to .*cache/);
  assert.match(first.stderr, /ONNX Runtime/);
  const second = await dagan(folder, animation('second', ...words), cache);
  assert.equal(second.code, 0, second.stderr);
  assert.doesNotMatch(second.stderr, /exporting/);
  assert.deepEqual(await frames('second'), await frames('first'));
});

test('what is not there is said, with what to do', async () => {
  await mkdir(join(folder, 'empty'));
  await writeFile(join(folder, 'file'), '');
  const failures: [string[], RegExp, Record<string, string>?][] = [
    [
      animation('x', '--checkpoint', 'quick.safetensors'),
      /LibTorch has not been set up, and quick\.safetensors needs it: run "npm run setup", or name the folder/,
      WITHOUT_LIBTORCH,
    ],
    [
      animation('x', '--checkpoint', 'exported', '--engine', 'libtorch'),
      /exported: exported models run on ONNX Runtime/,
    ],
    [animation('x', '--checkpoint', 'empty'), /empty: holds no manifest\.json, so it is no exported model/],
    [animation('x', '--checkpoint', 'missing'), /missing: no such file or folder/],
    [
      animation('x', '--checkpoint', 'exported', '--device', 'toaster'),
      /ONNX Runtime has no device 'toaster': name auto, cpu, cuda/,
    ],
    [
      animation('x', '--checkpoint', 'exported', '--precision', 'bfloat16'),
      /was exported in float32: leave --precision out/,
    ],
    [['export', '--checkpoint', 'missing.safetensors', '-o', 'y'], /missing\.safetensors: no such file/],
    [
      ['export', '--checkpoint', 'quick.safetensors', '-o', 'y', '--size', '100'],
      /--size 100: .*must be a multiple of 128/,
    ],
    [['export', '--checkpoint', 'quick.safetensors', '-o', 'file'], /file: is a file; an exported model is a folder/],
  ];
  for (const [words, message, variables] of failures) {
    const { code, stderr } = await dagan(folder, words, variables);
    assert.notEqual(code, 0, words.join(' '));
    assert.match(stderr.split('\n').find((line) => line.startsWith('dagan: ')) ?? stderr, message);
  }
  assert.deepEqual(
    (await names(folder)).filter((name) => name === 'x' || name === 'y' || name.endsWith('.part')),
    [],
  );
});
