// The training of face depth (Section 3.2): what stage 1 brings to the loop.
//
//   dagan train depth --data clips/ --output runs/depth            one process
//   dagan train depth --data clips/ --output runs/depth --nproc 2   two, on this machine
import { runTraining } from '../loop/training-loop.js';
import type { TrainingOutcome, TrainingRun } from '../loop/training-run.js';
import { rankOf } from '../ranks/ranks.js';
import type { TrainingStage } from '../run/training-stage.js';
import { checkDepthTraining, type DepthTrainingConfig } from './config.js';
import type { FrameTriple } from './objective.js';
import { DepthTrainee } from './trainee.js';

export type DepthRun = TrainingRun<FrameTriple> & {
  config: DepthTrainingConfig;
  /** Loads weights to start from; not called when a run goes on. */
  start?: (trainee: DepthTrainee) => void;
  /** Steps before the guard judges; its own default if not given. */
  patience?: number;
};

/** Trains depth and pose network, which become `depth.safetensors`. See `runTraining` for what it throws. */
export async function trainDepth(run: DepthRun): Promise<TrainingOutcome> {
  const { config, place, start, patience } = run;
  checkDepthTraining(config, rankOf(place).worldSize);
  const stage: TrainingStage<FrameTriple, DepthTrainee> = {
    name: 'depth',
    config,
    modelFile: 'depth.safetensors',
    judgedBy: 'photometric',
    sizeAt: () => config.size,
    create: () => new DepthTrainee(config, place, { patience }),
    start: (trainee) => start?.(trainee),
  };
  return runTraining(stage, run);
}
