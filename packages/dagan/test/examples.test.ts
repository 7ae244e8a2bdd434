// The programs in examples/, run as their first lines say.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { openCheckpoint } from '@dagan/libtorch/checkpoint';
import { openClip, readMetadata, readPicture } from '../src/media/index.js';
import { psnr, readAll, temporaryFolder } from './media-fixtures.js';
import { loadDagan } from './small-models.js';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const folder = await temporaryFolder();
const output = (name: string): string => join(folder, name);
const [portrait, clip] = ['examples/portrait.png', 'examples/driving.mp4'];

/** What an example prints. */
async function example(name: string, words: readonly string[]): Promise<string> {
  const command = [join('examples', 'dist', `${name}.js`), ...words];
  const { stdout } = await promisify(execFile)(process.execPath, command, { cwd: root });
  return stdout;
}

test('every example is short, says how it is run, and is in the list', () => {
  const names = readdirSync(join(root, 'examples')).filter((name) => name.endsWith('.ts'));
  assert.ok(names.length >= 5, `${names.length} examples`);
  const list = readFileSync(join(root, 'examples', 'README.md'), 'utf8');
  for (const name of names) {
    const text = readFileSync(join(root, 'examples', name), 'utf8');
    assert.ok(text.split('\n').length <= 50, name);
    assert.match(text, new RegExp(`^// .*\\n(//\\n)?// +node examples/dist/${name.replace('.ts', '.js')} `));
    assert.ok(list.includes(`\`${name}\``), name);
  }
});

test('animate-clip: a portrait and a clip become an animated clip that says what it is', async () => {
  const said = await example('animate-clip', [portrait, clip, output('animated.mp4'), '4']);
  assert.match(said, /notice engine: (ONNX Runtime|LibTorch) /);
  assert.match(said, /animated\.mp4: 4 frames of 256 x 256/);
  await using made = await openClip(output('animated.mp4'));
  assert.equal(made.frameCount, 4);
  assert.match(JSON.stringify(await readMetadata(output('animated.mp4'))), /trainedAlgorithmicMedia|synthetic/i);
});

test('animate-clip: what is wrong is told by its code, and nothing is written', async () => {
  const own = output('own.mp4');
  copyFileSync(join(root, clip), own);
  await assert.rejects(example('animate-clip', [portrait, own, own]), (error: { code: number; stderr: string }) => {
    assert.equal(error.code, 1);
    assert.match(error.stderr, /^bad-output: .*own\.mp4/);
    return true;
  });
  assert.deepEqual(readFileSync(own), readFileSync(join(root, clip)));
});

test('live-frames: frames go through one at a time, and the first is the portrait itself', async () => {
  const said = await example('live-frames', [portrait, clip, output('live.mp4'), '3']);
  assert.match(said, /live\.mp4: 3 frames, each within \d+ ms/);
  const { frames } = await readAll(output('live.mp4'));
  assert.equal(frames.length, 3);
  const likeness = psnr(frames[0]!.picture, await readPicture(join(root, portrait)));
  assert.ok(likeness > 25, `${likeness} dB`);
});

test('inspect: tensors by name, and a sheet of them', async () => {
  const said = await example('inspect', [portrait, clip, output('seen.png')]);
  assert.match(said, /^deformation +\[1, 64, 64, 2\]$/m);
  assert.match(said, /^\d+\.\d % of the features come from the portrait/m);
  const sheet = await readPicture(output('seen.png'));
  assert.ok(sheet.width >= 1024 && sheet.height > 512, `${sheet.width} x ${sheet.height}`);
});

test('train-tiny: the loss falls, and the model that comes out can be loaded', async () => {
  const said = await example('train-tiny', [clip, output('tiny'), '10']);
  const losses = [...said.matchAll(/^step \d+: pixel loss ([\d.]+)$/gm)].map((match) => Number(match[1]));
  assert.equal(losses.length, 2);
  assert.ok(losses.at(-1)! < 0.7 * losses[0]!, losses.join(' '));
  using model = loadDagan({ checkpoint: output('tiny/model.safetensors') }).model;
  assert.equal(model.config.numKeypoints, 5);
});

test('regression: the network comes near the sine, and its file holds its tensors', async () => {
  const said = await example('regression', ['300', output('sine.safetensors')]);
  const off = Number(/at most ([\d.]+) off/.exec(said)?.[1]);
  assert.ok(off > 0 && off < 0.3, said);
  using file = openCheckpoint(output('sine.safetensors'));
  assert.deepEqual([...file.tensors.keys()].sort(), ['hidden.bias', 'hidden.weight', 'last.bias', 'last.weight']);
});
