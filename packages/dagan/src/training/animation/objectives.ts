// How the systems beside DaGAN are trained: the one list that training goes by.
import type { SystemConfig } from '../../models/animation-model.js';
import { systemOf } from '../../models/files/systems.js';
import type { MarionetteConfig } from '../../models/marionette/config.js';
import type { NeuralHeadConfig } from '../../models/neuralhead/config.js';
import { TrainingSetupError } from '../run/setup-error.js';
import { type AnimationTrainingConfig, checkTrainingConfig } from './config.js';
import { landmarkTraining } from './landmark-objective.js';
import { MESHG_LIKE_TRAINING } from './meshg-like-objective.js';
import { MONKEY_NET_TRAINING } from './monkey-net-objective.js';
import { OSFV_TRAINING } from './osfv-objective.js';
import { checkSystemTraining, isSystemTraining, type SystemTrainingConfig } from './system-config.js';
import type { SystemTraining } from './system-objective.js';
import { X2FACE_TRAINING } from './x2face-objective.js';

/** By the system's name. */
const TRAININGS: Readonly<Record<string, SystemTraining>> = {
  x2face: X2FACE_TRAINING,
  'monkey-net': MONKEY_NET_TRAINING,
  osfv: OSFV_TRAINING,
  'neuralhead-ff': landmarkTraining(({ config }) => {
    const { numEmbedderBlocks: numBlocks, blockExpansion, maxFeatures } = config as NeuralHeadConfig;
    return { numBlocks, blockExpansion, maxFeatures };
  }),
  marionette: landmarkTraining(
    ({ config }) => {
      const { numDownBlocks, blockExpansion, maxFeatures } = config as MarionetteConfig;
      return { numBlocks: numDownBlocks + 1, blockExpansion, maxFeatures };
    },
    ['landmark'],
  ),
  'meshg-like': MESHG_LIKE_TRAINING,
};

/** @throws TrainingSetupError for a system that cannot be trained */
export function trainingOf(config: SystemConfig): SystemTraining {
  const { name } = systemOf(config);
  const training = TRAININGS[name];
  if (training) return training;
  throw new TrainingSetupError(`models of the system ${name} cannot be trained here`);
}

/** @throws TrainingSetupError naming the first value that cannot be */
export function checkAnyTraining(config: AnimationTrainingConfig | SystemTrainingConfig, worldSize = 1): void {
  if (isSystemTraining(config)) checkSystemTraining(config, trainingOf(config.model).terms, worldSize);
  else checkTrainingConfig(config, worldSize);
}
