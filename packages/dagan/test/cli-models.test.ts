// `dagan inspect`, `import`, `info` and the help texts as a user meets them.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { copyFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { noGrad, saveStateDict, type Tensor } from '@dagan/libtorch';
import { openCheckpoint, toNumberArray } from '@dagan/libtorch/checkpoint';
import { FACE_LANDMARKS, FaceAnalyzer } from '../src/faces/index.js';
import { readPicture, writePicture } from '../src/media/index.js';
import { type DaGAN, loadModel, publishedName, saveModel, weightsHash } from '../src/models/index.js';
import { dagan, formulaModel, SMALL, SMALL_WITHOUT_DEPTH, startDagan, startOnFullDisk } from './cli-run.js';
import { largestDifference } from './compare.js';
import { makeMp4, names, readAll, scene, temporaryFolder } from './media-fixtures.js';

const folder = await temporaryFolder();
const path = (name: string): string => join(folder, name);
const deep = formulaModel(SMALL);
saveModel(path('deep.safetensors'), deep, { name: 'deep', license: 'CC0-1.0' });
saveModel(path('flat.safetensors'), formulaModel(SMALL_WITHOUT_DEPTH));
await writePicture(path('face.png'), scene(90, 70, 3));
await makeMp4(path('talk.mp4'), { width: 96, height: 64, frames: 8 });

/** A portrait that belongs to the repository, seen from packages/dagan/dist/test. */
const EXAMPLE = fileURLToPath(new URL('../../../../examples/portrait.png', import.meta.url));

/** Names and shapes of the tensors in a file. */
function shapesIn(name: string): Record<string, readonly number[]> {
  using file = openCheckpoint(path(name));
  return Object.fromEntries([...file.tensors].map(([key, { shape }]) => [key, shape]));
}

const metadataOf = (name: string): Readonly<Record<string, string>> => {
  using file = openCheckpoint(path(name));
  return file.metadata;
};

/** Writes a model as the published code did: its names, training's prefix, the depth network in files of its own. */
function savePublished(model: DaGAN): void {
  const files = { 'net.safetensors': new Map<string, Tensor>(), 'encoder.safetensors': new Map<string, Tensor>() };
  const decoder = new Map<string, Tensor>();
  for (const [name, value] of model.stateDict()) {
    const published = publishedName(name);
    if (published.startsWith('depth_encoder.')) {
      files['encoder.safetensors'].set(published.slice('depth_encoder.'.length), value);
    } else if (published.startsWith('depth_decoder.')) decoder.set(published.slice('depth_decoder.'.length), value);
    else files['net.safetensors'].set(published.replace(/^(generator|kp_detector)\./, '$1.module.'), value);
  }
  for (const [name, state] of Object.entries(files)) saveStateDict(path(name), state);
  saveStateDict(path('decoder.safetensors'), decoder);
}

test('inspect writes all that the networks saw under the published names, and a sheet', async () => {
  const words = ['--checkpoint', 'deep.safetensors', '--precision', 'float32'];
  const run = await dagan(folder, [
    'inspect',
    'face.png',
    'talk.mp4',
    '--frame',
    '5',
    '-o',
    'seen.safetensors',
    ...words,
  ]);
  assert.equal(run.code, 0, run.stderr);
  assert.match(run.stdout, /^seen\.safetensors: 21 tensors in float32, computed in float32\nseen\.png: /);
  assert.deepEqual(shapesIn('seen.safetensors'), {
    source: [1, 3, 256, 256],
    driving: [1, 3, 256, 256],
    source_disp0: [1, 1, 256, 256],
    source_disp1: [1, 1, 128, 128],
    source_disp2: [1, 1, 64, 64],
    source_disp3: [1, 1, 32, 32],
    driving_disp0: [1, 1, 256, 256],
    'kp_source.value': [1, 15, 2],
    'kp_source.jacobian': [1, 15, 2, 2],
    'kp_driving.value': [1, 15, 2],
    'kp_driving.jacobian': [1, 15, 2, 2],
    mask: [1, 16, 64, 64],
    sparse_deformed: [1, 16, 3, 64, 64],
    deformation: [1, 64, 64, 2],
    occlusion_map: [1, 1, 64, 64],
    source_feature_every8: [1, 4, 64, 64],
    warped_feature_every8: [1, 4, 64, 64],
    refined_feature_every8: [1, 4, 64, 64],
    attention_rows_every256: [1, 16, 4096],
    deformed: [1, 3, 256, 256],
    prediction: [1, 3, 256, 256],
  });
  const { source, driving, precision, model_sha256 } = metadataOf('seen.safetensors');
  assert.deepEqual([source, driving, precision], ['face.png', 'talk.mp4', 'float32']);
  assert.equal(model_sha256, weightsHash(deep.stateDict()));
  const sheet = await readPicture(path('seen.png'));
  assert.ok(sheet.width > 4 * 256 && sheet.height > 4 * 256);
});

test('inspect leaves out what a model does not have, and puts the sheet where it is told', async () => {
  const words = ['--checkpoint', 'flat.safetensors', '--sheet', 'sheet.jpg', '-q'];
  const run = await dagan(folder, ['inspect', 'face.png', 'face.png', '-o', 'flat-seen.safetensors', ...words]);
  assert.deepEqual(run, { code: 0, stdout: '', stderr: '' });
  const found = Object.keys(shapesIn('flat-seen.safetensors'));
  assert.ok(found.includes('prediction') && found.includes('kp_source.value'));
  assert.deepEqual(
    found.filter((name) => /disp|attention/.test(name)),
    [],
  );
  assert.ok((await readPicture(path('sheet.jpg'))).height > 256);
});

test('inspect puts named keypoints on the face mesh, as an animation does, unless the network is asked for', async () => {
  const NOSE = 3;
  const model = formulaModel({ ...SMALL_WITHOUT_DEPTH, semanticKeypoints: { noseTip: NOSE } });
  saveModel(path('named.safetensors'), model);
  const keypoints = async (...words: string[]): Promise<number[][]> => {
    const run = await dagan(folder, [
      ...['inspect', EXAMPLE, EXAMPLE, '-o', 'named-seen.safetensors', '--sheet', 'named.png'],
      ...['--checkpoint', 'named.safetensors', '-q', ...words],
    ]);
    assert.deepEqual(run, { code: 0, stdout: '', stderr: '' });
    using file = openCheckpoint(path('named-seen.safetensors'));
    return ['kp_source.value', 'kp_driving.value'].map((name) => toNumberArray(file.tensors.get(name)!));
  };
  const [network, mesh] = [await keypoints('--keypoints', 'network'), await keypoints()];
  await using analyzer = await FaceAnalyzer.load({ mesh: 'refined' });
  const picture = await readPicture(EXAMPLE);
  const { points } = (await analyzer.track(picture))!;
  const nose = [0, 1].map((axis) => (2 * (points[3 * FACE_LANDMARKS.noseTip + axis]! - 0.5)) / (picture.width - 1) - 1);
  for (const [i, found] of mesh.entries()) {
    for (const axis of [0, 1]) assert.ok(Math.abs(found[2 * NOSE + axis]! - nose[axis]!) < 0.02, `${i} ${axis}`);
    const others = found.map((value, k) => (Math.floor(k / 2) === NOSE ? network[i]![k]! : value));
    assert.deepEqual(others, network[i]);
    assert.ok(Math.abs(network[i]![2 * NOSE]! - nose[0]!) + Math.abs(network[i]![2 * NOSE + 1]! - nose[1]!) > 0.05);
  }
});

test('inspect does not write over the model it uses', async () => {
  const before = readFileSync(path('flat.safetensors'));
  const words = ['--checkpoint', 'flat.safetensors', '-o', 'flat.safetensors'];
  const run = await dagan(folder, ['inspect', 'face.png', 'face.png', ...words]);
  assert.equal(run.code, 1);
  assert.match(run.stderr, /flat\.safetensors: would replace the input/);
  assert.deepEqual(readFileSync(path('flat.safetensors')), before);
});

test('a model that keeps pixels of the source says so, and shows which', async () => {
  const starter = fileURLToPath(new URL('../../../../weights/starter', import.meta.url));
  const info = await dagan(folder, ['info', starter]);
  assert.match(info.stdout, /56 of them on landmarks of the face; .*shuffle decoder; pixels of the source kept/);
  const run = await dagan(folder, ['inspect', 'face.png', 'face.png', '-o', 'kept.safetensors', '-q']);
  assert.equal(run.code, 0, run.stderr);
  assert.deepEqual(shapesIn('kept.safetensors').kept_pixels, [1, 1, 256, 256]);
});

test('published files are imported into one file: the same weights, the same hash, the same animation', async () => {
  savePublished(deep);
  const parts = ['--depth-encoder', 'encoder.safetensors', '--depth-decoder', 'decoder.safetensors'];
  const about = ['--name', 'vox', '--license', 'CC BY-NC 4.0'];
  const run = await dagan(folder, ['import', 'net.safetensors', ...parts, '-o', 'model.safetensors', ...about]);
  assert.equal(run.code, 0, run.stderr);
  const hash = weightsHash(deep.stateDict());
  assert.match(
    run.stdout,
    /15 keypoints with jacobians; ResNet-18 face depth for keypoints and attention; residual decoder/,
  );
  assert.ok(run.stdout.includes(`sha256 of the weights: ${hash}`), run.stdout);
  const { name, license, imported_from, sha256 } = metadataOf('model.safetensors');
  assert.deepEqual([name, license, sha256], ['vox', 'CC BY-NC 4.0', hash]);
  assert.equal(imported_from, 'net.safetensors, encoder.safetensors, decoder.safetensors');

  const common = ['animate', 'face.png', 'talk.mp4', '--crop', 'none', '--end', '2', '--precision', 'float32'];
  const published = await dagan(folder, [...common, '--checkpoint', 'net.safetensors', ...parts, '-o', 'a/']);
  assert.equal(published.code, 0, published.stderr);
  const imported = await dagan(folder, [...common, '--checkpoint', 'model.safetensors', '-o', 'b/']);
  assert.equal(imported.code, 0, imported.stderr);
  const frames = async (output: string) => (await readAll(path(output))).frames.map(({ picture }) => picture.data);
  assert.deepEqual(await frames('a'), await frames('b'));

  const half = await dagan(folder, ['import', 'model.safetensors', '-o', 'half.safetensors', '--dtype', 'bfloat16']);
  assert.equal(half.code, 0, half.stderr);
  const [whole, small] = [await stat(path('model.safetensors')), await stat(path('half.safetensors'))];
  assert.ok(small.size < 0.51 * whole.size);
  assert.equal(metadataOf('half.safetensors').name, 'vox');
});

test('import names what is missing, and never writes over what it reads', async () => {
  await copyFile(path('flat.safetensors'), path('own.safetensors'));
  savePublished(deep);
  const before = await names(folder);
  const cases: [words: string[], code: number, line: RegExp][] = [
    [['net.safetensors', '-o', 'x.safetensors'], 1, /net\.safetensors: this model needs face depth.*--depth-encoder/],
    [
      ['net.safetensors', '--depth-encoder', 'decoder.safetensors', '-o', 'x.safetensors'],
      1,
      /decoder\.safetensors: holds no depth encoder/,
    ],
    [['absent.pth', '-o', 'x.safetensors'], 1, /^dagan: absent\.pth: no such file\n$/],
    [['own.safetensors', '-o', 'own.safetensors'], 1, /would replace the input/],
    [['own.safetensors', '-o', 'x.pth'], 2, /models are written as \.safetensors/],
    [['own.safetensors', '-o', 'absent/x.safetensors'], 1, /the folder .* does not exist/],
  ];
  for (const [words, code, line] of cases) {
    const run = await dagan(folder, ['import', ...words]);
    assert.equal(run.code, code, run.stderr);
    assert.match(run.stderr, line);
  }
  assert.deepEqual(await names(folder), before);
});

test('average writes the mean of models, each with its share, and says of what', async () => {
  const other = formulaModel(SMALL);
  noGrad(() => {
    for (const value of other.stateDict().values()) if (value.dtype === 'float32') value.mul_(3);
  });
  saveModel(path('other.safetensors'), other, { name: 'deep', license: 'CC BY 4.0' });
  const words = ['average', 'deep.safetensors', 'other.safetensors', '-o', 'mean.safetensors'];
  for (const [more, factor] of [
    [[], 2],
    [['--shares', '3,1', '--name', 'mine'], 1.5],
  ] as const) {
    const run = await dagan(folder, [...words, ...more]);
    assert.equal(run.code, 0, run.stderr);
    assert.match(run.stdout, /^mean\.safetensors: the mean of 2 files that hold a model\n/);
    const { model, metadata } = loadModel({ checkpoint: path('mean.safetensors') });
    assert.deepEqual(model.config, deep.config);
    const own = deep.stateDict();
    for (const [name, value] of model.stateDict()) {
      const expected = value.dtype === 'float32' ? own.get(name)!.mul(factor) : own.get(name)!;
      assert.ok(largestDifference(value, expected) <= 1e-6 * factor * expected.abs().amax().item() + 1e-9, name);
    }
    assert.equal(metadata.name, factor === 2 ? 'deep' : 'mine');
    assert.equal(metadata.license, 'CC0-1.0; CC BY 4.0');
    assert.match(metadata.averaged_from!, factor === 2 ? /^deep.safetensors \(1\), other/ : /\(3\), .* \(1\)$/);
  }
});

test('average refuses what has no mean, and writes nothing', async () => {
  const before = await names(folder);
  const cases: [words: string[], code: number, line: RegExp][] = [
    [['deep.safetensors'], 2, /deep\.safetensors: a mean takes two models at least/],
    [['deep.safetensors', 'absent.safetensors'], 1, /absent\.safetensors: no such file/],
    [['deep.safetensors', 'flat.safetensors'], 1, /flat\.safetensors: cannot be averaged with deep.*architecture/],
    [['deep.safetensors', 'deep.safetensors', '--shares', '1'], 2, /--shares has 1 numbers for 2 models/],
    [['deep.safetensors', 'deep.safetensors', '--shares', '1,0'], 2, /must be positive numbers/],
  ];
  for (const [words, code, line] of cases) {
    const run = await dagan(folder, ['average', ...words, '-o', 'x.safetensors']);
    assert.equal(run.code, code, run.stderr);
    assert.match(run.stderr, line);
  }
  const own = await dagan(folder, ['average', 'deep.safetensors', 'deep.safetensors', '-o', 'deep.safetensors']);
  assert.equal(own.code, 1);
  assert.match(own.stderr, /would replace the input/);
  assert.deepEqual(await names(folder), before);
});

test('info tells what a checkpoint is, or why it is none', async () => {
  const own = await dagan(folder, ['info', 'deep.safetensors']);
  assert.equal(own.code, 0, own.stderr);
  assert.match(own.stdout, /deep\.safetensors: safetensors, \d+\.\d MB/);
  assert.match(own.stdout, /model {5}custom \(widths 8 to 32\): 15 keypoints with jacobians; ResNet-18 face depth/);
  assert.match(own.stdout, /metadata {2}license: CC0-1\.0/);
  assert.match(own.stdout, /depth_network: 150 with 14\.8\d M/);
  const part = await dagan(folder, ['info', 'encoder.safetensors', '--tensors']);
  assert.equal(part.code, 0);
  assert.match(
    part.stdout,
    /no complete model for animation: no keypoint detector: keypoint_detector\.kp\.weight \(published: kp_detector\.kp\.weight\) is missing/,
  );
  assert.match(part.stdout, /tensor {4}encoder\.conv1\.weight float32 \[64, 3, 7, 7\]/);
  await writeFile(path('page.pth'), '<!doctype html><title>Sign in</title>');
  const page = await dagan(folder, ['info', 'page.pth']);
  assert.equal(page.code, 1);
  assert.match(page.stderr, /^dagan: page\.pth: .*a web page; the download saved a message/);
});

test('a reader of the output who has read enough stops nothing', async () => {
  const { child, result } = startDagan(folder, ['info', 'deep.safetensors', '--tensors']);
  child.stdout!.destroy();
  const { code, stderr } = await result;
  assert.deepEqual([code, stderr], [0, '']);
});

test('output that a full disk does not take is said, and by the exit code; a log that it does not take stops nothing', async () => {
  const words = ['info', 'deep.safetensors', '--tensors'];
  const lost = await startOnFullDisk(folder, words, 0, '> out.txt').result;
  assert.equal(lost.code, 1);
  assert.match(lost.stderr, /^dagan: standard output: cannot be written: the (file grew larger|disk is full).*\n$/);
  const unlogged = await startOnFullDisk(folder, ['info', 'no-such-file'], 0, '2> log.txt').result;
  assert.deepEqual([unlogged.code, unlogged.stdout], [1, '']);
});

test('every command explains itself with examples, and an unknown one suggests a known one', async () => {
  const { code, stdout } = await dagan(folder, ['--help']);
  assert.equal(code, 0);
  for (const command of ['animate', 'inspect', 'import', 'average', 'info', 'doctor']) {
    assert.match(stdout, new RegExp(`^ {2}${command} `, 'm'));
    const help = await dagan(folder, [command, '--help']);
    assert.equal(help.code, 0);
    assert.match(help.stdout, new RegExp(`^Usage: dagan ${command} `));
    if (command !== 'doctor') assert.match(help.stdout, new RegExp(`^Examples:\n {2}dagan ${command} `, 'm'));
  }
  assert.match((await dagan(folder, ['--version'])).stdout, /^\d+\.\d+\.\d+\n$/);
  const wrong = await dagan(folder, ['animte']);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /^dagan: unknown command 'animte' \(Did you mean animate\?\)\n/);
  const doctor = await dagan(folder, ['doctor']);
  assert.equal(doctor.code, 0, doctor.stdout);
  assert.match(doctor.stdout, /LibTorch +\d/);
});
