// The training of the animation model (Section 3.5): what stage 2 brings to the loop.
//
//   dagan train animation --data clips/ --preset starter-256 --output runs/starter          one process
//   dagan train animation --data clips/ --preset starter-256 --output runs/starter --nproc 2   two, on this machine
import type { PerceptualNetwork } from '../../models/perceptual/vgg19.js';
import { runTraining } from '../loop/training-loop.js';
import type { TrainingOutcome, TrainingRun } from '../loop/training-run.js';
import { rankOf } from '../ranks/ranks.js';
import type { TrainingStage } from '../run/training-stage.js';
import { type AnimationTrainingConfig, phaseOf } from './config.js';
import { checkAnyTraining } from './objectives.js';
import type { FramePair } from './pair.js';
import { isSystemTraining, type SystemTrainingConfig } from './system-config.js';
import { SystemTrainee } from './system-trainee.js';
import { AnimationTrainee } from './trainee.js';

export type AnimationRun = TrainingRun<FramePair> & {
  config: AnimationTrainingConfig | SystemTrainingConfig;
  /** Null only if the perceptual term has weight 0. */
  perceptual: PerceptualNetwork | null;
  /** Loads weights to start from; not called when a run goes on. */
  start?: (trainee: AnimationTrainee | SystemTrainee) => void;
};

/** Trains the animation model; its average becomes `model.safetensors`. See `runTraining` for what it throws. */
export async function trainAnimation(run: AnimationRun): Promise<TrainingOutcome> {
  const { config, perceptual, place, start } = run;
  checkAnyTraining(config, rankOf(place).worldSize);
  const stage: TrainingStage<FramePair, AnimationTrainee | SystemTrainee> = {
    name: 'animation',
    config,
    modelFile: 'model.safetensors',
    judgedBy: 'l1',
    sizeAt: (step) => phaseOf(config, step).size,
    create: (size) =>
      isSystemTraining(config)
        ? new SystemTrainee(config, perceptual, place, run.data.people)
        : new AnimationTrainee(config, size, perceptual, place),
    start: (trainee) => {
      start?.(trainee);
      trainee.restartAverages();
    },
  };
  return runTraining(stage, run);
}
