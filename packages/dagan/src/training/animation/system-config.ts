// What decides how a model of a system beside DaGAN is trained: the same plan, with the system's own model and terms.
import type { ObjectiveTerm } from '../../losses/objective.js';
import type { SystemConfig } from '../../models/animation-model.js';
import { systemOf } from '../../models/files/systems.js';
import { TrainingSetupError } from '../run/setup-error.js';
import { checkTrainingPlan, checkWhole } from '../run/training-plan.js';
import { type AnimationTrainingConfig, checkShares } from './config.js';
import { checkReshape } from './reshape.js';
import { checkSway } from './sway.js';

export type SystemTrainingConfig = Pick<
  AnimationTrainingConfig,
  | 'name'
  | 'steps'
  | 'batchSize'
  | 'learningRate'
  | 'schedule'
  | 'clipNorm'
  | 'precision'
  | 'seed'
  | 'augmentation'
  | 'weights'
  | 'reshape'
  | 'sway'
  | 'averageDecay'
  | 'accumulate'
  | 'freeze'
> & {
  /** The model, which names its system. */
  model: SystemConfig & { system: string };
  /** Sizes of pictures one after another; the networks stay the same. */
  phases: readonly { size: number; share: number }[];
};

/** Whether a training is of a system that `SystemTrainingConfig` describes. */
export function isSystemTraining(
  config: AnimationTrainingConfig | SystemTrainingConfig,
): config is SystemTrainingConfig {
  return systemOf(config.model).name !== 'dagan';
}

/**
 * @param terms that the system's objective knows
 * @throws TrainingSetupError naming the first value that cannot be
 */
export function checkSystemTraining(
  config: SystemTrainingConfig,
  terms: readonly ObjectiveTerm[],
  worldSize = 1,
): void {
  const { accumulate, averageDecay, phases, reshape, sway, weights, name } = config;
  checkWhole('accumulate', accumulate);
  checkTrainingPlan(config, { worldSize, parts: accumulate });
  checkShares(phases);
  if (!(averageDecay >= 0 && averageDecay < 1)) {
    throw new TrainingSetupError(`averageDecay must be from 0 to below 1, not ${averageDecay}`);
  }
  if (reshape) checkReshape(reshape);
  if (sway) checkSway(sway);
  const weighted = (Object.keys(weights) as ObjectiveTerm[]).filter((term) => weights[term] > 0);
  const foreign = weighted.find((term) => !terms.includes(term));
  if (foreign !== undefined) {
    throw new TrainingSetupError(`${name} has no loss '${foreign}'; it has ${terms.join(', ')}`);
  }
  if (weighted.length === 0) throw new TrainingSetupError(`${name}: all losses have weight 0`);
}
