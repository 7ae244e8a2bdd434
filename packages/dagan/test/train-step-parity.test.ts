// One training step of a small model equals that of the published networks: losses, gradients, weights afterwards.
//
// Ours is taken in float64. Gradients of absolute values and rectifiers jump where rounding changes a sign: in float32,
// processors differ by up to 1.7 % of a norm from each other, and so does the reference, which is float32, from the exact one.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { type Tensor, tidy } from '@dagan/libtorch';
import { openCheckpoint } from '@dagan/libtorch/checkpoint';
import { ThinPlateSpline } from '../src/geometry/index.js';
import { OBJECTIVE_WEIGHTS, type ObjectiveTerm } from '../src/losses/index.js';
import { MultiScaleDiscriminator } from '../src/models/discriminator.js';
import { DaGAN, fillByFormula, MODEL_PRESETS, type ModelConfig, publishedName } from '../src/models/index.js';
import { Vgg19 } from '../src/models/perceptual/vgg19.js';
import { trainingPreset } from '../src/training/animation/presets.js';
import { AnimationStep, type AnimationStepResult } from '../src/training/animation/step.js';
import { assertRelative, largestDifference } from './compare.js';
import { referenceTensors, sharedMissing, sharedPath } from './shared.js';

const FILE = 'train-step.safetensors';

/** The tiny configuration of the reference numbers. */
function tinyConfig(): ModelConfig {
  const base = MODEL_PRESETS.dagan;
  const hourglass = { blockExpansion: 16, maxFeatures: 64, numBlocks: 3 };
  return {
    ...base,
    numKeypoints: 5,
    keypointDetector: { ...base.keypointDetector, ...hourglass },
    generator: {
      ...base.generator,
      blockExpansion: 16,
      maxFeatures: 64,
      numBottleneckBlocks: 2,
      denseMotion: { ...base.generator.denseMotion, ...hourglass },
    },
  };
}

/** Our names of the losses that the file calls otherwise. */
const LOSS_NAMES: Readonly<
  Record<
    | Exclude<
        ObjectiveTerm,
        | 'pixel'
        | 'painted'
        | 'perceptualParts'
        | 'warp'
        | 'landmark'
        | 'meshMotion'
        | 'attentionFocus'
        | 'featureReconstruction'
        | 'identity'
        | 'keypointPrior'
        | 'headPose'
        | 'expression'
      >
    | 'discriminator',
    string
  >
> = {
  perceptual: 'perceptual',
  generatorAdversarial: 'gen_gan',
  featureMatching: 'feature_matching',
  equivarianceValue: 'equivariance_value',
  equivarianceJacobian: 'equivariance_jacobian',
  keypointDistance: 'kp_distance',
  discriminator: 'disc_gan',
};

const exact = { dtype: 'float64' } as const;

/** Of the reference's Adam. */
const LEARNING_RATE = 2e-4;

describe('a training step', { skip: sharedMissing }, () => {
  let reference: (name: string) => Tensor;
  let names: string[];
  let state: Map<string, Tensor>;
  let result: AnimationStepResult;

  before(() => {
    reference = referenceTensors(FILE, exact.dtype);
    using file = openCheckpoint(sharedPath(`fixtures/${FILE}`));
    names = [...file.tensors.keys()];
    const model = fillByFormula(new DaGAN(tinyConfig()), { rename: publishedName }).to(exact).train();
    const discriminator = fillByFormula(
      new MultiScaleDiscriminator({ keypoints: 5, blockExpansion: 16, maxFeatures: 64 }),
      { prefix: 'discriminator' },
    ).to(exact);
    const vgg = fillByFormula(new Vgg19(), {
      prefix: 'vgg19',
      rename: (name) => name.replace('vgg19.convolutions', 'vgg19.features'),
    }).to(exact);
    const config = {
      ...trainingPreset('dagan'),
      model: tinyConfig(),
      keypointDistance: { form: 'sign' },
      learningRate: LEARNING_RATE,
    } as const;
    const step = new AnimationStep(model, discriminator, vgg, config, { device: 'cpu', group: null });
    const transform = new ThinPlateSpline(reference('tps.theta'), reference('tps.control_params'));
    result = step.run({ source: reference('source'), driving: reference('driving') }, transform);
    state = new Map([
      ...[...model.stateDict()].map(([name, value]) => [publishedName(name), value] as const),
      ...discriminator.stateDict('discriminator'),
    ]);
  });

  const described = (prefix: string): [string, Tensor, number][] =>
    names
      .filter((name) => name.startsWith(prefix))
      .map((name) => {
        const key = name.slice(prefix.length);
        return [key, state.get(key) ?? assert.fail(`our model has no ${key}`), reference(name).item()];
      });

  test('rebuilds the same frame', () => {
    assert.ok(largestDifference(result.seen.generated.prediction, reference('prediction')) < 1e-4);
  });

  test('has the same losses to one in a thousand', () => {
    for (const [ours, theirs] of Object.entries(LOSS_NAMES)) {
      const name = ours as keyof typeof LOSS_NAMES;
      const weight = name === 'discriminator' ? 1 : OBJECTIVE_WEIGHTS[name];
      assertRelative(weight * result.losses[name]!, reference(`loss.${theirs}`).item(), 1e-3, ours);
    }
  });

  test('has the same gradients: every norm to the rounding of the reference, half of them to one in a thousand', () => {
    const norms = described('grad_norm.');
    assert.equal(norms.length, 129);
    const moderate: number[] = [];
    for (const [name, parameter, expected] of norms) {
      const norm = tidy(() => parameter.grad?.norm().item() ?? assert.fail(`${name} has no gradient`));
      const difference = Math.abs(norm - expected);
      assert.ok(difference <= Math.max(0.02 * expected, 1e-3), `${name}: norm ${norm} instead of ${expected}`);
      if (expected > 0.1) moderate.push(difference / expected);
    }
    assert.ok(moderate.length > norms.length / 2, `${moderate.length} gradients are not tiny`);
    const median = moderate.sort((a, b) => a - b)[Math.floor(moderate.length / 2)]!;
    assert.ok(median <= 1e-3, `half of the norms are further than ${median} of their size from the reference`);
  });

  test('leaves the same parameters and running statistics behind', () => {
    const values = described('after_mean_abs.');
    assert.equal(values.length, 179);
    const gradients = new Map(described('grad_norm.').map(([name, , expected]) => [name, expected]));
    for (const [name, value, expected] of values) {
      const mean = tidy(() => value.detach().to({ dtype: 'float64' }).abs().mean().item());
      // A bias before a normalisation has no gradient but rounding, of which Adam makes steps of its full learning rate.
      const isRounding = (gradients.get(name) ?? 1) < 1e-4;
      const allowed = isRounding ? 2 * LEARNING_RATE : 1e-4 * Math.max(1, Math.abs(expected));
      assert.ok(Math.abs(mean - expected) <= allowed, `${name}: mean ${mean} instead of ${expected}`);
    }
  });
});
