// Everything that decides how an animation model is trained, in one object that checkpoints keep.
import type { AugmentationOptions } from '../../data/augmentation.js';
import { FACE_LANDMARKS } from '../../faces/landmarks.js';
import type { DeformationOptions } from '../../geometry/thin-plate-spline.js';
import type { KeypointDistanceOptions } from '../../losses/keypoint-distance.js';
import type { ObjectiveWeights } from '../../losses/objective.js';
import type { SystemConfig } from '../../models/animation-model.js';
import type { ModelConfig } from '../../models/config/config.js';
import type { DiscriminatorConfig } from '../../models/discriminator.js';
import { systemOf } from '../../models/files/systems.js';
import { TrainingSetupError } from '../run/setup-error.js';
import { checkTrainingPlan, checkWhole, type TrainingPlan } from '../run/training-plan.js';
import { checkReshape, type ReshapeOptions } from './reshape.js';
import { checkSway, type SwayOptions } from './sway.js';

/** A part of a run. */
export type TrainingPhase = {
  /** Side of the pictures in pixels. */
  size: number;
  /** Share of the run's steps. All phases add up to 1. */
  share: number;
  /** Whether the discriminator takes part (default: true), if its terms have weights. */
  adversarial?: boolean;
  /** Whether frames are painted (default: true); if not, keypoints and motion alone learn, which is a fraction of the work. */
  painting?: boolean;
};

/** `batchSize` counts pairs of frames. */
export type AnimationTrainingConfig = TrainingPlan & {
  /** The model as it will be used, for pictures of the last phase's size. */
  model: ModelConfig;
  /** What differs from the published discriminator. It always knows the model's keypoints. */
  discriminator: Partial<Omit<DiscriminatorConfig, 'keypoints'>>;
  /** Sizes of pictures one after another; small ones first is faster (progressive training). */
  phases: readonly TrainingPhase[];
  /** How samples are varied; what is left out is as the published models had it. */
  augmentation?: AugmentationOptions;
  weights: ObjectiveWeights;
  keypointDistance: KeypointDistanceOptions;
  /**
   * How many times as much as others pixels of mouth and eyes count in the pixel and warp losses; default 1. It takes batches
   * that say where these are (`regions`).
   */
  regionWeight?: number;
  /**
   * Share of each batch, from 0 (default) to 1, whose semantic keypoints are put on their landmarks for the motion network, so that
   * it need not wait for the detector and takes keypoints of either.
   */
  guided?: number;
  /**
   * Step (from 0) before which the attention gets its start (`alignAttention`); default none, as in the paper. Features must mean
   * something by then. Without attention it says nothing.
   */
  alignAttentionAt?: number;
  /** Deformation that both frames of some pairs undergo alike; default none, as in the paper. */
  reshape?: ReshapeOptions;
  /** Motion of the heads in some pairs, of each frame by itself; default none, as in the paper. */
  sway?: SwayOptions;
  /** Deformation of the driving frames with which their keypoints must move (equivariance losses). */
  deformation: DeformationOptions;
  /** Decay of the exponential moving average of generator and keypoint detector, which is the model that comes out. */
  averageDecay: number;
  /** Parts that each rank's batch is cut into to need less memory. */
  accumulate: number;
  /** Parts of the model that do not learn, as paths in its state dict: `keypoint_detector`, `generator.dense_motion_network`. */
  freeze: readonly string[];
};

/** The phase that a step (from 0) belongs to. */
export function phaseOf(
  { phases, steps }: Pick<AnimationTrainingConfig, 'phases' | 'steps'>,
  step: number,
): TrainingPhase {
  let end = 0;
  for (const phase of phases) {
    end += phase.share * steps;
    if (step < Math.round(end)) return phase;
  }
  return phases.at(-1)!;
}

/** Decay of the average after so many steps: at first it is lower, so that the random start is forgotten quickly. */
export const decayAt = ({ averageDecay }: Pick<AnimationTrainingConfig, 'averageDecay'>, steps: number): number =>
  Math.min(averageDecay, (1 + steps) / (10 + steps));

/** Side of the pictures that the finished model is for. */
export function finalSize({ phases }: Pick<AnimationTrainingConfig, 'phases'>): number {
  return phases.at(-1)!.size;
}

/**
 * The model for smaller pictures: keypoint and motion networks shrink them less, so that they see the same size as in the
 * finished model (64 x 64 in the published one) and their weights carry over.
 *
 * @throws TrainingSetupError if the pictures are smaller than what these networks see
 */
export function modelForSize(
  { model, phases }: Pick<AnimationTrainingConfig, 'model' | 'phases'>,
  size: number,
): ModelConfig {
  const growth = finalSize({ phases }) / size;
  const scaled = (factor: number): number => {
    const scale = factor * growth;
    if (scale > 1 || Math.abs(1 / scale - Math.round(1 / scale)) > 1e-6) {
      throw new TrainingSetupError(
        `pictures of ${size} pixels cannot be shrunk by ${scale} for the keypoint and motion networks`,
      );
    }
    return scale;
  };
  const { depth, keypointDetector, generator } = model;
  return {
    ...model,
    depth: depth?.scaleFactor ? { ...depth, scaleFactor: Math.min(1, depth.scaleFactor * growth) } : depth,
    keypointDetector: { ...keypointDetector, scaleFactor: scaled(keypointDetector.scaleFactor) },
    generator: {
      ...generator,
      denseMotion: { ...generator.denseMotion, scaleFactor: scaled(generator.denseMotion.scaleFactor) },
    },
  };
}

type RegionUse = Pick<AnimationTrainingConfig, 'weights' | 'regionWeight'>;
type CueUse = RegionUse & Pick<AnimationTrainingConfig, 'guided'>;

/** Whether pixels of mouth and eyes count more, or less, than others. */
export function weighsRegions({ weights, regionWeight = 1 }: RegionUse): boolean {
  return regionWeight !== 1 && (weights.pixel > 0 || weights.warp > 0);
}

/** Whether frames are compared by a network that knows pictures. */
export const needsPerceptualNetwork = ({ weights }: Pick<AnimationTrainingConfig, 'weights'>): boolean =>
  weights.perceptual > 0 || weights.perceptualParts > 0;

/** Whether batches must say where mouth, eyes and landmarks are. */
export function needsFaceCues(config: CueUse & { model: SystemConfig }): boolean {
  const { weights, guided = 0, model } = config;
  if (systemOf(model).meshPoints) return true;
  const located = [
    weights.perceptualParts,
    weights.landmark,
    weights.meshMotion,
    weights.attentionFocus,
    weights.headPose,
    guided,
  ];
  return located.some((weight) => weight > 0) || weighsRegions(config);
}

/** @throws TrainingSetupError if the phases are not the whole run */
export function checkShares(phases: readonly { share: number }[]): void {
  const shares = phases.reduce((sum, { share }) => sum + share, 0);
  if (Math.abs(shares - 1) > 1e-6) {
    throw new TrainingSetupError(`the shares of the phases add up to ${shares} instead of 1`);
  }
}

/** @throws TrainingSetupError naming the first value that cannot be */
export function checkTrainingConfig(config: AnimationTrainingConfig, worldSize = 1): void {
  const { phases, accumulate, averageDecay, regionWeight, guided = 0, reshape, sway } = config;
  checkWhole('accumulate', accumulate);
  checkTrainingPlan(config, { worldSize, parts: accumulate });
  if (!(averageDecay >= 0 && averageDecay < 1)) {
    throw new TrainingSetupError(`averageDecay must be from 0 to below 1, not ${averageDecay}`);
  }
  if (regionWeight !== undefined && !(regionWeight >= 0 && Number.isFinite(regionWeight))) {
    throw new TrainingSetupError(`regionWeight must be a number from 0, not ${regionWeight}`);
  }
  if (!(guided >= 0 && guided <= 1)) throw new TrainingSetupError(`guided must be from 0 to 1, not ${guided}`);
  checkSemanticKeypoints(config);
  if (reshape) checkReshape(reshape);
  if (sway) checkSway(sway);
  checkShares(phases);
  for (const { size } of phases) modelForSize(config, size);
}

function checkSemanticKeypoints({ weights, guided = 0, model }: AnimationTrainingConfig): void {
  if (!(weights.landmark > 0 || guided > 0)) return;
  const led = Object.entries(model.semanticKeypoints ?? {});
  if (led.length === 0) {
    throw new TrainingSetupError(
      `the loss 'landmark' has weight ${weights.landmark} and guided is ${guided}, but the model's semanticKeypoints names no keypoint: name some, or set both to 0`,
    );
  }
  for (const [name, keypoint] of led) {
    if (!(name in FACE_LANDMARKS)) {
      throw new TrainingSetupError(
        `semanticKeypoints: there is no landmark '${name}'; known are ${Object.keys(FACE_LANDMARKS).join(', ')}`,
      );
    }
    if (!(Number.isInteger(keypoint) && keypoint >= 0 && keypoint < model.numKeypoints)) {
      throw new TrainingSetupError(
        `semanticKeypoints.${name} must be from 0 to ${model.numKeypoints - 1}, the model's keypoints, not ${keypoint}`,
      );
    }
  }
  const numbers = led.map(([, keypoint]) => keypoint);
  const twice = numbers.find((keypoint, i) => numbers.indexOf(keypoint) !== i);
  if (twice !== undefined) throw new TrainingSetupError(`semanticKeypoints: two landmarks lead keypoint ${twice}`);
}
