// The training of the animation model (Section 3.5): what stage 2 brings to the loop.
//
//   dagan train animation --data clips/ --preset starter-256 --output runs/starter          one process
//   dagan train animation --data clips/ --preset starter-256 --output runs/starter --nproc 2   two, on this machine
import { type nn, type Tensor, tidy } from '@dagan/libtorch';
import type { ModelMetadata } from '../../models/files/model-file.js';
import type { PerceptualNetwork } from '../../models/perceptual/vgg19.js';
import { batchOn } from '../batches/batches.js';
import { runTraining, type TrainingOutcome, type TrainingRun } from '../loop/training-loop.js';
import { rankOf } from '../ranks/ranks.js';
import type { Evaluated, Learned, LearnOptions, Trainee, TrainingStage } from '../run/training-stage.js';
import { type AnimationTrainingConfig, checkTrainingConfig, phaseOf } from './config.js';
import { evaluateReconstruction } from './evaluation.js';
import type { FramePair } from './objective.js';
import { animationSheet } from './pictures.js';
import { AnimationState } from './state.js';

export type AnimationRun = TrainingRun<FramePair> & {
  config: AnimationTrainingConfig;
  /** Null only if the perceptual term has weight 0. */
  perceptual: PerceptualNetwork | null;
  /** Loads weights to start from; not called when a run goes on. */
  start?: (state: AnimationState) => void;
};

/** Trains the animation model; its average becomes `model.safetensors`. See `runTraining` for what it throws. */
export async function trainAnimation(run: AnimationRun): Promise<TrainingOutcome> {
  const { config, place } = run;
  checkTrainingConfig(config, rankOf(place).worldSize);
  const stage: TrainingStage<FramePair> = {
    name: 'animation',
    config,
    modelFile: 'model.safetensors',
    judgedBy: 'l1',
    sizeAt: (step) => phaseOf(config, step).size,
    create: (size) => new AnimationTrainee(run, size),
  };
  return runTraining(stage, run);
}

class AnimationTrainee implements Trainee<FramePair> {
  #state: AnimationState;

  constructor(
    private readonly run: AnimationRun,
    size: number,
  ) {
    this.#state = new AnimationState(run.config, size, run.perceptual, run.place);
  }

  start(): void {
    this.run.start?.(this.#state);
    this.#state.restartAverages();
  }

  resize(size: number): void {
    this.#state = this.#state.resized(size);
  }

  stateDict(): Map<string, Tensor> {
    return this.#state.stateDict();
  }

  loadStateDict(state: nn.StateDict): void {
    this.#state.loadStateDict(state);
  }

  /** Everything is in the tensors. */
  memory(): null {
    return null;
  }

  recall(): void {}

  learn(batch: FramePair, { step, learningRate, drawing }: LearnOptions): Learned {
    const state = this.#state;
    state.step.learningRate = learningRate;
    state.step.objective.useDiscriminator = phaseOf(this.run.config, step).adversarial ?? true;
    const learned = tidy(() => {
      const moved = batchOn(batch, this.run.place.device);
      const { losses, gradientNorms, pairs, seen } = state.step.run(moved);
      return { losses, gradientNorms, sheet: drawing ? animationSheet(pairs, seen) : null };
    });
    state.average(step);
    return learned;
  }

  async evaluate(batches: AsyncIterable<FramePair>): Promise<Evaluated> {
    const { objective } = this.#state.step;
    const result = await this.#state.withAverages(() => evaluateReconstruction(objective, batches, this.run.place));
    return { result, sheet: null };
  }

  export(path: string, metadata: ModelMetadata): void {
    this.#state.export(path, metadata);
  }

  [Symbol.dispose](): void {
    this.#state.dispose();
  }
}
