// What a stage of training (depth, animation) brings to the loop that both share.
import type { nn, Tensor } from '@dagan/libtorch';
import type { Picture } from '../../media/pictures/picture.js';
import type { StageName } from '../../models/files/formats.js';
import type { ModelMetadata } from '../../models/files/model-file.js';
import type { TrainingPlan } from './training-plan.js';

/** What a step came to. */
export type Learned = {
  /** `total` is what was minimised, `discriminator` the discriminator's own loss where there is one, the rest the total's terms. */
  losses: Readonly<Record<string, number>> & { readonly total: number };
  /** Norms of the gradients before clipping, by what they are of. */
  gradientNorms: Readonly<Record<string, number>>;
  /** What else tells how the networks are. */
  statistics?: Readonly<Record<string, number>>;
  /** What the networks made of the batch, if it was to be drawn. */
  sheet: Picture | null;
  /** Something that has gone wrong with learning, and what to do. */
  warning?: string | null;
};

/** Results on held-out samples by name; `samples` is how many they are the mean of. */
export type EvaluationReport = Readonly<Record<string, number>> & { readonly samples: number };

/** What came of held-out samples. */
export type Evaluated = { result: EvaluationReport; sheet: Picture | null };

/** A stage of training: what is trained, and how the loop is to go about it. */
export type TrainingStage<Batch extends object, Learner extends Trainee<Batch> = Trainee<Batch>> = {
  name: StageName;
  config: TrainingPlan;
  /** Name of the model's file in the run's folder. */
  modelFile: string;
  /** The evaluation's result that is to become small. */
  judgedBy: string;
  /** Side of the pictures of a step, counted from 0. */
  sizeAt(step: number): number;
  /** Makes networks with random weights, the same in all ranks, for pictures of a size. */
  create(size: number): Learner;
  /** Gives the weights that a new training begins with; not called when a run goes on. */
  start(trainee: Learner): void;
};

/** Networks that are trained, with all that belongs to it. Disposing of it frees them. */
export type Trainee<Batch extends object> = Disposable & {
  /** The same training with pictures of another size. Unless it is this very object, this one is of no use afterwards. */
  resized(size: number): Trainee<Batch>;

  /** All that training changes, by name. */
  stateDict(): Map<string, Tensor>;
  loadStateDict(state: nn.StateDict): void;
  /** What else has to be known to go on as if nothing had happened, as JSON can hold it. */
  memory(): unknown;
  /** @param memory null in a checkpoint that has none */
  recall(memory: unknown): void;

  /**
   * Learns from a batch; leaves no tensors behind.
   * @throws NonFiniteLossError without having changed the networks
   */
  learn(batch: Batch, options: LearnOptions): Learned;
  /** Tries the model on this rank's held-out batches, which it frees; the result is that of all ranks. */
  evaluate(batches: AsyncIterable<Batch>, options: { drawing: boolean }): Promise<Evaluated>;
  /** Writes the model as it is to be used. */
  export(path: string, metadata: ModelMetadata): void;
};

export type LearnOptions = {
  /** Steps taken before this one. */
  step: number;
  learningRate: number;
  /** Whether a picture is wanted of what the networks make of the batch. */
  drawing: boolean;
};
