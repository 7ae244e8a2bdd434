// Trainings of the systems beside DaGAN by name: the published sizes, and small ones that two processors finish.
import { SURFACE_POINTS } from '../../faces/landmarks.js';
import { OBJECTIVE_WEIGHTS, type ObjectiveTerm, type ObjectiveWeights } from '../../losses/objective.js';
import { LANDMARK_TRANSFORMER, MARIONETTE_PAPER, type MarionetteConfig } from '../../models/marionette/config.js';
import type { MeshGLikeConfig } from '../../models/meshg-like/meshg-like.js';
import { MONKEY_NET_PUBLISHED, type MonkeyNetConfig } from '../../models/monkey-net/monkey-net.js';
import { NEURALHEAD_PAPER, type NeuralHeadConfig } from '../../models/neuralhead/config.js';
import { OSFV_VOX_256, type OsfvConfig } from '../../models/osfv/config.js';
import { X2FACE_PUBLISHED, type X2FaceConfig } from '../../models/x2face/x2face.js';
import type { AnimationTrainingConfig } from './config.js';
import { presetNamed, TRAINING_PRESETS } from './presets.js';
import type { SystemTrainingConfig } from './system-config.js';

/** These terms and no others. */
function only(weights: Partial<Record<ObjectiveTerm, number>>): ObjectiveWeights {
  const none = Object.fromEntries(Object.keys(OBJECTIVE_WEIGHTS).map((term) => [term, 0])) as ObjectiveWeights;
  return { ...none, ...weights };
}

/** What the trainings have in common. */
const COMMON = {
  clipNorm: null,
  precision: 'float32',
  averageDecay: 0.999,
  accumulate: 1,
  freeze: [],
  seed: 0,
} as const satisfies Partial<SystemTrainingConfig>;

/** Stage I: L1 alone, as in the public code; that takes SGD of rate 1e-3 with momentum 0.9, ours Adam. */
const x2face: SystemTrainingConfig = {
  ...COMMON,
  name: 'x2face',
  model: X2FACE_PUBLISHED,
  steps: 300_000,
  batchSize: 16,
  phases: [{ size: 256, share: 1 }],
  learningRate: 2e-4,
  schedule: { kind: 'cosine', warmup: 200, floor: 0.05 },
  weights: only({ pixel: 10 }),
};

/** Stage II of a model, which `--init` brings: identity losses beside L1. */
function identity(stage1: SystemTrainingConfig, name: string): SystemTrainingConfig {
  return {
    ...stage1,
    name,
    steps: Math.round(stage1.steps / 3),
    learningRate: stage1.learningRate / 4,
    weights: only({ pixel: 10, identity: 1 }),
  };
}

const smallX2Face: X2FaceConfig = {
  system: 'x2face',
  numLevels: 7,
  blockExpansion: 16,
  maxFeatures: 128,
  codeChannels: 64,
};

/** A few clips and hours of two processors suffice. */
const x2faceSmall: SystemTrainingConfig = {
  ...x2face,
  name: 'x2face-small',
  model: smallX2Face,
  steps: 20_000,
  batchSize: 8,
  phases: [{ size: 128, share: 1 }],
  learningRate: 5e-4,
};

const monkeyNet: SystemTrainingConfig = {
  ...COMMON,
  name: 'monkey-net',
  model: MONKEY_NET_PUBLISHED,
  steps: 75_000, // 20 epochs of some 75,000 clips
  batchSize: 20,
  phases: [{ size: 256, share: 1 }],
  learningRate: 2e-4,
  schedule: { kind: 'milestones', at: [0.75, 0.9], factor: 0.1 },
  weights: only({ generatorAdversarial: 1, featureReconstruction: 1 }),
};

/** Of hourglasses. */
const fewBlocks = { blockExpansion: 16, maxFeatures: 128, numBlocks: 4 };

const smallMonkeyNet: MonkeyNetConfig = {
  system: 'monkey-net',
  numKeypoints: 10,
  keypointDetector: fewBlocks,
  generator: { ...fewBlocks, numBlocks: 5, numRefinementBlocks: 2, denseMotion: fewBlocks },
};

const monkeyNetSmall: SystemTrainingConfig = {
  ...monkeyNet,
  name: 'monkey-net-small',
  model: smallMonkeyNet,
  steps: 20_000,
  batchSize: 8,
  phases: [{ size: 128, share: 1 }],
};

/** The published losses, with the face mesh in place of the network that taught the head's pose. */
const osfv: SystemTrainingConfig = {
  ...COMMON,
  name: 'osfv',
  model: OSFV_VOX_256,
  steps: 450_000,
  batchSize: 32,
  phases: [{ size: 256, share: 1 }],
  learningRate: 2e-4,
  schedule: { kind: 'milestones', at: [0.6], factor: 0.1 },
  weights: only({
    ...{ perceptual: 10, generatorAdversarial: 1, featureMatching: 10, equivarianceValue: 10 },
    ...{ keypointPrior: 10, headPose: 20, expression: 5 },
  }),
};

const smallOsfv: OsfvConfig = {
  ...OSFV_VOX_256,
  depth: 8,
  keypointDetector: {
    ...fewBlocks,
    ...{ temperature: OSFV_VOX_256.keypointDetector.temperature, scaleFactor: 0.5 },
  },
  headEstimator: { ...OSFV_VOX_256.headEstimator, width: 16 },
  generator: {
    ...{ blockExpansion: 32, maxFeatures: 128, numDownBlocks: 2, volumeChannels: 16, numVolumeBlocks: 2 },
    ...{ numBottleneckBlocks: 3, decoder: 'residual' },
    denseMotion: {
      ...fewBlocks,
      compress: 4,
      keypointVariance: OSFV_VOX_256.generator.denseMotion.keypointVariance,
    },
  },
};

/** Without the discriminator, which learns slowly, and with pixels instead. */
const osfvSmall: SystemTrainingConfig = {
  ...osfv,
  name: 'osfv-small',
  model: smallOsfv,
  steps: 20_000,
  batchSize: 8,
  phases: [{ size: 128, share: 1 }],
  learningRate: 4e-4,
  schedule: { kind: 'cosine', warmup: 200, floor: 0.05 },
  clipNorm: 100,
  weights: { ...osfv.weights, pixel: 100, generatorAdversarial: 0, featureMatching: 0, headPose: 1 },
};

/** Widths beside DaGAN's. */
const meshgLikeModel: MeshGLikeConfig = {
  system: 'meshg-like',
  numVertices: SURFACE_POINTS.length,
  fitter: {
    ...{ blockExpansion: 32, maxFeatures: 512, numBlocks: 4, scaleFactor: 0.25 },
    ...{ numIdentities: 64, numExpressions: 64 },
  },
  motion: { graphChannels: 128, latent: 512, blockExpansion: 64 },
  generator: { blockExpansion: 64, maxFeatures: 512, numDownBlocks: 2, numBottleneckBlocks: 6 },
};

/** Ours, as no losses are published: DaGAN's for pictures, landmarks of the face mesh for the mesh. */
const meshgLike: SystemTrainingConfig = {
  ...COMMON,
  name: 'meshg-like',
  model: meshgLikeModel,
  steps: 450_000,
  batchSize: 20,
  phases: [{ size: 256, share: 1 }],
  learningRate: 2e-4,
  schedule: { kind: 'milestones', at: [0.6, 0.9], factor: 0.1 },
  weights: only({ perceptual: 10, generatorAdversarial: 1, featureMatching: 10, warp: 100, landmark: 300 }),
};

const smallMeshgLike: MeshGLikeConfig = {
  ...meshgLikeModel,
  fitter: { ...meshgLikeModel.fitter, ...fewBlocks, scaleFactor: 0.5 },
  motion: { graphChannels: 64, latent: 256, blockExpansion: 16 },
  generator: { blockExpansion: 16, maxFeatures: 64, numDownBlocks: 2, numBottleneckBlocks: 3 },
};

/** Without the discriminator, and with pixels instead. */
const meshgLikeSmall: SystemTrainingConfig = {
  ...meshgLike,
  name: 'meshg-like-small',
  model: smallMeshgLike,
  steps: 20_000,
  batchSize: 8,
  phases: [{ size: 128, share: 1 }],
  learningRate: 4e-4,
  schedule: { kind: 'cosine', warmup: 200, floor: 0.05 },
  clipNorm: 100,
  weights: only({ perceptual: 10, pixel: 100, warp: 100, landmark: 300 }),
};

/**
 * The paper's losses with one portrait for each frame, where it takes eight; the paper's rates are 5e-5 and, for the discriminator, which
 * takes two steps for each of the generator's, 2e-4. Both learn at one rate here, step by step.
 */
const neuralHead: SystemTrainingConfig = {
  ...COMMON,
  name: 'neuralhead-ff',
  model: NEURALHEAD_PAPER,
  steps: 450_000,
  batchSize: 16,
  phases: [{ size: 256, share: 1 }],
  learningRate: 5e-5,
  schedule: { kind: 'milestones', at: [0.9], factor: 0.1 },
  weights: only({ perceptual: 10, identity: 1, generatorAdversarial: 1, featureMatching: 10 }),
};

const smallNeuralHead: NeuralHeadConfig = {
  system: 'neuralhead-ff',
  ...{ blockExpansion: 16, maxFeatures: 128, numEmbedderBlocks: 5, numDownBlocks: 3, numBottleneckBlocks: 2 },
};

/** Without discriminator and identity network, and with pixels instead. */
const smallLandmarks = {
  steps: 20_000,
  batchSize: 8,
  phases: [{ size: 128, share: 1 }],
  learningRate: 5e-4,
  schedule: { kind: 'cosine', warmup: 200, floor: 0.05 },
  clipNorm: 100,
  weights: only({ perceptual: 10, pixel: 100 }),
} as const satisfies Partial<SystemTrainingConfig>;

const neuralHeadSmall: SystemTrainingConfig = {
  ...neuralHead,
  ...smallLandmarks,
  name: 'neuralhead-ff-small',
  model: smallNeuralHead,
};

/** The paper's losses; one portrait and one rate, as with NeuralHead-FF. */
const marionette: SystemTrainingConfig = { ...neuralHead, name: 'marionette', model: MARIONETTE_PAPER };

const smallMarionette: MarionetteConfig = {
  ...MARIONETTE_PAPER,
  ...{ blockExpansion: 16, maxFeatures: 128, numDownBlocks: 3, numAttentionBlocks: 2 },
};

const marionetteSmall: SystemTrainingConfig = {
  ...marionette,
  ...smallLandmarks,
  name: 'marionette-small',
  model: smallMarionette,
};

/** With the landmark transformer, which learns at the same time from landmarks alone. */
function withTransformer(training: SystemTrainingConfig, model: MarionetteConfig, name: string): SystemTrainingConfig {
  const transforming: MarionetteConfig = { ...model, landmarkTransformer: LANDMARK_TRANSFORMER };
  return { ...training, name, model: transforming, weights: { ...training.weights, landmark: 10 } };
}

/** `-identity` is the second stage of X2Face; `-small` fits two processors. */
export const SYSTEM_PRESETS = {
  x2face,
  'x2face-identity': identity(x2face, 'x2face-identity'),
  'x2face-small': x2faceSmall,
  'x2face-identity-small': identity(x2faceSmall, 'x2face-identity-small'),
  'monkey-net': monkeyNet,
  'monkey-net-small': monkeyNetSmall,
  osfv,
  'osfv-small': osfvSmall,
  'meshg-like': meshgLike,
  'meshg-like-small': meshgLikeSmall,
  'neuralhead-ff': neuralHead,
  'neuralhead-ff-small': neuralHeadSmall,
  marionette,
  'marionette-small': marionetteSmall,
  'marionette-lt': withTransformer(marionette, MARIONETTE_PAPER, 'marionette-lt'),
  'marionette-lt-small': withTransformer(marionetteSmall, smallMarionette, 'marionette-lt-small'),
} as const satisfies Record<string, SystemTrainingConfig>;

/** Second stages, which refine a model that `--init` brings. */
const REFINING: readonly string[] = ['x2face-identity', 'x2face-identity-small'];

/** The small trainings that begin with random weights, by their names without `-small`: each a system, or a form of one. */
export const smallTrainings = (): ReadonlyMap<string, SystemTrainingConfig> =>
  new Map(
    Object.entries(SYSTEM_PRESETS)
      .filter(([name]) => name.endsWith('-small') && !REFINING.includes(name))
      .map(([name, preset]) => [name.slice(0, -'-small'.length), preset]),
  );

/** A preset of any system by name. Throws a RangeError that names the ones there are. */
export const anyPreset = (name: string): AnimationTrainingConfig | SystemTrainingConfig =>
  presetNamed<AnimationTrainingConfig | SystemTrainingConfig>(name, { ...TRAINING_PRESETS, ...SYSTEM_PRESETS });
