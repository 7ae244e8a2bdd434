// The multi-scale discriminator and the losses that live on it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { grad, noGrad, type Tensor, tidy } from '@dagan/libtorch';
import {
  discriminatorLoss,
  featureDifferences,
  featureMatchingLoss,
  generatorAdversarialLoss,
  ImagePyramid,
} from '../src/losses/index.js';
import { MultiScaleDiscriminator } from '../src/models/discriminator.js';
import { fillByFormula } from '../src/models/files/formula-weights.js';
import { assertClose, assertRelative, largestDifference, scatter, shapesOf } from './compare.js';
import { publishedShapes, referenceTensors, sharedMissing } from './shared.js';

const reference = referenceTensors('losses.safetensors');

/** The tiny configuration of the reference data. */
const TINY = { keypoints: 5, blockExpansion: 16, maxFeatures: 64 };

/** A picture pyramid. */
const picture = (size = 64, seed = 1): Map<number, Tensor> =>
  new ImagePyramid([1, 0.5]).forward(scatter([1, 3, size, size], seed).mul(0.5).add(0.5).to({ dtype: 'float32' }));

const keypoints = (count: number): { value: Tensor } => ({ value: scatter([1, count, 2], 7).to({ dtype: 'float32' }) });

test('discriminator, adversarial losses and feature matching equal the published ones', { skip: sharedMissing }, () => {
  noGrad(() => {
    const network = fillByFormula(new MultiScaleDiscriminator(TINY), { prefix: 'discriminator' });
    const driving = { value: reference('kp_driving.value') };
    const generated = network.forward(new Map([[1, reference('generated')]]), driving);
    const real = network.forward(new Map([[1, reference('driving')]]), driving);
    assertClose(generated.get(1)!.prediction, reference('disc.prediction_map_generated'), 1e-5, 'generated');
    assertClose(real.get(1)!.prediction, reference('disc.prediction_map_real'), 1e-5, 'real');
    assertRelative(generatorAdversarialLoss(generated).item(), reference('gan.generator').item(), 1e-6);
    assertRelative(discriminatorLoss(real, generated).item(), reference('gan.discriminator').item(), 1e-6);
    assertClose(featureDifferences(real, generated).view(4), reference('feature_matching.per_layer'), 1e-6);
  });
});

test('names and shapes are those of the published files', { skip: sharedMissing }, () => {
  assert.deepEqual(shapesOf(new MultiScaleDiscriminator(), 'discriminator'), publishedShapes('discriminator'));
  assert.deepEqual(shapesOf(new MultiScaleDiscriminator(TINY), 'discriminator'), publishedShapes('tiny_discriminator'));
});

test('each scale has a network of its own, whose name writes the decimal point as a dash', () => {
  const network = new MultiScaleDiscriminator({ ...TINY, scales: [1, 0.5] });
  const names = [...network.stateDict().keys()];
  assert.ok(names.includes('discs.1.conv.weight') && names.includes('discs.0-5.conv.weight'));
  const judged = network.forward(picture(128), keypoints(5));
  assert.deepEqual(
    [...judged].map(([scale, { prediction, features }]) => [scale, prediction.shape, features.length]),
    [
      [1, [1, 1, 10, 10], 4],
      [0.5, [1, 1, 2, 2], 4],
    ],
  );
  const onlyFull = new Map([[1, picture(128).get(1)!]]);
  assert.throws(() => network.forward(onlyFull, keypoints(5)), /needs scale 0\.5; there are 1/);
});

test('the score of a picture depends on the keypoints it is judged with', () => {
  const network = new MultiScaleDiscriminator(TINY);
  const image = picture();
  const score = (value: Tensor) => network.forward(image, { value }).get(1)!.prediction;
  const { value } = keypoints(5);
  assert.ok(largestDifference(score(value), score(value.mul(-1))) > 1e-4);
  assert.throws(() => network.forward(image), /judges pictures with 5 keypoints; this one brings none/);
  assert.throws(() => network.forward(image, keypoints(4)), /this one has 4 of them/);
});

test('without keypoints the picture alone is judged', () => {
  const network = new MultiScaleDiscriminator({ ...TINY, keypoints: 0 });
  assert.deepEqual(network.stateDict().get('discs.1.down_blocks.0.conv.weight')!.shape, [32, 3, 4, 4]);
  assert.deepEqual(network.forward(picture()).get(1)!.prediction.shape, [1, 1, 2, 2]);
});

test('spectral normalisation bounds every convolution and saves its vectors', () => {
  const network = new MultiScaleDiscriminator({ ...TINY, spectralNorm: true });
  const names = [...network.stateDict().keys()].filter((name) => name.startsWith('discs.1.conv.'));
  assert.deepEqual(
    names.sort(),
    ['bias', 'weight_orig', 'weight_u', 'weight_v'].map((name) => `discs.1.conv.${name}`).sort(),
  );
  const image = picture();
  const bias = (state: Map<string, Tensor>) => state.get('discs.1.conv.bias')!;
  for (let i = 0; i < 20; i++) tidy(() => void network.forward(image, keypoints(5)));
  network.eval();
  const before = network.forward(image, keypoints(5)).get(1)!.prediction.sub(bias(network.stateDict()).detach().item());
  const weight = network.stateDict().get('discs.1.conv.weight_orig')!.detach();
  weight.mul_(7);
  const after = network.forward(image, keypoints(5)).get(1)!.prediction.sub(bias(network.stateDict()).detach().item());
  assertClose(after, before, 1e-4, 'scores after the weights grew sevenfold');
});

test('generator and discriminator learn in opposite directions from one judgement', () => {
  const network = new MultiScaleDiscriminator(TINY);
  const image = picture().get(1)!.detach().requiresGrad_();
  const generated = network.forward(new Map([[1, image]]), keypoints(5));
  const real = network.forward(picture(64, 2), keypoints(5));
  const [forImage] = grad([generatorAdversarialLoss(generated).add(featureMatchingLoss(real, generated))], [image], {
    retainGraph: true,
  });
  assert.ok(forImage!.abs().sum().item() > 0);

  const bias = network.stateDict().get('discs.1.conv.bias')!;
  const [up] = grad([generatorAdversarialLoss(generated)], [bias], { retainGraph: true });
  const mean = generated.get(1)!.prediction.mean().item();
  assertRelative(up!.item(), -2 * (1 - mean), 1e-3);
  const [both] = grad([discriminatorLoss(real, generated)], [bias]);
  const realMean = real.get(1)!.prediction.mean().item();
  assertRelative(both!.item(), -2 * (1 - realMean) + 2 * mean, 1e-3);
});
