// Models of the other systems as files and in commands: published ones are read as they are, ours are written and read back.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { saveStateDict, type Tensor, tidy } from '@dagan/libtorch';
import { openCheckpoint } from '@dagan/libtorch/checkpoint';
import { LibtorchEngine } from '../src/animation/engines/libtorch.js';
import { loadOnnxEngine } from '../src/animation/engines/onnx-runtime.js';
import { MotionTransfer } from '../src/animation/motion.js';
import { exportModel } from '../src/export/export-model.js';
import { openClip, readPicture, writePicture } from '../src/media/index.js';
import type { AnimationModel } from '../src/models/animation-model.js';
import { fillByFormula } from '../src/models/files/formula-weights.js';
import { loadModel, saveModel, weightsHash } from '../src/models/files/model-file.js';
import { publishedName } from '../src/models/files/names.js';
import { systemOf } from '../src/models/files/systems.js';
import { MonkeyNet } from '../src/models/monkey-net/monkey-net.js';
import { Osfv } from '../src/models/osfv/osfv.js';
import { X2Face } from '../src/models/x2face/x2face.js';
import { dagan } from './cli-run.js';
import { makeMp4, scene, temporaryFolder } from './media-fixtures.js';
import { fillOsfv, smallOsfv } from './osfv-model.js';

const folder = await temporaryFolder();
const path = (name: string): string => join(folder, name);
await writePicture(path('face.png'), scene(64, 64, 3));
await writePicture(path('other.png'), scene(64, 64, 9));
await makeMp4(path('talk.mp4'), { width: 64, height: 64, frames: 3 });

const FEW = { blockExpansion: 4, maxFeatures: 8 }; // so few that the cap counts, and can be told
const hourglass = { ...FEW, numBlocks: 2 };

/** Small models with reproducible weights, by the name of their system. */
const MODELS: Readonly<Record<string, AnimationModel>> = {
  x2face: new X2Face({ system: 'x2face', numLevels: 6, ...FEW, codeChannels: 5 }),
  'monkey-net': new MonkeyNet({
    system: 'monkey-net',
    numKeypoints: 3,
    keypointDetector: hourglass,
    generator: { ...hourglass, numBlocks: 3, numRefinementBlocks: 1, denseMotion: hourglass },
  }),
};
for (const model of Object.values(MODELS)) fillByFormula(model, { rename: publishedName }).eval().requiresGrad_(false);

/** A model as its published code saves it. @param before what a framework put in front of names */
function savePublished(file: string, model: AnimationModel, { before = '', without = '' } = {}): void {
  tidy(() => {
    const state = new Map<string, Tensor>();
    for (const [name, value] of model.stateDict()) {
      if (name === without) continue;
      const deep = model instanceof MonkeyNet && value.ndim === 4;
      state.set(before + publishedName(name), deep ? value.unsqueeze(2) : value);
    }
    saveStateDict(path(file), state);
  });
}

for (const [system, model] of Object.entries(MODELS)) {
  test(`${system}: published files tell their configuration, whatever a framework put in front of their names`, () => {
    for (const before of ['', 'state_dict.', 'state_dict.module.']) {
      savePublished('published.safetensors', model, { before });
      const loaded = loadModel({ checkpoint: path('published.safetensors') });
      assert.deepEqual(loaded.model.config, model.config);
      assert.equal(weightsHash(loaded.model.stateDict()), weightsHash(model.stateDict()));
      assert.deepEqual(loaded.unused, []);
      loaded.model.dispose();
    }
  });

  test(`${system}: a file of ours brings back the model, and says what it is`, async () => {
    saveModel(path(`${system}.safetensors`), model, { name: 'small' });
    using file = openCheckpoint(path(`${system}.safetensors`));
    assert.equal(file.metadata.architecture, system);
    const { model: back } = loadModel({ checkpoint: path(`${system}.safetensors`) });
    assert.equal(weightsHash(back.stateDict()), weightsHash(model.stateDict()));
    back.dispose();
    const info = await dagan(folder, ['info', `${system}.safetensors`]);
    assert.match(info.stdout, system === 'x2face' ? /X2Face: a code of 5 numbers/ : /3 keypoints with covariances/);
  });

  test(`${system}: a tensor that is missing is named`, () => {
    const gone = [...model.stateDict().keys()].filter((name) => name.endsWith('conv.weight')).at(-1)!;
    savePublished('partial.safetensors', model, { without: gone });
    const named = gone.replaceAll('.', '\\.');
    const expected = new RegExp(`partial\\.safetensors.*(${named}.*missing|missing.*${named})`);
    assert.throws(() => loadModel({ checkpoint: path('partial.safetensors') }), expected);
  });

  test(`${system}: a clip moves a portrait, and every frame is written`, async () => {
    saveModel(path(`${system}.safetensors`), model, { name: 'small' });
    const words = [
      'animate',
      'face.png',
      'talk.mp4',
      '--checkpoint',
      `${system}.safetensors`,
      '--precision',
      'float32',
    ];
    const run = await dagan(folder, [...words, '--crop', 'none', '-o', `${system}.mp4`]);
    assert.equal(run.code, 0, run.stderr);
    const clip = await openClip(path(`${system}.mp4`));
    let frames = 0;
    for await (const _ of clip.frames()) frames += 1;
    assert.equal(frames, 3);
  });
}

/** Those that export, with both of OSFV's decoders, and keypoints without and with jacobians. */
const EXPORTED: Readonly<Record<string, AnimationModel>> = {
  ...MODELS,
  osfv: fillOsfv(new Osfv(smallOsfv())),
  'osfv-spade': fillOsfv(new Osfv(smallOsfv('spade', true))),
};

for (const [system, model] of Object.entries(EXPORTED)) {
  test(`${system}: exported graphs give the keypoints and frames that LibTorch gives`, async () => {
    saveModel(path(`${system}.safetensors`), model, { name: 'small' });
    const load = () => loadModel({ checkpoint: path(`${system}.safetensors`) }).model;
    const { motion } = model;
    const manifest = await exportModel(load(), path(`${system}-exported`), { size: 64 });
    const { name } = systemOf(model.config);
    assert.deepEqual([manifest.architecture, manifest.size, manifest.motion], [name, 64, motion]);
    const engines = [
      new LibtorchEngine(load(), { size: 64 }),
      await loadOnnxEngine(path(`${system}-exported`), { threads: 1 }),
    ] as const;
    const [expected, actual] = await Promise.all(
      engines.map(async (engine) => {
        const before = (await engine.drive([scene(64, 64, 5), scene(64, 64, 9)])).map(({ keypoints }) => keypoints);
        const portrait = await engine.setSource(scene(64, 64, 3));
        const driven = (await engine.drive([scene(64, 64, 5), scene(64, 64, 9)])).map(({ keypoints }) => keypoints);
        const [first] = await engine.generate([driven[0]!]);
        const { picture, deformation, tensors } = await engine.inspect(driven[1]!, { withTensors: true });
        const prediction = tensors!.get('prediction')!.data;
        return {
          sets: [...before, portrait.keypoints, ...driven],
          pictures: [first!, picture],
          deformation,
          prediction,
        };
      }),
    );
    for (const [i, { value, jacobian, head }] of actual!.sets.entries()) {
      const wanted = expected!.sets[i]!;
      assert.ok(furthest(value, wanted.value) < 1e-4, `keypoints ${i}`);
      if (jacobian) assert.ok(furthest(jacobian, wanted.jacobian!) < 1e-4, `matrices ${i}`);
      assert.equal(head !== undefined, name === 'osfv', 'a head in space');
      if (!head) continue;
      assert.ok(furthest(head.canonical, wanted.head!.canonical) < 1e-4, `canonical keypoints ${i}`);
      assert.ok(furthest(head.angles, wanted.head!.angles) < 1e-2, `degrees ${i}`);
    }
    assert.ok(furthest(actual!.deformation!.data, expected!.deformation!.data) < 1e-3, 'deformation');
    const range = expected!.prediction.reduce((most, value) => Math.max(most, value)); // down to about 0
    assert.ok(furthest(actual!.prediction, expected!.prediction) < 1e-3 * range, 'prediction');
    for (const [i, { data }] of actual!.pictures.entries()) {
      const differences = data.map((byte, at) => Math.abs(byte - expected!.pictures[i]!.data[at]!));
      assert.ok(differences.reduce((sum, each) => sum + each, 0) / data.length < 0.05, `frame ${i}`);
    }
    for (const engine of engines) engine.dispose();
  });
}

function furthest(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert.equal(a.length, b.length);
  return Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
}

test('an exported model of another system animates by the command', async () => {
  const words = ['animate', 'face.png', 'talk.mp4', '--crop', 'none', '--engine', 'onnx', '-o', 'onnx.mp4'];
  await exportModel(loadModel({ checkpoint: path('x2face.safetensors') }).model, path('exported'));
  const run = await dagan(folder, [...words, '--checkpoint', 'exported']);
  assert.equal(run.code, 0, run.stderr);
});

test('a code moves as the driver changes since the reference frame, as far as strength says, and has no size', async () => {
  const engine = new LibtorchEngine(loadModel({ checkpoint: path('x2face.safetensors') }).model, { size: 64 });
  try {
    const portrait = await engine.setSource(scene(64, 64, 3));
    const [first, second] = (await engine.drive([scene(64, 64, 5), scene(64, 64, 9)])).map((frame) => frame.keypoints);
    const space = engine.motion;
    const motion = new MotionTransfer(portrait.keypoints, { space, controls: { strength: 0.5 } });
    assert.deepEqual(motion.next(first!), portrait.keypoints);
    const { value } = motion.next(second!);
    for (const [i, number] of value.entries()) {
      const expected = portrait.keypoints.value[i]! + 0.5 * (second!.value[i]! - first!.value[i]!);
      assert.ok(Math.abs(number - expected) < 1e-6);
    }
    assert.throws(() => new MotionTransfer(portrait.keypoints, { space, adaptScale: true }), /has no size/);
  } finally {
    engine.dispose();
  }
});

test('Monkey-Net takes over the driver’s covariance and moves the place', async () => {
  const engine = new LibtorchEngine(loadModel({ checkpoint: path('monkey-net.safetensors') }).model, { size: 64 });
  try {
    const portrait = await engine.setSource(scene(64, 64, 3));
    const [first, second] = (await engine.drive([scene(64, 64, 5), scene(64, 64, 9)])).map((frame) => frame.keypoints);
    const motion = new MotionTransfer(portrait.keypoints, { space: engine.motion });
    motion.next(first!);
    const moved = motion.next(second!);
    assert.deepEqual(moved.jacobian, second!.jacobian);
    const x = portrait.keypoints.value[0]! + second!.value[0]! - first!.value[0]!;
    assert.ok(Math.abs(moved.value[0]! - x) < 1e-6);
  } finally {
    engine.dispose();
  }
});

test('further portraits change what X2Face shows, and are refused by models that take one', async () => {
  const words = ['animate', 'face.png', 'talk.mp4', '--crop', 'none', '--precision', 'float32', '--end', '1'];
  const first = async (name: string, more: readonly string[]): Promise<Uint8Array> => {
    const run = await dagan(folder, [...words, '--checkpoint', 'x2face.safetensors', '-o', `${name}/`, ...more]);
    assert.equal(run.code, 0, run.stderr);
    const [frame] = await readdir(path(name));
    return (await readPicture(join(path(name), frame!))).data;
  };
  const alone = await first('alone', []);
  const merged = await first('merged', ['--portraits', 'other.png', 'face.png']);
  assert.ok(merged.some((value, i) => Math.abs(value - alone[i]!) > 8));
  const refused = await dagan(folder, [
    ...words,
    ...['--checkpoint', 'monkey-net.safetensors', '-o', 'no.mp4', '--portraits', 'other.png'],
  ]);
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /takes one portrait.*--portraits/);
});

test('keypoints of a model that moves by a code are not drawn, and the reason is given', async () => {
  const run = await dagan(folder, ['keypoints', 'face.png', '--crop', 'none', '--checkpoint', 'x2face.safetensors']);
  assert.notEqual(run.code, 0);
  assert.match(run.stderr, /is a code, which has no places to draw.*--checkpoint/);
});

test('the command refuses to scale a code by the size of faces', async () => {
  const words = ['animate', 'face.png', 'talk.mp4', '--checkpoint', 'x2face.safetensors', '--adapt-scale'];
  const run = await dagan(folder, [...words, '--crop', 'none', '-o', 'no.mp4']);
  assert.notEqual(run.code, 0);
  assert.match(run.stderr, /has no size/);
});
