// Monkey-Net: against numbers of the published networks, and what holds of covariances and clips.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cat, noGrad, type Tensor, tensor, tidy } from '@dagan/libtorch';
import { openCheckpoint } from '@dagan/libtorch/checkpoint';
import { discriminatorLoss, generatorAdversarialLoss } from '../src/losses/adversarial.js';
import { featureReconstruction } from '../src/losses/feature-reconstruction.js';
import { fillByFormula } from '../src/models/files/formula-weights.js';
import { ownName, publishedName } from '../src/models/files/names.js';
import { MonkeyDiscriminator } from '../src/models/monkey-net/discriminator.js';
import { gaussianHeatmaps, gaussianOf } from '../src/models/monkey-net/keypoints.js';
import { gaussians, MonkeyNet, type MonkeyNetConfig } from '../src/models/monkey-net/monkey-net.js';
import { coordinateGrid } from '../src/tensors/grid.js';
import { thinned } from '../src/tensors/thinned.js';
import { assertClose, assertGradients, assertOfRange, assertRelative, scatter, shapesOf } from './compare.js';
import { publishedShapes, referenceTensors, sharedMissing, sharedPath } from './shared.js';
import { noise } from './small-models.js';

const FILE = 'monkey-net.safetensors';
const reference = referenceTensors(FILE);

/** The published configuration with the reference's weights. */
function published(): MonkeyNet {
  const model = fillByFormula(new MonkeyNet(), { rename: publishedName }).requiresGrad_(false);
  tidy(() => {
    model.keypointDetector.heatmap.weight.mul_(2.5);
    model.generator.colours.weight.mul_(0.25);
    model.generator.denseMotion.parts.weight.narrow(0, 11, 2).mul_(0.15);
  });
  return model.eval();
}

const FEW = { blockExpansion: 4, maxFeatures: 16, numBlocks: 2 };
const SMALL: MonkeyNetConfig = {
  system: 'monkey-net',
  numKeypoints: 3,
  keypointDetector: FEW,
  generator: { ...FEW, numRefinementBlocks: 1, denseMotion: FEW },
};

/** Where the field leads over the picture's border, float32 decides what is seen: single pixels differ, their mean does not. */
function assertAlmost(actual: Tensor, expected: Tensor, what: string): void {
  const range = expected.amax().item() - expected.amin().item();
  const difference = actual.sub(expected).abs().div(range);
  assert.ok(difference.mean().item() < 1e-4, `${what}: ${difference.mean().item()} of its range in the mean`);
  assert.ok(difference.amax().item() < 1e-2, `${what}: ${difference.amax().item()} of its range at most`);
}

test('keypoints, motion, frames and losses are those of the published Monkey-Net', { skip: sharedMissing }, () => {
  using file = openCheckpoint(sharedPath(`fixtures/${FILE}`));
  using model = published();
  using network = fillByFormula(new MonkeyDiscriminator(10), { prefix: 'discriminator' });
  const left = new Set([...file.tensors.keys()].filter((name) => !/^(source|driving|normalize_all\..*)$/.test(name)));
  noGrad(() =>
    tidy(() => {
      const check = (name: string, whole: Tensor): void => {
        left.delete(name);
        const [actual, expected] = [thinned(name, whole), reference(name)];
        if (/^kp_(source|driving)|deformation|correction|mask|loss|transfer.kp/.test(name)) {
          assertClose(actual, expected, 1e-4, name);
        } else if (/skip0|deformed|disc|prediction/.test(name)) assertAlmost(actual, expected, name);
        else assertOfRange(actual, expected, 1e-3, name);
      };
      const [source, frames] = [reference('source'), reference('driving')];
      const person = model.source(source);
      const driving = model.driving(frames);
      const frame = model.generate(person, driving.keypoints);
      for (const [name, value] of model.seen(person, driving, frame)) {
        if (!left.has(name)) continue;
        left.delete(name);
        const expected = reference(name);
        if (/^kp_(source|driving)|deformation|correction|mask/.test(name)) assertClose(value, expected, 1e-4, name);
        else if (/decoder.skip|deformed|prediction/.test(name)) assertAlmost(value, expected, name);
        else assertOfRange(value, expected, 1e-3, name);
      }
      check('kp_source.var', person.keypoints.jacobian!);
      check('kp_driving.var', driving.keypoints.jacobian!);

      const expected = gaussians(driving.keypoints);
      const generated = network.forward(frame.prediction, expected, 2);
      const real = network.forward(frames, expected, 2);
      check('disc.feature1_generated_every64_every2px', generated.features[1]!);
      check('disc.feature2_generated_every128', generated.features[2]!);
      check('disc.feature3_generated_every128', generated.features[3]!);
      check('disc.feature4_generated_every64', generated.features[4]!);
      check('disc.prediction_map_generated', generated.prediction);
      check('disc.prediction_map_real', real.prediction);
      const first = { mean: expected.mean.narrow(0, 0, 1), covariance: expected.covariance.narrow(0, 0, 1) };
      check('disc.prediction_map_real_frame0_alone', network.forward(frames.narrow(0, 0, 1), first).prediction);
      for (const [l, loss] of featureReconstruction(real, generated).entries()) {
        left.delete(`loss.layer-${l}_rec`);
        assertRelative(loss.item(), reference(`loss.layer-${l}_rec`).item(), 1e-4, `layer ${l}`);
      }
      const [judgedReal, judged] = [new Map([[1, real]]), new Map([[1, generated]])];
      check('loss.gen_gan', generatorAdversarialLoss(judged).reshape(...reference('loss.gen_gan').shape));
      check('loss.disc_gan', discriminatorLoss(judgedReal, judged).reshape(...reference('loss.disc_gan').shape));

      const moved = person.keypoints.value.add(expected.mean).sub(expected.mean.narrow(0, 0, 1));
      check('transfer.kp_norm.mean', moved);
      const transferred = model.generate(person, { value: moved, jacobian: expected.covariance });
      check('transfer.prediction_frame1_every4px', transferred.prediction.narrow(0, 1, 1));
    }),
  );
  assert.deepEqual([...left], [], 'compared with nothing');
});

test('names of all tensors are those of the published files, and shapes but for the depth of 1', {
  skip: sharedMissing,
}, () => {
  using model = new MonkeyNet();
  using network = new MonkeyDiscriminator(10);
  const shapes = { ...shapesOf(model), ...shapesOf(network, 'discriminator') };
  const flat = (shape: readonly number[]) => (shape.length === 5 ? shape.filter((_, axis) => axis !== 2) : shape);
  const list = 'monkey-net-state-dict-shapes.json';
  const parts = ['generator', 'kp_detector', 'discriminator'].map((part) => publishedShapes(part, list));
  const expected = Object.entries(Object.assign({}, ...parts) as Record<string, number[]>);
  assert.deepEqual(
    Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [publishedName(name), shape])),
    Object.fromEntries(expected.map(([name, shape]) => [name, flat(shape)])),
  );
  for (const name of Object.keys(shapes)) assert.equal(ownName(publishedName(name)), name);
});

test('a keypoint is where its heatmap is, as wide as it is, and never narrower than a thousandth', () => {
  tidy(() => {
    const [mean, spread] = [
      [0.2, -0.3],
      [0.03, 0.01, 0.01, 0.02],
    ];
    const wide = { mean: tensor([[mean]]), covariance: tensor([[[spread.slice(0, 2), spread.slice(2)]]]) };
    const heat = gaussianHeatmaps(wide, [64, 64]);
    assert.ok(Math.abs(heat.amax().item() - 0.01) < 1e-4, 'the peak is a hundredth');
    const found = gaussianOf(heat.add(1e-30).log().mul(0.1));
    assertClose(found.mean, wide.mean, 2e-3, 'mean');
    assertClose(found.covariance, wide.covariance, 2e-3, 'covariance');
    const point = scatter([1, 1, 16, 16], 3).to({ dtype: 'float32' }).mul(1000);
    const [a, b, , d] = gaussianOf(point).covariance.flatten().toFloat32Array() as unknown as number[];
    const smaller = (a! + d!) / 2 - Math.hypot((a! - d!) / 2, b!);
    assert.ok(Math.abs(smaller - 0.001) < 1e-5, `the smaller eigenvalue is ${smaller}`);
  });
});

test('gradients through keypoints and their covariances are right', () => {
  const weights = scatter([1, 2, 2, 2], 9);
  assertGradients(
    (logits) => {
      const { mean, covariance } = gaussianOf(logits);
      return mean.sum().add(covariance.mul(weights).sum());
    },
    [scatter([1, 2, 5, 6], 4).mul(0.2)],
  );
});

test('a source serves a batch of frames, its own keypoints move nothing, and gradients reach every parameter', () => {
  using model = new MonkeyNet(SMALL).train();
  const frames = noise(32, { seed: 5, count: 2 });
  tidy(() => {
    const person = model.source(noise(32));
    const { deformation } = model.generate(person, person.keypoints);
    assertClose(deformation, coordinateGrid(8, 8).unsqueeze(0), 1e-6, 'a portrait with its own keypoints');
  });
  noGrad(() => model.generator.denseMotion.parts.weight.uniform_(-0.1, 0.1));
  const frame = model.generate(model.source(noise(32)), model.driving(frames).keypoints);
  assert.deepEqual(
    [frame.prediction.shape, frame.deformation.shape],
    [
      [2, 3, 32, 32],
      [2, 8, 8, 2],
    ],
  );
  frame.prediction.sub(frames).abs().mean().backward();
  for (const [name, parameter] of model.namedParameters()) {
    if (name.endsWith('bias')) continue; // batch norm takes them out
    assert.ok(parameter.grad!.abs().amax().item() > 0, `${name} learns nothing`);
  }
});

test('the discriminator normalises over a clip, and clips do not see each other', () => {
  using network = new MonkeyDiscriminator(3, { blocks: 2, blockExpansion: 4, maxFeatures: 16 });
  noGrad(() =>
    tidy(() => {
      const clips = noise(32, { seed: 8, count: 4 });
      const points = {
        mean: scatter([4, 3, 2], 2).to({ dtype: 'float32' }),
        covariance: tensor([
          [0.02, 0],
          [0, 0.02],
        ]),
      };
      const keypoints = { mean: points.mean, covariance: points.covariance.expand(4, 3, 2, 2) };
      const part = (from: number, length: number) => ({
        mean: keypoints.mean.narrow(0, from, length),
        covariance: keypoints.covariance.narrow(0, from, length),
      });
      const together = network.forward(clips, keypoints, 2).prediction;
      const apart = [0, 2].map((from) => network.forward(clips.narrow(0, from, 2), part(from, 2), 2).prediction);
      assertClose(cat(apart, 0), together, 1e-5);
      const alone = network.forward(clips.narrow(0, 0, 1), part(0, 1)).prediction;
      assert.ok(
        alone
          .sub(together.narrow(0, 0, 1))
          .abs()
          .amax()
          .item() > 1e-4,
        'a frame alone is judged otherwise',
      );
    }),
  );
});
