// Who is told how a training goes: log, TensorBoard, pictures, terminal.
import type { Picture } from '../../media/pictures/picture.js';
import type { EvaluationReport, Learned } from './training-stage.js';

/** A step of the run. */
export type StepReport = Pick<Learned, 'losses' | 'gradientNorms' | 'statistics'> & {
  /** Steps taken, this one included. */
  step: number;
  /** Steps of the whole run. */
  steps: number;
  learningRate: number;
  /** Side of the pictures. */
  size: number;
  /** Images that the step learned from, over all ranks. */
  images: number;
  /** How long the step took, waiting for data included. */
  seconds: number;
};

/** Told in the process that writes (rank 0) alone. */
export type TrainingObserver = {
  /** A step has been taken. */
  step?(report: StepReport): void;
  /** What the networks make of a batch, by name. */
  pictures?(step: number, pictures: Readonly<Record<string, Picture>>): void | Promise<void>;
  /** The model has been tried on held-out samples. */
  evaluation?(step: number, result: EvaluationReport): void;
  /** A checkpoint has been written. */
  saved?(step: number, path: string): void;
  /** Something that people should know. */
  notice?(text: string): void;
  /** Something that people should do. */
  warning?(step: number, text: string): void;
  close?(): void;
};

/** All observers as one. Logs on a full disk must not end a training: what goes wrong is said once. */
export class ObserverList implements Required<TrainingObserver> {
  readonly #failed = new Set<TrainingObserver>();
  readonly #all: readonly TrainingObserver[];

  constructor(all: readonly TrainingObserver[]) {
    this.#all = all;
  }

  step: Required<TrainingObserver>['step'] = (report) => this.#each((observer) => observer.step?.(report));
  evaluation: Required<TrainingObserver>['evaluation'] = (step, result) =>
    this.#each((observer) => observer.evaluation?.(step, result));
  saved: Required<TrainingObserver>['saved'] = (step, path) => this.#each((observer) => observer.saved?.(step, path));
  notice: Required<TrainingObserver>['notice'] = (text) => this.#each((observer) => observer.notice?.(text));
  warning: Required<TrainingObserver>['warning'] = (step, text) =>
    this.#each((observer) => observer.warning?.(step, text));
  close = (): void => this.#each((observer) => observer.close?.());

  async pictures(step: number, pictures: Readonly<Record<string, Picture>>): Promise<void> {
    for (const observer of this.#all) {
      try {
        await observer.pictures?.(step, pictures);
      } catch (error) {
        this.#report(observer, error);
      }
    }
  }

  #each(tell: (observer: TrainingObserver) => void): void {
    for (const observer of this.#all) {
      try {
        tell(observer);
      } catch (error) {
        this.#report(observer, error);
      }
    }
  }

  #report(failing: TrainingObserver, error: unknown): void {
    if (this.#failed.has(failing)) return;
    this.#failed.add(failing);
    for (const observer of this.#all) {
      if (observer !== failing && !this.#failed.has(observer))
        observer.notice?.(`the log cannot be written: ${(error as Error).message}`);
    }
  }
}
