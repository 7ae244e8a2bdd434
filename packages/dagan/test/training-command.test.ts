// `dagan train animation` as people call it: what it shows, and what it refuses.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { trainingDisplay } from '../src/cli/training-display.js';
import { createPicture, writePicture } from '../src/media/index.js';
import { DaGAN, loadModel, saveModel } from '../src/models/index.js';
import { type StepReport, TRAINING_PRESETS } from '../src/training/index.js';
import { dagan, daganOnFullDisk } from './cli-run.js';
import { largestDifference } from './compare.js';
import { makeMp4 } from './media-fixtures.js';

let root: string;
before(() => {
  root = mkdtempSync(join(tmpdir(), 'dagan-train-'));
});
after(() => rmSync(root, { recursive: true, force: true }));

describe('dagan train animation', () => {
  const refuse = async (args: readonly string[], message: RegExp): Promise<void> => {
    const { code, stderr } = await dagan(root, ['train', 'animation', ...args]);
    assert.equal(code === 1 || code === 2, true, stderr);
    assert.match(stderr, message);
  };

  test('explains itself with examples', async () => {
    const { code, stdout } = await dagan(root, ['train', 'animation', '--help']);
    assert.equal(code, 0);
    for (const text of ['--resume', '--nproc', 'starter-256', 'dagan train animation --data clips/']) {
      assert.ok(stdout.includes(text), text);
    }
  });

  test('says what is missing or wrong, and the remedy', async () => {
    const there = ['--data', root, '-o', join(root, 'run')];
    await Promise.all([
      refuse(['--data', root], /required option '-o, --output <folder>'.*see dagan train animation --help/s),
      refuse(['--data', join(root, 'none'), '-o', root], /none: no such file or folder/),
      refuse([...there, '--perceptual', 'vgg19'], /--perceptual vgg19 needs --vgg FILE/),
      refuse([...there, '--weight', 'perceptual=0'], /starter-256 is guided by face depth: --depth FILE/),
      refuse(
        [...there, '--weight', 'beauty=1'],
        /names are perceptual, perceptualParts, pixel, painted, warp, generatorAdversarial/,
      ),
      refuse(
        [...there, '--weight', 'perceptual=0', '--depth', 'untrained', '--batch-size', '3', '--accumulate', '2'],
        /a batch of 3 cannot be shared/,
      ),
      refuse([...there, '--weight', 'perceptual=0', '--depth', 'untrained'], /has no folder 'train'/),
    ]);
  });
});

test('a model is refined from a folder of frames, slowly, and goes on where it was', async () => {
  const clips = join(root, 'clips');
  for (const person of ['anna', 'ben']) {
    const folder = join(clips, 'train', person, 'clip');
    mkdirSync(folder, { recursive: true });
    for (const frame of [0, 1, 2]) {
      const picture = createPicture(96, 96);
      for (let i = 0; i < picture.data.length; i++) picture.data[i] = (i * (frame + 3) * person.length) % 251;
      await writePicture(join(folder, `000000${frame}.png`), picture);
    }
  }
  const start = join(root, 'start.safetensors');
  saveModel(start, new DaGAN(TRAINING_PRESETS.debug.model));
  const run = join(root, 'refined');
  const words = ['train', 'animation', '--data', clips, '-o', run, '--preset', 'debug', '--weight', 'perceptual=0'];
  const rare = ['--evaluate-every', '1', '--evaluation-pairs', '2', '--pictures-every', '0', '--device', 'cpu'];
  const first = await dagan(root, [
    ...words,
    ...rare,
    '--init',
    start,
    '--steps',
    '1',
    '--freeze',
    'keypoint_detector',
  ]);
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stderr, /lr 2\.0e-5/);
  const anew = await dagan(root, [...words, '--depth', 'untrained']);
  assert.match(anew.stderr, /^dagan: .*refined holds a training with checkpoints: go on with it \(--resume\)[^(]*\n$/);
  assert.equal(anew.code, 2);
  const noRoom = join(root, 'no-room');
  const onFullDisk = (data: string) => {
    const there = words.with(words.indexOf(run), noRoom).with(words.indexOf(clips), data);
    return daganOnFullDisk(root, [...there, '--depth', 'untrained'], 0);
  };
  const unwritten = await onFullDisk(clips);
  assert.match(unwritten.stderr, /^dagan: .*no-room\/config\.json: cannot be written: [^\n]*\n$/m);
  assert.equal(unwritten.code, 1);
  assert.deepEqual(readdirSync(noRoom), ['checkpoints'], 'nothing half-written');
  const filmed = join(root, 'filmed'); // a folder of frames is read as it is, a clip is decoded into the cache
  mkdirSync(join(filmed, 'train'), { recursive: true });
  for (const person of ['anna', 'ben']) await makeMp4(join(filmed, 'train', `${person}.mp4`), { frames: 3 });
  const uncached = await onFullDisk(filmed);
  assert.match(
    uncached.stderr,
    /^dagan: .*\.mp4\.frames: cannot be written: .*; --cache names another place for it\n$/m,
  );
  assert.equal(uncached.code, 1);
  const elsewhere = words.map((word) => (word === run ? join(root, 'nothing') : word));
  const mistaken = await dagan(root, [...elsewhere, '--init', start, '--freeze', 'mouth']);
  assert.match(mistaken.stderr, /^dagan: the model has no part 'mouth' to freeze; parts are [^(]*\n$/);
  assert.equal(mistaken.code, 2);
  assert.ok(!existsSync(join(root, 'nothing')), 'a folder was left behind');
  const led = await dagan(root, [...elsewhere, '--init', start, '--preset', 'starter-256', '--weight', 'landmark=1']);
  assert.match(
    led.stderr,
    /^dagan: the loss 'landmark' has weight 1 .* but the model's semanticKeypoints names no keypoint: .*\n$/,
  );
  assert.equal(led.code, 2);
  const notLed = await dagan(root, [...elsewhere, ...rare, '--init', start, '--preset', 'starter-256', '--steps', '1']);
  assert.match(notLed.stderr, /step 1\/1 (?!.*landmark)/);
  assert.equal(notLed.code, 0, notLed.stderr);
  const again = await dagan(root, [...words, ...rare, '--resume', '--steps', '2']);
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stderr, /going on after step 1.*step 2\/2 .*lr 2\.0e-5.*held out: L1/s);
  assert.equal(again.stdout, `${join(run, 'model.safetensors')}\n`);
  const { model } = loadModel({ checkpoint: start });
  const { model: refined } = loadModel({ checkpoint: join(run, 'model.safetensors') });
  const [before, after] = [model.stateDict(), refined.stateDict()];
  for (const [name, value] of after) {
    if (/^(keypoint_detector|depth_network)\./.test(name)) {
      assert.equal(
        largestDifference(value.to({ dtype: 'float32' }), before.get(name)!.to({ dtype: 'float32' })),
        0,
        name,
      );
    }
  }
  const name = 'generator.decoder.final.weight';
  assert.ok(largestDifference(after.get(name)!, before.get(name)!) > 0);
});

describe('the display', () => {
  const report = (step: number): StepReport => ({
    step,
    steps: 100,
    learningRate: 2e-4,
    size: 64,
    images: 8,
    seconds: 2,
    losses: { total: 42, discriminator: 0.5, perceptual: 3.25 },
    gradientNorms: { generator: 1, discriminator: 1 },
  });
  const shown = (isTTY: boolean): { text: string; write(text: string): void; isTTY: boolean; columns: number } => ({
    text: '',
    write(text) {
      this.text += text;
    },
    isTTY,
    columns: 200,
  });

  test('tells of speed, losses and the time that is left, in one line that rewrites itself on a terminal', () => {
    const output = shown(true);
    const display = trainingDisplay({ output });
    display.step!(report(1));
    display.evaluation!(1, { l1: 0.1234, psnr: 17.5, samples: 8 });
    display.close!();
    const line =
      'step 1/100  4.00 images/s  3 min 18 s left  total 42.00 (perceptual 3.25)  discriminator 0.500  lr 2.0e-4';
    const erase = '\r\x1b[2K';
    assert.equal(
      output.text,
      `${erase}${line}${erase}step 1: held out: L1 0.1234, PSNR 17.50 dB, 8 samples\n${erase}${line}\n`,
    );
  });

  test('writes plain lines elsewhere, now and then and at the end', () => {
    const output = shown(false);
    const display = trainingDisplay({ output });
    for (const step of [98, 99, 100]) display.step!(report(step));
    display.close!();
    assert.deepEqual(output.text.match(/^step \d+/gm), ['step 98', 'step 100']);
    assert.ok(!output.text.includes('\x1b'));
  });
});
