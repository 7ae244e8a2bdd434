// Everything that decides how face depth is trained, in one object that checkpoints keep.
import type { DepthConfig } from '../../models/depth-network.js';
import type { PoseConfig } from '../../models/pose-network.js';
import type { Spacing } from '../batches/dataset-batches.js';
import { TrainingSetupError } from '../run/setup-error.js';
import { checkPositive, checkTrainingPlan, checkWhole, type TrainingPlan } from '../run/training-plan.js';
import { INITIAL_FOCAL } from './camera.js';
import { DEPTH_LEARNING_RATE, DEPTH_RECIPES, DEPTH_SCHEDULE, type DepthRecipe } from './recipe.js';

/** `batchSize` counts targets, each with its neighbours. */
export type DepthTrainingConfig = TrainingPlan & {
  stage: 'depth';
  depth: DepthConfig;
  pose: PoseConfig;
  recipe: DepthRecipe;
  /** Side of the pictures in pixels. */
  size: number;
  /** Frames from a target to its neighbours. */
  spacing: Spacing;
  /** Focal length over the picture's width and height, from which training starts. */
  focal: number;
};

export type DepthRecipeName = keyof typeof DEPTH_RECIPES;

/** A training by the name of its recipe, of the networks that `starter-256` takes. */
export function depthTraining(recipe: DepthRecipeName): DepthTrainingConfig {
  return {
    stage: 'depth',
    name: recipe,
    depth: { layers: 18, width: 0.5 },
    pose: { layers: 18, width: 0.5, ...(recipe === 'scratch' && { motionScale: 0.1 }) },
    recipe: DEPTH_RECIPES[recipe],
    size: 256,
    steps: 50_000,
    batchSize: 8,
    spacing: 'auto',
    learningRate: DEPTH_LEARNING_RATE,
    schedule: DEPTH_SCHEDULE,
    clipNorm: 1,
    precision: 'float32',
    focal: INITIAL_FOCAL,
    seed: 0,
  };
}

/** The networks halve their pictures five times, and mirror borders of what is left, which must have some. */
const [SIZE_UNIT, LEAST_SIZE] = [32, 64];

/** @throws TrainingSetupError naming the first value that cannot be */
export function checkDepthTraining(config: DepthTrainingConfig, worldSize = 1): void {
  const { size, spacing, focal } = config;
  checkTrainingPlan(config, { worldSize });
  if (!(Number.isInteger(size) && size >= LEAST_SIZE && size % SIZE_UNIT === 0)) {
    throw new TrainingSetupError(`the size must be a multiple of ${SIZE_UNIT} from ${LEAST_SIZE} on, not ${size}`);
  }
  if (spacing !== 'auto') checkWhole('spacing', spacing);
  checkPositive('focal', focal);
}
