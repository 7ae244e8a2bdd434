// MarioNETte: several portraits, what attention and warps do, training, the landmark transformer, files.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { cat, manualSeed, noGrad, optim, setThreads, type Tensor, tensor, tidy, zeros } from '@dagan/libtorch';
import { loadModel, saveModel } from '../src/models/files/model-file.js';
import { checkSystemConfig } from '../src/models/files/systems.js';
import { LANDMARK_TRANSFORMER, MARIONETTE_PAPER, type MarionetteConfig } from '../src/models/marionette/config.js';
import { LandmarkTransformer } from '../src/models/marionette/landmark-transformer.js';
import { Marionette } from '../src/models/marionette/marionette.js';
import { displaced, placeCodes } from '../src/models/marionette/target-encoder.js';
import { landmarksOf } from '../src/training/animation/landmark-objective.js';
import type { FramePair } from '../src/training/animation/pair.js';
import type { SystemTrainingConfig } from '../src/training/animation/system-config.js';
import { SYSTEM_PRESETS } from '../src/training/animation/system-presets.js';
import { SystemTrainee } from '../src/training/animation/system-trainee.js';
import { learnByHeart } from './by-heart.js';
import { dagan } from './cli-run.js';
import { assertClose } from './compare.js';
import { faceClip, facePairs, landmarksOfFrame } from './face-clip.js';
import { assertExported } from './landmark-export.js';
import { temporaryFolder } from './media-fixtures.js';
import { noise } from './small-models.js';

setThreads(1); // the networks are so small that two wait for each other

const PLACE = { device: 'cpu', group: null } as const;
const SIDE = 32;

const SMALL: MarionetteConfig = {
  ...MARIONETTE_PAPER,
  ...{ blockExpansion: 16, maxFeatures: 32, numDownBlocks: 2, numAttentionBlocks: 1 },
};
const SMALL_LT: MarionetteConfig = { ...SMALL, landmarkTransformer: { numExpressions: 12, hidden: 32 } };

const TRAINING: SystemTrainingConfig = {
  ...SYSTEM_PRESETS['marionette-small'],
  model: SMALL,
  phases: [{ size: SIDE, share: 1 }],
  weights: { ...SYSTEM_PRESETS['marionette-small'].weights, perceptual: 0 },
};

/** The 68 landmarks of frames of the clip, [N, 68, 2]. */
const landmarks = (...frames: number[]): Tensor => {
  const found = tensor(frames.map((frame) => [landmarksOfFrame(frame), landmarksOfFrame(frame)]));
  return landmarksOf(found, 0);
};

/** A model whose spectral norms have settled, as after training. */
function settled(config: MarionetteConfig): Marionette {
  const model = new Marionette(config).train();
  noGrad(() =>
    tidy(() => {
      for (let i = 0; i < 3; i++) model.paint(model.source(noise(SIDE), [], [landmarks(0)]), landmarks(1));
    }),
  );
  return model;
}

test('features stay where no flow moves them, and places have codes of their own', () => {
  tidy(() => {
    const map = noise(8);
    assertClose(displaced(map, zeros([1, 2, 8, 8])), map, 1e-5, 'no flow');
    const right = cat([zeros([1, 1, 8, 8]).add(2 / 7), zeros([1, 1, 8, 8])], 1); // one pixel
    assertClose(displaced(map, right).narrow(3, 0, 7), map.narrow(3, 1, 7), 1e-5, 'a pixel to the right');
    const codes = placeCodes(3, 5, 8, 'cpu'); // [1, 15, 8]
    assert.deepEqual(codes.shape, [1, 15, 8]);
    const rows = new Set(
      (codes.select(0, 0).toArray() as number[][]).map((row) => row.map((x) => x.toFixed(5)).join()),
    );
    assert.equal(rows.size, 15);
  });
});

test('portraits count alike in any order, one source serves many drivers, and every parameter learns', () => {
  using model = settled(SMALL);
  const portraits = [1, 2, 3].map((seed) => noise(SIDE, { seed }));
  const places = [0, 1, 2].map((frame) => landmarks(frame));
  tidy(() => {
    model.eval();
    const value = landmarks(0, 1, 3);
    const painted = (order: readonly number[]): Tensor => {
      const [first, ...others] = order.map((i) => portraits[i]!);
      const source = model.source(
        first!,
        others,
        order.map((i) => places[i]!),
      );
      return model.generate(source, { value, jacobian: null }).prediction;
    };
    const together = painted([0, 1, 2]);
    assert.deepEqual(together.shape, [3, 3, SIDE, SIDE]);
    assertClose(painted([2, 0, 1]), together, 1e-3, 'in another order');
    assertClose(painted([0, 0]), painted([0]), 1e-3, 'the same portrait twice');
    assert.ok(painted([0]).sub(together).abs().amax().item() > 1e-3, 'other portraits count');
    assert.throws(() => model.source(portraits[0]!, portraits.slice(1), places.slice(1)), /landmarks of 2/);
    assert.throws(() => model.driving(), /face mesh/);
  });
  model.train();
  const source = model.source(portraits[0]!, portraits.slice(1), places);
  const { prediction } = model.generate(source, { value: landmarks(0, 1, 2), jacobian: null });
  prediction
    .sub(noise(SIDE, { count: 3 }))
    .abs()
    .mean()
    .backward();
  // A convolution's bias before an instance norm, and what is added to all scores of a place, change nothing.
  const idle = /^blender\.\d+\.(conv\.bias|key\.bias|key_place\.bias|value\.bias)$/;
  for (const [name, parameter] of model.namedParameters()) {
    if (!idle.test(name)) assert.ok(parameter.grad!.abs().amax().item() > 0, `${name} learns nothing`);
  }
});

test('the landmark transformer keeps the person’s shape, and takes place, size and tilt from the driver', () => {
  using transformer = new LandmarkTransformer(LANDMARK_TRANSFORMER).eval();
  tidy(() => {
    const portrait = landmarks(0);
    assertClose(transformer.forward(portrait, portrait), portrait, 1e-5, 'by itself');
    const moved = portrait.mul(0.8).add(tensor([0.1, -0.2]));
    assertClose(transformer.forward(portrait, moved), moved, 1e-5, 'nearer and elsewhere');
    const wider = portrait.mul(tensor([1.1, 1])); // another person's face, wider
    const taken = transformer.forward(portrait, wider);
    const widthOf = (points: Tensor): number => {
      const [x, y] = [points.select(2, 0), points.select(2, 1)];
      return (x.amax().item() - x.amin().item()) / (y.amax().item() - y.amin().item());
    };
    assert.ok(Math.abs(widthOf(taken) / widthOf(portrait) - 1) < Math.abs(widthOf(wider) / widthOf(portrait) - 1));
    const partly = cat([wider.narrow(1, 0, 1).mul(Number.NaN), wider.narrow(1, 1, 67)], 1);
    const kept = transformer.forward(portrait, partly);
    assertClose(kept.narrow(1, 1, 67), wider.narrow(1, 1, 67), 0, 'what is not known stays as it is');
  });
});

test('a clip is learned by heart', async () => {
  manualSeed(1);
  using trainee = new SystemTrainee({ ...TRAINING, averageDecay: 0.9 }, null, PLACE);
  const batch = facePairs(faceClip(SIDE), { landmarks: true });
  await learnByHeart(trainee, batch);
});

test('the landmark transformer learns what changes between two frames of a person', () => {
  manualSeed(1);
  using transformer = new LandmarkTransformer({ numExpressions: 12, hidden: 32 });
  using optimizer = new optim.Adam(transformer.parameters(), { lr: 3e-3 });
  const [first, second] = [landmarks(0, 1, 2, 3), landmarks(1, 2, 3, 0)];
  const learn = (): number =>
    tidy(() => {
      optimizer.zeroGrad();
      const loss = transformer.loss(first, second);
      loss.backward();
      optimizer.step();
      return loss.item();
    });
  const losses = Array.from({ length: 150 }, learn);
  assert.ok(losses.at(-1)! < 0.4 * losses[0]!, `from ${losses[0]} to ${losses.at(-1)}`);
});

test('with the landmark transformer a checkpoint goes on, and faces that are not known teach it nothing', () => {
  manualSeed(1);
  const { weights } = SYSTEM_PRESETS['marionette-lt-small'];
  const config = { ...TRAINING, model: SMALL_LT, weights: { ...weights, perceptual: 0 } };
  using trainee = new SystemTrainee(config, null, PLACE);
  const batch = facePairs(faceClip(SIDE), { landmarks: true });
  const learn = (to: SystemTrainee, pair: FramePair, step: number) =>
    to.learn(pair, { step, learningRate: 1e-3, drawing: false }).losses;
  assert.ok(learn(trainee, batch, 0).landmark! > 0);
  using other = new SystemTrainee(config, null, PLACE);
  tidy(() => other.loadStateDict(trainee.stateDict()));
  assert.deepEqual(learn(other, batch, 1), learn(trainee, batch, 1));
  const { landmarks: places, ...pictures } = batch;
  assert.equal(learn(trainee, { ...pictures, landmarks: places!.mul(0) }, 2).landmark, 0);
});

const portraitPath = fileURLToPath(new URL('../../../../examples/portrait.png', import.meta.url));

test('files bring both forms back, and the command animates with several portraits', async () => {
  const folder = await temporaryFolder();
  for (const [name, config] of [
    ['plain', SMALL],
    ['lt', SMALL_LT],
  ] as const) {
    using model = settled(config);
    saveModel(join(folder, `${name}.safetensors`), model, { name });
    const { model: back } = loadModel({ checkpoint: join(folder, `${name}.safetensors`) });
    assert.deepEqual(back.config, config);
    back.dispose();
  }
  assert.throws(() => checkSystemConfig({ ...SMALL, blockExpansion: 10 }), /blockExpansion must be a multiple of 4/);
  const run = async (...words: string[]): Promise<string> => {
    const { code, stdout, stderr } = await dagan(folder, words);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  assert.match(await run('info', 'lt.safetensors'), /MarioNETte\+LT: 68 landmarks.*drawn; 1 attention blocks/);
  const driver = portraitPath.replace('portrait.png', 'driving.mp4');
  const checkpoint = ['--checkpoint', 'lt.safetensors', '--precision', 'float32'];
  await run('animate', portraitPath, driver, ...checkpoint, '--portraits', portraitPath, '--end', '2', '-o', 'out.mp4');
});

test('graphs give the same frames, with and without the landmark transformer', async () => {
  const folder = await temporaryFolder();
  for (const config of [SMALL, SMALL_LT]) {
    manualSeed(3);
    using model = settled(config);
    const load = (): Marionette => {
      const copy = new Marionette(config);
      tidy(() => copy.loadStateDict(model.stateDict()));
      return copy;
    };
    await assertExported(load, join(folder, 'exported'), SIDE);
  }
});
