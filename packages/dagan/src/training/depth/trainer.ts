// The training of face depth (Section 3.2): what stage 1 brings to the loop.
//
//   dagan train depth --data clips/ --output runs/depth            one process
//   dagan train depth --data clips/ --output runs/depth --nproc 2   two, on this machine
import { type nn, type Tensor, tidy } from '@dagan/libtorch';
import type { ModelMetadata } from '../../models/files/model-file.js';
import { batchOn } from '../batches/batches.js';
import { runTraining, type TrainingOutcome, type TrainingRun } from '../loop/training-loop.js';
import { rankOf } from '../ranks/ranks.js';
import type { Evaluated, Learned, LearnOptions, Trainee, TrainingStage } from '../run/training-stage.js';
import { checkDepthTraining, type DepthTrainingConfig } from './config.js';
import { evaluateDepth, framesFor } from './evaluation.js';
import { DepthGuard, type DepthGuardState } from './guard.js';
import type { FrameTriple } from './objective.js';
import { depthSheet } from './pictures.js';
import { DepthState } from './state.js';

export type DepthRun = TrainingRun<FrameTriple> & {
  config: DepthTrainingConfig;
  /** Loads weights to start from; not called when a run goes on. */
  start?: (state: DepthState) => void;
  /** Steps before the guard judges; its own default if not given. */
  patience?: number;
};

/** Trains depth and pose network, which become `depth.safetensors`. See `runTraining` for what it throws. */
export async function trainDepth(run: DepthRun): Promise<TrainingOutcome> {
  const { config, place } = run;
  checkDepthTraining(config, rankOf(place).worldSize);
  const stage: TrainingStage<FrameTriple, DepthTrainee> = {
    name: 'depth',
    config,
    modelFile: 'depth.safetensors',
    judgedBy: 'photometric',
    sizeAt: () => config.size,
    create: () => new DepthTrainee(run),
    start: (trainee) => trainee.start(),
  };
  return runTraining(stage, run);
}

class DepthTrainee implements Trainee<FrameTriple> {
  readonly #state: DepthState;
  readonly #guard: DepthGuard;

  constructor(private readonly run: DepthRun) {
    this.#state = new DepthState(run.config, run.place);
    this.#guard = new DepthGuard(run.patience);
  }

  start(): void {
    this.run.start?.(this.#state);
  }

  /** The networks are the same for pictures of any size. */
  resized(): this {
    return this;
  }

  stateDict(): Map<string, Tensor> {
    return this.#state.stateDict();
  }

  loadStateDict(state: nn.StateDict): void {
    this.#state.loadStateDict(state);
  }

  memory(): DepthGuardState {
    return this.#guard.state;
  }

  recall(memory: unknown): void {
    if (memory) this.#guard.state = memory as DepthGuardState;
  }

  learn(batch: FrameTriple, { step, learningRate, drawing }: LearnOptions): Learned {
    const learning = this.#state.step;
    learning.learningRate = learningRate;
    const learned = tidy(() => {
      const moved = framesFor(learning.objective, batchOn(batch, this.run.place.device));
      const { losses, gradientNorm, statistics, seen } = learning.run(moved, step);
      const sheet = drawing ? depthSheet(moved, seen) : null;
      return { losses, gradientNorms: { networks: gradientNorm }, statistics, sheet };
    });
    return { ...learned, warning: this.#guard.update(learned.statistics)?.message ?? null };
  }

  async evaluate(batches: AsyncIterable<FrameTriple>, options: { drawing: boolean }): Promise<Evaluated> {
    this.#state.train(false);
    try {
      return await evaluateDepth(this.#state.step.objective, batches, this.run.place, options);
    } finally {
      this.#state.train();
    }
  }

  /** Beside the networks the file says what camera they see, the mean over some fifty steps. */
  export(path: string, metadata: ModelMetadata): void {
    const { mean } = this.#guard.state;
    const camera = mean && { focal_x: `${mean.focalX}`, focal_y: `${mean.focalY}` };
    this.#state.export(path, { ...metadata, ...camera });
  }

  [Symbol.dispose](): void {
    this.#state.dispose();
  }
}
