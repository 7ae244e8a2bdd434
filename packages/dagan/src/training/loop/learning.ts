// What learns and what it learns from, side by side at some step of a run.
import { manualSeed, type Tensor, tidy } from '@dagan/libtorch';
import type { BatchRequest, BatchSource } from '../batches/batches.js';
import { rankOf } from '../ranks/ranks.js';
import type { LoadedCheckpoint } from '../run/checkpoints.js';
import type { Learned, LearnOptions, Trainee, TrainingStage } from '../run/training-stage.js';
import { randomStates, restoreOwnRandomStates } from './random-state.js';
import type { TrainingRun } from './training-run.js';

/** Where this rank stands between two steps: what a checkpoint holds beside the trainee's tensors. */
export type Position = Disposable & {
  readonly step: number;
  readonly data: unknown;
  readonly memory: unknown;
  readonly random: ReadonlyMap<string, Tensor>;
};

type Source<Batch> = Pick<TrainingRun<Batch>, 'data' | 'place'>;

export class Learning<Batch extends object> implements AsyncDisposable {
  #batches: BatchSource<Batch> | null = null;

  private constructor(
    readonly stage: TrainingStage<Batch>,
    readonly run: Source<Batch>,
    /** Changes with the size. */
    public trainee: Trainee<Batch>,
    /** Steps taken. */
    public step: number,
    /** Side of the pictures. */
    public size: number,
  ) {}

  /** New networks and the beginning of the data; or both where a checkpoint stands, whose tensors are freed. */
  static async begin<Batch extends object, Learner extends Trainee<Batch>>(
    stage: TrainingStage<Batch, Learner>,
    run: Source<Batch>,
    saved: LoadedCheckpoint | null,
  ): Promise<Learning<Batch>> {
    const { seed } = stage.config;
    const { rank, worldSize } = rankOf(run.place);
    const step = saved?.step ?? 0;
    manualSeed(seed); // the same networks in all ranks
    const trainee = stage.create(stage.sizeAt(step));
    const learning = new Learning(stage as TrainingStage<Batch>, run, trainee, step, stage.sizeAt(step));
    try {
      manualSeed(seed + 1 + rank + worldSize * step);
      if (saved) learning.#recall(saved);
      else stage.start(trainee);
      await learning.#open(saved?.data);
      return learning;
    } catch (error) {
      await learning[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Changes to the size of pictures that the coming step is to see. */
  async enterPhase(): Promise<void> {
    const size = this.stage.sizeAt(this.step);
    if (size === this.size) return;
    this.size = size;
    this.trainee = this.trainee.resized(size);
    const position = this.#batches!.state();
    await this.#batches!.close?.();
    await this.#open(position);
  }

  /** The batch of the coming step, which the caller frees. */
  nextBatch(): Promise<Batch> {
    return this.#batches!.next();
  }

  /** The held-out samples; null if there are none. */
  heldOut(): AsyncIterable<Batch> | null {
    return this.run.data.heldOut(this.#request);
  }

  /**
   * Takes a step.
   * @throws NonFiniteLossError without having changed the networks
   */
  learn(batch: Batch, options: Omit<LearnOptions, 'step'>): Learned {
    const learned = this.trainee.learn(batch, { ...options, step: this.step });
    this.step += 1;
    return learned;
  }

  /** A copy of where it stands. */
  position(): Position {
    const random = randomStates(this.run.place.device);
    return {
      step: this.step,
      data: this.#batches!.state(),
      memory: this.trainee.memory(),
      random,
      [Symbol.dispose]: () => {
        for (const state of random.values()) state.dispose();
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#batches?.close?.();
    } finally {
      this.trainee[Symbol.dispose]();
    }
  }

  get #request(): BatchRequest {
    const { rank, worldSize } = rankOf(this.run.place);
    return { size: this.size, batchSize: this.stage.config.batchSize / worldSize, rank, worldSize };
  }

  async #open(position: unknown): Promise<void> {
    this.#batches = await this.run.data.training(this.#request, position);
  }

  #recall({ tensors, memory }: LoadedCheckpoint): void {
    tidy(() => this.trainee.loadStateDict(tensors));
    this.trainee.recall(memory);
    restoreOwnRandomStates(tensors, this.run.place);
    for (const value of tensors.values()) value.dispose();
  }
}
