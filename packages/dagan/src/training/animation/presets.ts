// Trainings by name: the paper's, the rows of its Table 4, a small one for starter weights, a tiny one to try things.
import { partOf } from '../../animation/face-parts.js';
import { landmarkSkin } from '../../faces/landmark-skin.js';
import { EYES, FACE_LANDMARK_NAMES, type FaceLandmark, LIDS, LIP_RIM } from '../../faces/landmarks.js';
import { OBJECTIVE_WEIGHTS } from '../../losses/objective.js';
import { MODEL_PRESETS, type ModelConfig, type ModelName } from '../../models/config/config.js';
import type { Iris } from '../../models/gaze.js';
import type { Lids } from '../../models/landmark-motion.js';
import type { AnimationTrainingConfig } from './config.js';

/** The paper's training (Section 4.1) of a model. */
function paper(name: ModelName): AnimationTrainingConfig {
  return {
    name,
    model: MODEL_PRESETS[name],
    discriminator: {},
    steps: 450_000, // 100 epochs of some 1,200 identities with 75 repeats each
    batchSize: 20,
    phases: [{ size: 256, share: 1 }],
    learningRate: 2e-4,
    schedule: { kind: 'milestones', at: [0.6, 0.9], factor: 0.1 },
    weights: OBJECTIVE_WEIGHTS,
    keypointDistance: {},
    deformation: {},
    averageDecay: 0.999,
    accumulate: 1,
    clipNorm: null,
    precision: 'float32',
    freeze: [],
    seed: 0,
  };
}

/** The first-order model, which knows no keypoint distance loss, as host. */
function host(name: ModelName): AnimationTrainingConfig {
  return { ...paper(name), weights: { ...OBJECTIVE_WEIGHTS, keypointDistance: 0 } };
}

/** Keypoints of a starter model that stand on these landmarks. */
const placesOf = (names: readonly FaceLandmark[]): number[] => names.map((name) => FACE_LANDMARK_NAMES.indexOf(name));

/** Keypoints of a starter model that stand on no landmark: they find hair, ears and shoulders, of which the face knows nothing. */
const FREE_KEYPOINTS = 15;

/**
 * A model for small processors: all its weights take less than 30 MB in 16 bits, and a frame some 16 GFLOP. Free keypoints move the
 * whole, to the first order; landmarks refine their field on the face.
 */
function starterModel(wide: ModelConfig): ModelConfig {
  return {
    ...wide,
    numKeypoints: FACE_LANDMARK_NAMES.length + FREE_KEYPOINTS,
    semanticKeypoints: Object.fromEntries(FACE_LANDMARK_NAMES.map((name, keypoint) => [name, keypoint])),
    depth: wide.depth && { ...wide.depth, width: 0.5, scaleFactor: 0.5 },
    keypointDetector: { ...wide.keypointDetector, blockExpansion: 32, maxFeatures: 256 },
    generator: {
      ...wide.generator,
      blockExpansion: 32,
      maxFeatures: 128,
      numBottleneckBlocks: 3,
      decoder: 'shuffle',
      attention: wide.generator.attention === 'none' ? 'none' : 'scaled',
      attentionPool: 4,
      denseMotion: {
        ...wide.generator.denseMotion,
        blockExpansion: 32,
        maxFeatures: 256,
        alignCorners: true,
        landmarkReach: 0.12,
        lids: LIDS.map((names) => placesOf(names) as unknown as Lids),
        irises: EYES.map((names) => placesOf(names) as unknown as Iris),
        skin: FACE_LANDMARK_NAMES.map((name) => ({ ...landmarkSkin(name), rigid: partOf(name) === 'pose' })),
        stretchPenalty: 3,
        contours: [placesOf(LIP_RIM)],
      },
    },
  };
}

/** A training that few people's clips and a few hours suffice for. */
function starter(wide: AnimationTrainingConfig, name: string): AnimationTrainingConfig {
  return {
    ...wide,
    name,
    model: starterModel(wide.model),
    discriminator: { maxFeatures: 256 },
    steps: 60_000,
    batchSize: 8,
    // Where things move is learned first, by itself: it is a fraction of the work, and painting learns faster on it.
    phases: [
      { size: 128, share: 0.35, painting: false },
      { size: 128, share: 0.45, adversarial: false },
      { size: 256, share: 0.2, adversarial: false },
    ],
    augmentation: { zoom: 0.2, brightness: 0.35, contrast: 0.3, saturation: 0.25 },
    // A few dozen people have too few faces (measured: docs/training-log.md).
    reshape: { share: 0.75, sigmaAffine: 0.1, sigmaSpline: 0.003 },
    // Heads that tilt are rare in clips of a few seconds, and were not followed.
    sway: { share: 0.5 },
    learningRate: 4e-4,
    schedule: { kind: 'cosine', warmup: 200, floor: 0.05 },
    // The default perceptual network overlooks colours, which made copying the source better than learning. The warp loss
    // tells the motion networks directly what they would learn through the decoder in many more steps; mouth and eyes are few
    // pixels, which both would overlook, so that the face mesh teaches them. Keypoints of the lips are nearer to each other
    // than the keypoint distance loss allows.
    weights: {
      ...wide.weights,
      pixel: 200,
      // Where pixels are kept painting would learn nothing, and could never replace them, without a loss of its own.
      painted: 200,
      // Teeth are too small in the whole frame for the perceptual network to see them.
      perceptualParts: 10,
      warp: 150,
      landmark: 300,
      meshMotion: 600,
      attentionFocus: 5,
      keypointDistance: 0,
    },
    guided: 0.5,
    // Some thousand steps after painting has begun.
    alignAttentionAt: 25_000,
    regionWeight: 15,
    clipNorm: 100,
    precision: 'bfloat16',
  };
}

const debugHourglass = { blockExpansion: 8, maxFeatures: 32, numBlocks: 3 };

const debug: AnimationTrainingConfig = {
  ...paper('dagan'),
  name: 'debug',
  model: {
    ...MODEL_PRESETS.dagan,
    numKeypoints: 5,
    depth: { layers: 18, width: 1 / 16 },
    keypointDetector: { ...MODEL_PRESETS.dagan.keypointDetector, ...debugHourglass },
    generator: {
      ...MODEL_PRESETS.dagan.generator,
      blockExpansion: 8,
      maxFeatures: 32,
      numBottleneckBlocks: 1,
      denseMotion: { ...MODEL_PRESETS.dagan.generator.denseMotion, ...debugHourglass },
    },
  },
  discriminator: { blockExpansion: 8, maxFeatures: 32 },
  steps: 100,
  batchSize: 2,
  phases: [{ size: 128, share: 1 }],
  schedule: { kind: 'constant' },
  averageDecay: 0.9,
};

/**
 * Trainings by name. `vox-256` is the paper's; `baseline` to `dagan` and `fomm` to `fomm-fdn-cam` are the rows of its Table 4
 * (see `MODEL_PRESETS`); `starter-256` fits a machine that people own, and `starter-fomm-256` is the first-order model trained
 * in the same way, to compare with; `debug` learns nothing of use, fast.
 */
export const TRAINING_PRESETS = {
  'vox-256': { ...paper('dagan'), name: 'vox-256' },
  'starter-256': starter(paper('dagan'), 'starter-256'),
  'starter-fomm-256': starter(host('fomm'), 'starter-fomm-256'),
  debug,
  baseline: paper('baseline'),
  'baseline-fdn': paper('baseline-fdn'),
  'baseline-cam': paper('baseline-cam'),
  dagan: paper('dagan'),
  fomm: host('fomm'),
  'fomm-fdn': host('fomm-fdn'),
  'fomm-cam': host('fomm-cam'),
  'fomm-fdn-cam': host('fomm-fdn-cam'),
} as const satisfies Record<string, AnimationTrainingConfig>;

/** A preset by name. Throws a RangeError that names the ones there are. */
export const trainingPreset = (name: string): AnimationTrainingConfig => presetNamed(name, TRAINING_PRESETS);

/** One of `presets`. Throws a RangeError that names them. */
export function presetNamed<Config>(name: string, presets: Readonly<Record<string, Config>>): Config {
  const preset = presets[name];
  if (preset) return preset;
  throw new RangeError(`there is no training preset '${name}'; known are ${Object.keys(presets).join(', ')}`);
}
