// How much of a run is on disk: the newest checkpoint, the model beside it, the best model.
//
// All ranks save together: each brings its random numbers, rank 0 writes. `#written`, the step whose checkpoint stands, must be the
// same in all of them, or one would wait for others that see nothing to save. So a checkpoint is saved in three moves:
//   write   rank 0 writes; every rank notes the step
//   agree   the ranks tell one another whether it has failed in any
//   undo    if so, all take their note back, and the next occasion tries again
import type { Tensor } from '@dagan/libtorch';
import { anyRank, rankOf } from '../ranks/ranks.js';
import type { BestResult } from '../run/checkpoints.js';
import type { ObserverList } from '../run/observers.js';
import type { RunFolder } from '../run/run-folder.js';
import type { Learning, Position } from './learning.js';
import { gatherRandomStates } from './random-state.js';

/** What stands in the folder of a run that goes on. */
export type Standing = { step: number; best: BestResult | null };

export class Progress<Batch extends object> {
  #best: BestResult | null;
  /** -1 if no checkpoint stands. */
  #written: number;

  /**
   * @param standing null for a run from the beginning
   * @param metadata what the exported models say beside the training's own
   */
  constructor(
    readonly learning: Learning<Batch>,
    readonly folder: RunFolder,
    readonly observers: ObserverList,
    standing: Standing | null,
    readonly metadata: Readonly<Record<string, string>> = {},
  ) {
    this.#best = standing?.best ?? null;
    this.#written = standing?.step ?? -1;
  }

  /** The best result on held-out samples, and the step behind it. */
  get best(): BestResult | null {
    return this.#best;
  }

  /**
   * Saves the present step, if it is not saved. Unless it must be, a checkpoint that cannot be written is no reason to end: the
   * next one may find room again.
   *
   * @throws CheckpointError, in the rank that writes, if it must be saved and cannot
   */
  saveUnlessWritten({ must = false } = {}): void {
    const { step, run } = this.learning;
    if (this.#written === step) return;
    const before = this.#written;
    let failure: Error | null = null;
    try {
      using position = this.learning.position();
      this.#save(position);
    } catch (error) {
      failure = error as Error;
    }
    if (!anyRank(failure !== null, run.place)) return;
    this.#written = before;
    if (!failure) return;
    if (must) throw failure;
    this.observers.notice(`step ${step}: no checkpoint: ${failure.message}`);
  }

  /** Saves, if it can be done, the state before a step that could not be taken. */
  saveBefore(position: Position): void {
    if (this.#written === position.step) return;
    try {
      this.#save(position);
    } catch (error) {
      this.observers.notice(`the state before step ${position.step + 1} was not written: ${(error as Error).message}`);
    }
  }

  /** Whether a result is better than all before it. Errors of pictures of different sizes do not compare. */
  isBest(value: number): boolean {
    const { stage, size } = this.learning;
    const rival = this.#best && stage.sizeAt(this.#best.step - 1) === size ? this.#best : null;
    return Number.isFinite(value) && !(rival && value >= rival.value);
  }

  /** Keeps the present step's checkpoint and model as the best, if its result is. */
  keepIfBest(value: number): void {
    if (!this.isBest(value)) return;
    const { step, run } = this.learning;
    this.#best = { step, value };
    this.saveUnlessWritten();
    if (rankOf(run.place).rank !== 0 || this.#written !== step) return;
    try {
      this.#export(this.folder.best, step);
    } catch (error) {
      this.observers.notice(`step ${step}: the best model was not written: ${(error as Error).message}`);
    }
  }

  #save(position: Position): void {
    const { place } = this.learning.run;
    const random = gatherRandomStates(position.random, place);
    try {
      if (rankOf(place).rank === 0) this.#write(position, random);
      this.#written = position.step;
    } finally {
      for (const state of random.values()) state.dispose();
    }
  }

  #write({ step, data, memory }: Position, random: ReadonlyMap<string, Tensor>): void {
    const { stage, trainee } = this.learning;
    const facts = { stage: stage.name, step, config: stage.config, data, memory, best: this.#best };
    const path = this.folder.checkpoints.save(facts, new Map([...trainee.stateDict(), ...random]));
    this.#export(this.folder.file(stage.modelFile), step);
    this.observers.saved(step, path);
  }

  #export(path: string, step: number): void {
    const { stage, trainee } = this.learning;
    const { name, steps } = stage.config;
    const facts = { name, training_steps: `${step}`, training_size: `${stage.sizeAt(steps - 1)}` };
    trainee.export(path, { ...facts, ...this.metadata });
  }
}
