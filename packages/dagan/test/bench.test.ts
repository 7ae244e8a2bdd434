// `dagan bench`: what is measured, and that shares add up. How long anything takes is not for a test to say.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { saveModel } from '../src/index.js';
import { kindOf } from '../src/pipelines/bench/operators.js';
import { type BenchReport, benchmark } from '../src/pipelines/index.js';
import { dagan, formulaModel, SMALL } from './cli-run.js';
import { temporaryFolder } from './media-fixtures.js';

const folder = await temporaryFolder();
const model = join(folder, 'small.safetensors');
saveModel(model, formulaModel(SMALL), { name: 'small' });
const example = (name: string): string => fileURLToPath(new URL(`../../../../examples/${name}`, import.meta.url));
const cache = { XDG_CACHE_HOME: join(folder, 'cache') };

test('every engine makes the same frames, and its profile has all of its time', async () => {
  const words = ['bench', '--checkpoint', model, '--frames', '2', '--rounds', '1', '--threads', '1'];
  const { code, stdout, stderr } = await dagan(
    folder,
    [...words, '--precision', 'float32', '--profile', '--json'],
    cache,
  );
  assert.equal(code, 0, stderr);
  const { flows, profiles, whole, ...about } = JSON.parse(stdout.trim().split('\n').at(-1)!).report as BenchReport;
  assert.deepEqual([about.model, about.size, about.frames, about.rounds, about.threads], [model, 256, 2, 1, 1]);
  assert.deepEqual(
    flows.map(({ name }) => name),
    ['published flow, float32', 'LibTorch, float32', 'ONNX Runtime, float32'],
  );
  for (const { name, drive, generate, total, computed, psnr } of flows) {
    assert.ok(drive > 0 && generate > 0 && computed > 0 && Math.abs(drive + generate - total) < 1, name);
    assert.ok(psnr === null || psnr > 55, `${name}: ${psnr} dB`);
  }
  assert.equal(whole, null, 'nothing was given to animate');
  assert.deepEqual(
    profiles.map(({ name }) => name),
    ['LibTorch, float32', 'ONNX Runtime, float32'],
  );
  for (const { name, stages } of profiles) {
    for (const { stage, milliseconds, kinds, operators } of stages) {
      const sum = Object.values(kinds).reduce((a, b) => a + b, 0);
      assert.ok(Math.abs(sum - milliseconds) < 1e-6 * milliseconds, `${name}, ${stage}`);
      assert.ok(kinds.convolution > 0 && operators.some(({ where }) => /\[|\(/.test(where)), `${name}, ${stage}`);
    }
  }
});

test('a whole animation is measured where portrait and clip are given', async () => {
  const report = await benchmark({
    ...{ checkpoint: model, engines: ['libtorch'], precisions: ['float32'], frames: 1, rounds: 1, threads: 1 },
    ...{ inputs: { portrait: example('portrait.png'), driving: example('driving.mp4') }, wholeFrames: 2 },
  });
  const { frames, seconds, faceSeconds, firstFrameSeconds, peakMemory } = report.whole!;
  assert.equal(frames, 2);
  assert.ok(seconds > firstFrameSeconds && firstFrameSeconds > faceSeconds && faceSeconds > 0);
  assert.ok(peakMemory > 50e6 && peakMemory < 50e9, `${peakMemory} bytes`);
});

test('what cannot be measured is said before anything is', async () => {
  const { code, stderr } = await dagan(folder, ['bench', '--checkpoint', model, '--preset', 'dagan']);
  assert.equal(code, 2);
  assert.match(stderr, /--checkpoint or a --preset, not both/);
  const alone = await dagan(folder, ['bench', example('portrait.png')]);
  assert.equal(alone.code, 2);
  assert.match(alone.stderr, /name a clip after the portrait/);
});

test('operators of both runtimes are sorted by what they are for', () => {
  const kinds = ['aten::mkldnn_convolution', 'Conv', 'aten::bmm', 'FusedMatMul', 'GridSample', 'aten::copy_', 'Concat'];
  assert.deepEqual(kinds.map(kindOf), ['convolution', 'convolution', 'product', 'product', 'sampling', 'copy', 'copy']);
  assert.deepEqual(['ReorderInput', 'Softmax', 'Add'].map(kindOf), ['layout', 'other', 'other']);
});
