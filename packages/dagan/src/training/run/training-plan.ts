// What the configurations of both stages have in common: how many steps of what, and how fast.

import type { LearningRateSchedule } from './schedule.js';
import { TrainingSetupError } from './setup-error.js';

export type TrainingPlan = {
  /** For people; the preset's or recipe's, where one was taken. */
  name: string;
  steps: number;
  /** Samples in a step, those of all ranks and of all accumulated parts together. */
  batchSize: number;
  learningRate: number;
  schedule: LearningRateSchedule;
  /** Largest norm of the gradients; null for any. */
  clipNorm: number | null;
  /** Arithmetic of convolutions and matrix products; weights and optimisers stay float32. */
  precision: 'float32' | 'bfloat16';
  /** Of all random numbers. */
  seed: number;
};

/** How a batch is shared. */
export type BatchSharing = {
  /** Ranks that get equal shares. */
  worldSize?: number;
  /** Equal parts that each rank's share is cut into. */
  parts?: number;
};

/** @throws TrainingSetupError naming the value */
export function checkWhole(name: string, value: number): void {
  if (Number.isInteger(value) && value > 0) return;
  throw new TrainingSetupError(`${name} must be a positive whole number, not ${value}`);
}

/** @throws TrainingSetupError naming the value */
export function checkPositive(name: string, value: number): void {
  if (value > 0 && Number.isFinite(value)) return;
  throw new TrainingSetupError(`${name} must be positive, not ${value}`);
}

/** @throws TrainingSetupError naming the first value that cannot be */
export function checkTrainingPlan(plan: TrainingPlan, { worldSize = 1, parts = 1 }: BatchSharing = {}): void {
  const { steps, batchSize, learningRate, clipNorm } = plan;
  checkWhole('steps', steps);
  checkWhole('batchSize', batchSize);
  checkPositive('learningRate', learningRate);
  if (clipNorm !== null) checkPositive('clipNorm', clipNorm);
  checkSharing(batchSize, worldSize, parts);
}

/**
 * All ranks and parts get the same number of samples: then the mean over ranks is the mean over the batch.
 *
 * @throws TrainingSetupError naming the nearest batch sizes that can be shared
 */
function checkSharing(batchSize: number, worldSize: number, parts: number): void {
  const unit = worldSize * parts;
  if (batchSize % unit === 0) return;
  const ranks = worldSize > 1 ? `${worldSize} ranks` : '';
  const cut = parts > 1 ? `${parts} parts` : '';
  const among = ranks && cut ? `${ranks} with ${cut} each` : ranks || cut;
  const [below, above] = [batchSize - (batchSize % unit), batchSize - (batchSize % unit) + unit];
  const remedy = below > 0 ? `${below} or ${above}` : `${above}`;
  throw new TrainingSetupError(`a batch of ${batchSize} cannot be shared among ${among}: take ${remedy}`);
}
