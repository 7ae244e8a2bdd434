// Who is told how a training goes: log, TensorBoard, terminal.
import type { Picture } from '../media/picture.js';
import type { AnimationStepResult } from './animation-step.js';
import type { EvaluationResult } from './evaluation.js';

/** A step of the run. */
export type StepReport = Pick<AnimationStepResult, 'losses' | 'gradientNorms'> & {
  /** Steps taken, this one included. */
  step: number;
  /** Steps of the whole run. */
  steps: number;
  learningRate: number;
  /** Side of the pictures. */
  size: number;
  /** Pairs of the step, over all ranks. */
  pairs: number;
  /** How long the step took, waiting for data included. */
  seconds: number;
};

/** Told in the process that writes (rank 0) alone. */
export type TrainingObserver = {
  /** A step has been taken. */
  step?(report: StepReport): void;
  /** What the networks make of a batch, by name. */
  pictures?(step: number, pictures: Readonly<Record<string, Picture>>): void | Promise<void>;
  /** The averaged model has been tried on held-out pairs. */
  evaluation?(step: number, result: EvaluationResult): void;
  /** A checkpoint has been written. */
  saved?(step: number, path: string): void;
  /** Something that people should know. */
  notice?(text: string): void;
  close?(): void;
};
