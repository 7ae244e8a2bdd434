// `dagan export`, and `dagan animate` with the result: with LibTorch and on machines that have none.
import assert from 'node:assert/strict';
import { copyFile, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { withoutCuda } from '../src/cli/remedies.js';
import { readManifest } from '../src/export/index.js';
import { readPicture, writePicture } from '../src/media/index.js';
import { saveModel } from '../src/models/index.js';
import { runtimeOfExported } from '../src/pipelines/choose-engine.js';
import { dagan, daganOnFullDisk, formulaModel, SMALL_WITHOUT_DEPTH } from './cli-run.js';
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

/** As if these folders were the repository's weights/. */
const SEVERAL = { DAGAN_WEIGHTS: join(folder, 'several') };
const ONE = { DAGAN_WEIGHTS: join(folder, 'weights') };

const frames = (name: string) => Promise.all([0, 1, 2].map((i) => readPicture(join(folder, name, `00000${i}.png`))));

test('an exported model animates without LibTorch, and the frames are those that LibTorch makes', async () => {
  const made = await dagan(folder, ['export', '--checkpoint', 'quick.safetensors', '-o', 'exported']);
  assert.equal(made.code, 0, made.stderr);
  assert.match(made.stdout, /exported\/drive\.onnx: [\d.]+ MB/);
  assert.match(made.stdout, /exported: float32; pictures of any multiple of 128/);
  assert.deepEqual(await names(join(folder, 'exported')), [
    'drive.onnx',
    'generate.onnx',
    'manifest.json',
    'model.safetensors',
    'source.onnx',
  ]);
  const manifest = readManifest(join(folder, 'exported'));
  assert.equal(manifest.metadata.license, 'CC0-1.0');
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

test('on a full disk every command says so by the name of its output, and leaves what was there', async () => {
  const inner = join(folder, 'full');
  await mkdir(join(inner, 'kept'), { recursive: true });
  const [model, portrait, clip] = ['../quick.safetensors', '../face.png', '../talk.mp4'];
  const earlier = await dagan(inner, ['export', '--checkpoint', model, '-o', 'kept']);
  assert.equal(earlier.code, 0, earlier.stderr);
  const before = await readFile(join(inner, 'kept', 'manifest.json'), 'utf8');
  const exact = ['--checkpoint', model, '--crop', 'none'];
  for (const [words, output] of [
    [['export', '--checkpoint', model, '-o', 'new/folder'], 'new/folder/model.safetensors'],
    [['export', '--checkpoint', model, '-o', 'kept', '--precision', 'float16'], 'kept/model.safetensors'],
    [['import', model, '-o', 'out.safetensors'], 'out.safetensors'],
    [['average', model, model, '-o', 'out.safetensors'], 'out.safetensors'],
    [['inspect', portrait, portrait, '--checkpoint', model, '-o', 'out.safetensors'], 'out.safetensors'],
    [['keypoints', portrait, ...exact, '-o', 'out.png', '--size', '1024'], 'out.png'],
    [['animate', portrait, clip, ...exact, '--size', '1024', '-o', 'out.webp'], 'out.webp'],
  ] as const) {
    const { code, stderr } = await daganOnFullDisk(inner, words, 4);
    const said = new RegExp(
      `^dagan: (full/)?${output}: cannot be written.*(the system allows|EFBIG|disk is full)`,
      'm',
    );
    assert.equal(code, 1, `${words.join(' ')}: ${stderr}`);
    assert.match(stderr, said);
    assert.deepEqual(await names(inner), ['kept'], words.join(' '));
  }
  assert.equal(await readFile(join(inner, 'kept', 'manifest.json'), 'utf8'), before);
  assert.equal(readManifest(join(inner, 'kept')).precision, 'float32');
  assert.equal((await names(join(inner, 'kept'))).length, 5, 'no part is left');
});

test('an exported model in weights/ is the default, with LibTorch and without, and float16 stores it in half', async () => {
  const words = ['export', '--checkpoint', 'quick.safetensors', '-o', 'weights/starter', '--weights', 'float16'];
  const made = await dagan(folder, words);
  assert.equal(made.code, 0, made.stderr);
  assert.match(made.stdout, /weights\/starter: float32, weights in float16; pictures of any multiple of 128/);
  const { weights } = readManifest(join(folder, 'weights', 'starter'));
  assert.ok(weights.bytes < 0.6 * readManifest(join(folder, 'exported')).weights.bytes);

  const without = await dagan(folder, animation('without', '--threads', '1'), { ...ONE, ...WITHOUT_LIBTORCH });
  assert.equal(without.code, 0, without.stderr);
  assert.match(without.stderr, /ONNX Runtime [\d.]+, cpu, float32, 1 threads/);
  assert.doesNotMatch(without.stderr, /LibTorch|UNTRAINED/);
  // Of the two, LibTorch is faster in bfloat16 alone.
  for (const [output, engine, precision] of [
    ['exact', /ONNX Runtime/, 'float32'],
    ['rounded', /LibTorch [\d.]+, cpu, bfloat16/, 'bfloat16'],
  ] as const) {
    const { code, stderr } = await dagan(folder, animation(output, '--device', 'cpu', '--precision', precision), ONE);
    assert.equal(code, 0, stderr);
    assert.match(stderr, engine);
  }
  const chosen = ['--engine', 'libtorch', '--precision', 'float32'];
  const libtorch = await dagan(folder, animation('by-libtorch', ...chosen), ONE);
  assert.equal(libtorch.code, 0, libtorch.stderr);
  assert.match(libtorch.stderr, /LibTorch [\d.]+, cpu, float32/);
  const named = await dagan(folder, animation('named', '--checkpoint', 'weights/starter', ...chosen));
  assert.equal(named.code, 0, named.stderr);
  assert.deepEqual(await frames('named'), await frames('by-libtorch'));
  const [expected, actual, rounded] = [await frames('by-libtorch'), await frames('without'), await frames('rounded')];
  for (const i of [0, 1, 2]) {
    assert.ok(psnr(actual[i]!, expected[i]!) > 60);
    assert.ok(psnr(rounded[i]!, expected[i]!) > 30);
  }
});

test('info describes an exported model: what it is, what goes in and comes out, and its weights', async () => {
  const { code, stdout, stderr } = await dagan(folder, ['info', 'weights/starter'], WITHOUT_LIBTORCH);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /folder {4}weights\/starter: exported by dagan \S+, ONNX opset 17, [\d.]+ MB; all files are as/);
  assert.match(stdout, /runs {6}float32, weights in float16; pictures of any multiple of 128/);
  assert.match(
    stdout,
    /graph {5}drive\.onnx, [\d.]+ MB\n +from image \[batch, 3, height, width\]\n +to keypoints \[batch, 15, 2\]/,
  );
  assert.match(stdout, /file {6}weights\/starter\/model\.safetensors: safetensors/);
  assert.match(stdout, /metadata {2}license: CC0-1\.0/);
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

  // The same weights in another model, and other weights under the hash of these.
  const { keypointDetector } = SMALL_WITHOUT_DEPTH;
  const colder = { ...SMALL_WITHOUT_DEPTH, keypointDetector: { ...keypointDetector, temperature: 0.5 } };
  saveModel(join(folder, 'colder.safetensors'), formulaModel(colder));
  const other = await dagan(
    folder,
    animation('third', '--checkpoint', 'colder.safetensors', '--engine', 'onnx'),
    cache,
  );
  assert.equal(other.code, 0, other.stderr);
  assert.match(other.stderr, /exporting the model to .*cache/);
  const bytes = await readFile(join(folder, 'quick.safetensors'));
  bytes[bytes.length - 1]! ^= 1;
  await writeFile(join(folder, 'altered.safetensors'), bytes);
  const altered = animation('x', '--checkpoint', 'altered.safetensors', '--engine', 'onnx');
  const { code, stderr } = await dagan(folder, altered, cache);
  assert.equal(code, 1);
  assert.match(
    stderr,
    /altered\.safetensors: is damaged: its weights are not those whose hash it states; copy it again/,
  );
});

test('an exported model runs on what has the device that is asked for, and if nothing has it, both are named', async () => {
  type Asked = Partial<Parameters<typeof runtimeOfExported>[0]>;
  const runtime = (asked: Asked, gpus: number | null) =>
    runtimeOfExported({ engine: 'auto', device: 'auto', precision: 'auto', ...asked }, () => gpus);
  for (const checkpoint of [undefined, 'exported']) {
    const cuda = { checkpoint, device: 'cuda' };
    assert.deepEqual([runtime(cuda, 2), runtime(cuda, 0), runtime(cuda, null)], ['libtorch', 'onnx', 'onnx']);
    assert.equal(runtime({ checkpoint, device: 'cuda:1' }, 2), 'libtorch');
    assert.equal(runtime({ ...cuda, engine: 'onnx' }, 2), 'onnx');
    assert.equal(runtime({ ...cuda, engine: 'libtorch' }, 0), 'libtorch');
    assert.equal(runtime({ checkpoint, device: 'tensorrt' }, 2), 'onnx');
  }
  assert.deepEqual([runtime({}, 1), runtime({ checkpoint: 'exported' }, 1)], ['libtorch', 'onnx']);
  assert.equal(runtime({ precision: 'bfloat16' }, 0), 'libtorch');
  assert.equal(runtime({ precision: 'float32' }, 0), 'onnx');
  const unasked = () => assert.fail('LibTorch is loaded for nothing');
  const named = { checkpoint: 'exported', device: 'auto', precision: 'auto' } as const;
  for (const engine of ['auto', 'onnx'] as const)
    assert.equal(runtimeOfExported({ ...named, engine }, unasked), 'onnx');

  const refusal = new Error('Failed to load shared library\n');
  assert.match(
    withoutCuda(refusal.message, 0),
    /LibTorch finds no CUDA.* and ONNX Runtime .*\(Failed to load shared l.*\)/,
  );
  assert.match(
    withoutCuda(refusal.message, null),
    /LibTorch has not been set up, and ONNX Runtime .*leave --device out/,
  );
  assert.match(withoutCuda(refusal.message, 1), /^cannot use cuda: ONNX Runtime .*LibTorch can: --engine libtorch$/);
  // What is said depends on the machine: with a GPU there is nothing to complain of.
  const { code, stderr } = await dagan(folder, animation('on-gpu', '--device', 'cuda'), ONE);
  if (code === 0) assert.match(stderr, /(LibTorch|ONNX Runtime) [\d.]+, cuda/);
  else
    assert.match(stderr, /dagan: cannot use cuda: LibTorch finds no CUDA device here, and ONNX Runtime cannot use it/);
});

test('where there are no weights, that is said once', async () => {
  await mkdir(join(folder, 'none'));
  const words = animation('x', '--crop', 'auto');
  const { code, stderr } = await dagan(folder, words, { DAGAN_WEIGHTS: join(folder, 'none') });
  assert.equal(code, 1);
  assert.equal(stderr.match(/UNTRAINED/g)?.length, 1);
});

test('what is not there is said, with what to do', async () => {
  await mkdir(join(folder, 'empty'));
  await writeFile(join(folder, 'file'), '');
  await cp(join(folder, 'exported'), join(folder, 'damaged'), { recursive: true });
  await copyFile(join(folder, 'exported', 'drive.onnx'), join(folder, 'damaged', 'model.safetensors'));
  for (const name of ['one', 'two']) {
    await cp(join(folder, 'exported'), join(folder, 'several', name), { recursive: true });
  }
  const failures: [string[], RegExp, Record<string, string>?][] = [
    [
      animation('x', '--checkpoint', 'quick.safetensors'),
      /LibTorch has not been set up, and quick\.safetensors needs it: run "npx dagan setup", or name the folder/,
      WITHOUT_LIBTORCH,
    ],
    [
      animation('x', '--checkpoint', 'exported', '--engine', 'libtorch', '--device', 'toaster'),
      /there is no device 'toaster'/,
    ],
    [
      animation('x', '--checkpoint', 'exported', '--depth-encoder', 'file'),
      /exported: is complete; leave --depth-encoder and --depth-decoder out/,
    ],
    [animation('x', '--checkpoint', 'damaged'), /damaged\/model\.safetensors is not the file that its manifest/],
    [
      animation('x', '--checkpoint', 'damaged', '--engine', 'libtorch'),
      /damaged\/model\.safetensors is not the file that its manifest/,
    ],
    // There is no face in the picture, but what is wrong with the model comes first.
    [animation('x', '--crop', 'auto', '--checkpoint', 'damaged'), /damaged\/model\.safetensors is not the file/],
    [animation('x', '--crop', 'auto', '--checkpoint', 'exported', '--device', 'toaster'), /no device 'toaster'/],
    [animation('x', '--crop', 'auto', '--checkpoint', 'exported'), /face\.png: no face is found in it/],
    [animation('x'), /holds several models \(one, two\): choose one/, SEVERAL],
    [['info', 'damaged'], /damaged\/model\.safetensors is not the file that its manifest/],
    [['export', '--checkpoint', 'quick.safetensors', '-o', 'y', '--weights', 'int4'], /'int4' is invalid/],
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
