// X2Face and Monkey-Net in training: a clip is learned by heart, every part learns, checkpoints bring everything back, and the
// command does it all by name.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { manualSeed, setThreads, type Tensor, tidy, zeros } from '@dagan/libtorch';
import { TRAVELLING_POINTS } from '../src/faces/landmarks.js';
import { writePicture } from '../src/media/index.js';
import { loadModel } from '../src/models/files/model-file.js';
import { checkAnyTraining } from '../src/training/animation/objectives.js';
import type { FramePair } from '../src/training/animation/pair.js';
import type { SystemTrainingConfig } from '../src/training/animation/system-config.js';
import { SYSTEM_PRESETS } from '../src/training/animation/system-presets.js';
import { SystemTrainee } from '../src/training/animation/system-trainee.js';
import { learnByHeart, take } from './by-heart.js';
import { dagan } from './cli-run.js';
import { faceClip, facePairs } from './face-clip.js';
import { temporaryFolder } from './media-fixtures.js';

setThreads(1); // the networks are so small that two wait for each other

const PLACE = { device: 'cpu', group: null } as const;
const SIDE = 64;
const CLIP = faceClip(SIDE);
const few = { blockExpansion: 8, maxFeatures: 32, numBlocks: 3 };

/** Small trainings for pictures of 64 x 64. */
const SMALL: Readonly<Record<string, SystemTrainingConfig>> = {
  x2face: {
    ...SYSTEM_PRESETS['x2face-small'],
    model: { system: 'x2face', numLevels: 6, blockExpansion: 8, maxFeatures: 32, codeChannels: 16 } as never,
    phases: [{ size: SIDE, share: 1 }],
  },
  'monkey-net': {
    ...SYSTEM_PRESETS['monkey-net-small'],
    model: {
      ...{ system: 'monkey-net', numKeypoints: 4, keypointDetector: few },
      generator: { ...few, numRefinementBlocks: 1, denseMotion: few },
    } as never,
    phases: [{ size: SIDE, share: 1 }],
  },
  osfv: {
    ...SYSTEM_PRESETS['osfv-small'],
    model: {
      ...{ system: 'osfv', numKeypoints: 4, estimateJacobian: false, depth: 4 },
      keypointDetector: { ...few, temperature: 0.1, scaleFactor: 0.5 },
      headEstimator: { width: 8, numBins: 66 },
      generator: {
        ...{ blockExpansion: 16, maxFeatures: 64, numDownBlocks: 2, volumeChannels: 8, numVolumeBlocks: 1 },
        ...{ numBottleneckBlocks: 2, decoder: 'residual' },
        denseMotion: { ...few, compress: 3, keypointVariance: 0.01 },
      },
    } as never,
    phases: [{ size: SIDE, share: 1 }],
    // No perceptual network, and faces of which no mesh is known.
    weights: { ...SYSTEM_PRESETS['osfv-small'].weights, perceptual: 0, headPose: 0 },
  },
  'meshg-like': {
    ...SYSTEM_PRESETS['meshg-like-small'],
    model: {
      ...SYSTEM_PRESETS['meshg-like-small'].model,
      fitter: { ...few, scaleFactor: 1, numIdentities: 8, numExpressions: 8 },
      motion: { graphChannels: 16, latent: 64, blockExpansion: 8 },
      generator: { blockExpansion: 8, maxFeatures: 32, numDownBlocks: 2, numBottleneckBlocks: 1 },
    } as never,
    phases: [{ size: SIDE, share: 1 }],
    // No perceptual network, and faces of which no mesh is known.
    weights: { ...SYSTEM_PRESETS['meshg-like-small'].weights, perceptual: 0, landmark: 0 },
  },
};

/** Every frame of the clip rebuilt from the one before it. */
const pairs = (): FramePair => facePairs(CLIP);

for (const system of ['x2face', 'monkey-net', 'meshg-like']) {
  test(`${system} learns a clip by heart`, async () => {
    manualSeed(1);
    using trainee = new SystemTrainee({ ...SMALL[system]!, averageDecay: 0.9 }, null, PLACE);
    const batch = pairs();
    await learnByHeart(trainee, batch);
  });
}

test('osfv learns a clip by heart', async () => {
  manualSeed(1);
  const side = SIDE / 2; // volumes take their time
  const config = { ...SMALL.osfv!, phases: [{ size: side, share: 1 }], averageDecay: 0.9 };
  using trainee = new SystemTrainee(config, null, PLACE);
  const batch = facePairs(faceClip(side));
  // The linear layers of its heads sum up hundreds of features: at a higher rate their keypoints jump about.
  // After 120 steps it is there or nearly there, as rounding has it (0.0176 to 0.0213 with five seeds).
  const { losses } = await learnByHeart(trainee, batch, 1e-3, 160);
  assert.deepEqual(Object.keys(losses).sort(), ['equivarianceValue', 'expression', 'keypointPrior', 'pixel', 'total']);
  assert.ok(losses.expression! < 2 && losses.keypointPrior! < 1, 'without scattering its keypoints');
});

test('osfv: the discriminator learns with hinge losses, and the mesh teaches the pose of the head', () => {
  manualSeed(1);
  const { weights } = SYSTEM_PRESETS.osfv;
  using trainee = new SystemTrainee({ ...SMALL.osfv!, weights: { ...weights, perceptual: 0 } }, null, PLACE);
  const batch = pairs();
  assert.throws(() => take(trainee, batch, 1), /does not say where landmarks are/);
  const unseen = { ...batch, landmarks: zeros([4, 2, TRAVELLING_POINTS.length, 3]) };
  const { losses, gradientNorms } = take(trainee, unseen, 1);
  assert.equal(losses.headPose, 0, 'no face, no lesson');
  assert.ok(losses.discriminator! > 0 && gradientNorms.discriminator! > 0);
});

for (const [system, config] of Object.entries(SMALL)) {
  test(`${system}: every part learns in a step, and a checkpoint goes on as if nothing had happened`, () => {
    manualSeed(2);
    const batch = pairs();
    using trainee = new SystemTrainee(config, null, PLACE);
    const before = copied(trainee.stateDict());
    take(trainee, batch, 2);
    const after = copied(trainee.stateDict());
    const still = [...after].filter(([name, data]) => name.startsWith('model.') && same(data, before.get(name)!));
    // Biases before a batch norm have no effect, and nothing to learn.
    const learns = (name: string): boolean => name.endsWith('.weight') && !name.endsWith('.down.weight'); // anti-aliasing
    const idle = still.map(([name]) => name).filter(learns);
    assert.deepEqual(idle, []);
    using other = new SystemTrainee(config, null, PLACE);
    tidy(() => other.loadStateDict(trainee.stateDict()));
    const [one, two] = [trainee, other].map((each) => {
      manualSeed(3); // of the frames that are bent
      return take(each, batch, 1);
    });
    assert.deepEqual(two!.losses, one!.losses);
    assert.deepEqual(copied(other.stateDict()), copied(trainee.stateDict()));
  });
}

for (const [system, config] of Object.entries(SMALL)) {
  test(`${system} learns in bfloat16 by about the losses that it has in float32`, () => {
    const batch = pairs();
    const [exact, mixed] = (['float32', 'bfloat16'] as const).map((precision) => {
      manualSeed(6);
      using trainee = new SystemTrainee({ ...config, precision }, null, PLACE);
      return take(trainee, batch, 1).losses;
    });
    assert.deepEqual(Object.keys(mixed!), Object.keys(exact!));
    // Processors without units for bfloat16 round sums on the way, too.
    assert.ok(Math.abs(mixed!.total! / exact!.total! - 1) < 0.15, `${mixed!.total} instead of ${exact!.total}`);
  });
}

function copied(state: ReadonlyMap<string, Tensor>): Map<string, ArrayLike<unknown>> {
  return tidy(() => new Map([...state].map(([name, value]) => [name, value.contiguous().toTypedArray().slice()])));
}

const same = (a: ArrayLike<unknown>, b: ArrayLike<unknown>): boolean =>
  Array.from(a).every((value, i) => value === b[i]);

test('the second stage of X2Face has identity losses, in frames that others drive too', () => {
  const { weights } = SYSTEM_PRESETS['x2face-identity-small'];
  using trainee = new SystemTrainee({ ...SMALL.x2face!, weights }, null, PLACE);
  const { losses } = take(trainee, pairs(), 1);
  assert.deepEqual(Object.keys(losses).sort(), ['identity', 'pixel', 'total']);
  assert.ok(losses.identity! > 0 && Math.abs(losses.total - 10 * losses.pixel! - losses.identity!) < 1e-3);
});

test('a loss that a system does not know is refused by its name', () => {
  const config = SMALL.x2face!;
  const weights = { ...config.weights, equivarianceValue: 10 };
  assert.throws(() => checkAnyTraining({ ...config, weights }), /has no loss 'equivarianceValue'; it has pixel/);
  const odd = { ...config, phases: [{ size: 96, share: 1 }] };
  assert.throws(() => new SystemTrainee(odd, null, PLACE), /takes multiples of 64/);
});

test('the command trains by the name of a preset, goes on, and gives a model that animates', async () => {
  const folder = await temporaryFolder();
  for (const person of ['anna', 'ben']) {
    const clip = join(folder, 'clips', 'train', person, 'clip');
    mkdirSync(clip, { recursive: true });
    for (const [i, frame] of CLIP.entries()) await writePicture(join(clip, `000000${i}.png`), frame);
  }
  const words = [
    'train',
    'animation',
    '--data',
    'clips',
    '--batch-size',
    '2',
    '--pictures-every',
    '1',
    '--device',
    'cpu',
  ];
  const train = async (run: string, more: readonly string[]): Promise<void> => {
    const { code, stderr } = await dagan(folder, [...words, '--evaluate-every', '0', '-o', run, ...more]);
    assert.equal(code, 0, stderr);
  };
  await train('x2face', ['--preset', 'x2face-small', '--steps', '1']);
  await train('x2face', ['--resume', '--steps', '2']);
  await train('second', ['--preset', 'x2face-identity-small', '--init', 'x2face/model.safetensors', '--steps', '1']);
  await train('monkey', ['--preset', 'monkey-net-small', '--steps', '1']);
  await train('osfv', ['--preset', 'osfv-small', '--weight', 'perceptual=0', '--steps', '1']);
  for (const [run, system] of [
    ['osfv', 'osfv'],
    ['second', 'x2face'],
    ['monkey', 'monkey-net'],
  ] as const) {
    using model = loadModel({ checkpoint: join(folder, run, 'model.safetensors') }).model;
    assert.deepEqual(model.config, SYSTEM_PRESETS[`${system}-small`].model);
  }
  const other = ['--preset', 'monkey-net-small', '--init', 'x2face/model.safetensors', '--steps', '1', '-o', 'no'];
  const refused = await dagan(folder, [...words, ...other]);
  assert.match(refused.stderr, /model of the system x2face, but monkey-net-small trains monkey-net/);
});
