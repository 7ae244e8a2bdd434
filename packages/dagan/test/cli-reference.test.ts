// The command line from files to files against the numbers of the published implementation, with the full-size model.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { noGrad, readStateDict, type Tensor, tidy } from '@dagan/libtorch';
import { openCheckpoint } from '@dagan/libtorch/checkpoint';
import { frameName } from '../src/media/files.js';
import { type Picture, readPicture, writePicture } from '../src/media/index.js';
import { MODEL_PRESETS, saveModel } from '../src/models/index.js';
import { tensorToPictures } from '../src/tensors/index.js';
import { pictureToTensor } from '../src/tensors/pictures.js';
import { dagan, formulaModel } from './cli-run.js';
import { largestDifference } from './compare.js';
import { temporaryFolder } from './media-fixtures.js';
import { referenceTensors, sharedMissing, sharedPath } from './shared.js';
import { everythingSeen } from './whole-pass.js';

const folder = await temporaryFolder();
const path = (...names: string[]): string => join(folder, ...names);
if (!sharedMissing) saveModel(path('model.safetensors'), formulaModel(MODEL_PRESETS.dagan));
const model = ['--checkpoint', 'model.safetensors', '--precision', 'float32'];

/** Bytes [N, 256, 256, 3] as N pictures. */
function picturesOf(bytes: Tensor): Picture[] {
  const data = bytes.toFloat32Array();
  const size = 256 * 256 * 3;
  return Array.from({ length: data.length / size }, (_, i) => ({
    width: 256,
    height: 256,
    data: Uint8Array.from(data.subarray(i * size, (i + 1) * size)),
  }));
}

test('animate gives the published frames, within 2 of 255, relative and absolute', {
  skip: sharedMissing,
}, async () => {
  const reference = referenceTensors('animation.safetensors');
  await writePicture(path('portrait.png'), picturesOf(reference('source'))[0]!);
  await mkdir(path('driving'));
  for (const [i, frame] of picturesOf(reference('driving')).entries()) {
    await writePicture(path('driving', frameName(i)), frame);
  }
  for (const [motion, option] of [
    ['relative', ['--adapt-scale', '--reference-frame', 'first']],
    ['absolute', ['--absolute']],
  ] as const) {
    const words = ['animate', 'portrait.png', 'driving', '-o', `${motion}/`, '--crop', 'none'];
    const run = await dagan(folder, [...words, ...option, ...model]);
    assert.equal(run.code, 0, run.stderr);
    for (const [i, expected] of picturesOf(reference(`${motion}.prediction`)).entries()) {
      const frame = await readPicture(path(motion, frameName(i)));
      const worst = frame.data.reduce((most, byte, at) => Math.max(most, Math.abs(byte - expected.data[at]!)), 0);
      assert.ok(worst <= 2, `${motion} frame ${i}: off by ${worst}`);
    }
  }
});

test('inspect gives what the model computes, which is the published tensors as near as 8-bit pictures allow', {
  skip: sharedMissing,
}, async () => {
  const reference = referenceTensors('networks.safetensors');
  const [source, driving] = ['source', 'driving'].map((name) => tensorToPictures(reference(name))[0]!);
  await writePicture(path('source.png'), source!);
  await writePicture(path('driving.png'), driving!);
  const run = await dagan(folder, ['inspect', 'source.png', 'driving.png', '-o', 'seen.safetensors', ...model]);
  assert.equal(run.code, 0, run.stderr);
  using file = openCheckpoint(path('seen.safetensors'));
  const found = readStateDict(file.tensors);
  using expected = openCheckpoint(sharedPath('fixtures/networks.safetensors'));
  assert.deepEqual([...found.keys()].sort(), [...expected.tensors.keys()].sort());
  using networks = formulaModel(MODEL_PRESETS.dagan);
  noGrad(() =>
    tidy(() => {
      const inputs = { source: pictureToTensor(source!), driving: pictureToTensor(driving!) };
      const computed = everythingSeen(networks, inputs.source, inputs.driving);
      for (const [name, value] of found) {
        const own = name in inputs ? inputs[name as keyof typeof inputs] : computed.get(name)?.actual;
        assert.ok(own, `${name} is compared with nothing`);
        for (const [target, allowed] of [
          [own, 2e-4], // the command may use other threads and layouts, which round otherwise
          [reference(name), 0.05],
        ] as const) {
          const range = target.amax().item() - target.amin().item();
          const difference = largestDifference(value, target) / range;
          assert.ok(difference < allowed, `${name}: off by ${difference} of its range, allowed is ${allowed}`);
        }
      }
    }),
  );
});
