// The rows of the paper's Table 4, what the paper says of them, and how each is trained on a budget.
import type { ObjectiveWeights } from '../losses/objective.js';
import type { DepthConfig } from '../models/depth-network.js';
import type { AnimationTrainingConfig } from '../training/animation/config.js';
import { modelForSize } from '../training/animation/config.js';
import { TRAINING_PRESETS } from '../training/animation/presets.js';

/** Figures of the paper's Table 4: across identities on CelebV, measured with tools of its own. */
export type PaperFigures = { csim: number; prmse: number; aucon: number };

export type AblationRow = {
  /** Of the training and of the model. */
  preset: keyof typeof TRAINING_PRESETS;
  /** As the paper calls it. */
  label: string;
  /** Its row of Table 4. */
  paper: PaperFigures;
};

/**
 * The eight models: face depth that guides the keypoints (FDN) and attention from depth to appearance (CAM), each, both and
 * neither, on DaGAN's own baseline and on the first-order motion model.
 */
export const ABLATION_ROWS: readonly AblationRow[] = [
  { preset: 'baseline', label: 'Baseline', paper: { csim: 0.688, prmse: 5.39, aucon: 0.657 } },
  { preset: 'baseline-fdn', label: 'Baseline + FDN', paper: { csim: 0.71, prmse: 2.69, aucon: 0.852 } },
  { preset: 'baseline-cam', label: 'Baseline + CAM', paper: { csim: 0.698, prmse: 2.56, aucon: 0.838 } },
  { preset: 'dagan', label: 'DaGAN (FDN + CAM)', paper: { csim: 0.723, prmse: 2.33, aucon: 0.873 } },
  { preset: 'fomm', label: 'FOMM', paper: { csim: 0.462, prmse: 3.9, aucon: 0.667 } },
  { preset: 'fomm-fdn', label: 'FOMM + FDN', paper: { csim: 0.695, prmse: 2.81, aucon: 0.812 } },
  { preset: 'fomm-cam', label: 'FOMM + CAM', paper: { csim: 0.669, prmse: 2.36, aucon: 0.821 } },
  { preset: 'fomm-fdn-cam', label: 'FOMM + FDN + CAM', paper: { csim: 0.716, prmse: 2.28, aucon: 0.865 } },
];

/** The budget that all rows get. */
export type AblationPlan = Pick<AnimationTrainingConfig, 'steps' | 'batchSize' | 'precision' | 'seed'> &
  Partial<Pick<AnimationTrainingConfig, 'learningRate' | 'clipNorm'>> & {
    /** Side of the pictures in pixels. */
    size: number;
    /**
     * Channels of each network's first layer, of which the paper's generator has 64. All widths follow; at 32 the
     * generator is as wide as that of the preset `starter-256`.
     */
    channels: number;
    /** Weights of losses, where not the presets'. */
    weights?: Partial<ObjectiveWeights>;
    /** The face-depth network of those rows that use one; by default a ResNet-18 as narrow as the rest. */
    depth?: DepthConfig;
  };

/** Share of the steps in which the learning rate rises, up to 500. */
const WARMUP = 0.1;

/**
 * The training of a row: its preset, with everything that decides effort set to the plan's. The rows then differ in nothing
 * but what the table is about: depth, attention, host. All have what `starter-256` has beyond the paper for lack of people
 * (augmentation, `reshape`, `sway`), kept pixels and `alignCorners`; none has its losses, or what else its model has of its own.
 *
 * @throws TrainingSetupError for a size that the networks cannot see
 */
export function ablationConfig({ preset }: AblationRow, plan: AblationPlan): AnimationTrainingConfig {
  const { steps, batchSize, precision, seed, size, channels, learningRate, clipNorm } = plan;
  const base: AnimationTrainingConfig = TRAINING_PRESETS[preset];
  const starter = TRAINING_PRESETS['starter-256'];
  const { depth, keypointDetector, generator } = base.model;
  const hourglass = { blockExpansion: channels, maxFeatures: 8 * channels };
  const narrow: AnimationTrainingConfig = {
    ...base,
    ...{ steps, batchSize, precision, seed },
    weights: { ...base.weights, ...plan.weights },
    learningRate: learningRate ?? base.learningRate,
    clipNorm: clipNorm === undefined ? starter.clipNorm : clipNorm,
    schedule: { kind: 'cosine', warmup: Math.min(500, Math.round(WARMUP * steps)), floor: 0.05 },
    discriminator: { blockExpansion: Math.min(32, channels), maxFeatures: 8 * channels },
    augmentation: starter.augmentation,
    reshape: starter.reshape,
    sway: starter.sway,
    model: {
      ...base.model,
      depth: depth && (plan.depth ?? { ...depth, width: channels / 64 }),
      keypointDetector: { ...keypointDetector, ...hourglass },
      generator: {
        ...generator,
        ...{ blockExpansion: channels, maxFeatures: 4 * channels, keepsPixels: true },
        denseMotion: { ...generator.denseMotion, ...hourglass, alignCorners: true },
      },
    },
  };
  return { ...narrow, model: modelForSize(narrow, size), phases: [{ size, share: 1 }] };
}
