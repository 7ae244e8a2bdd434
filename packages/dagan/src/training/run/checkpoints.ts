// The checkpoints of a run: whole files, the newest few and the best.
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readStateDict, saveStateDict, type Tensor } from '@dagan/libtorch';
import { CheckpointError, openCheckpoint } from '@dagan/libtorch/checkpoint';
import { oneLine } from '../../media/errors.js';
import { type StageName, stageOf, TRAINING_FORMATS } from '../../models/files/formats.js';

/** A result on held-out samples, and after which step it came. */
export type BestResult = { step: number; value: number };

/** What a checkpoint says beside its tensors. */
export type CheckpointFacts = {
  stage: StageName;
  /** Steps behind it. */
  step: number;
  config: unknown;
  /** Position in the data. */
  data: unknown;
  best: BestResult | null;
  /** What the stage remembers beside its tensors; null if nothing. */
  memory: unknown;
};

export type LoadedCheckpoint = CheckpointFacts & { path: string; tensors: Map<string, Tensor> };

const NAME = /^step-(\d+)\.safetensors$/;

export class CheckpointFolder {
  /** @param keep how many of the newest checkpoints stay; the best one stays beside them */
  constructor(
    readonly path: string,
    readonly keep: number,
  ) {}

  /** Steps of which there are checkpoints, the newest first. */
  steps(): number[] {
    if (!existsSync(this.path)) return [];
    const steps = readdirSync(this.path).flatMap((name) => NAME.exec(name)?.[1] ?? []);
    return steps.map(Number).sort((a, b) => b - a);
  }

  pathOf(step: number): string {
    return join(this.path, `step-${`${step}`.padStart(8, '0')}.safetensors`);
  }

  /**
   * Writes a checkpoint whole, and only then removes those that are no longer kept.
   *
   * @throws CheckpointError if it cannot be written; everything that was there still is
   */
  save({ stage, ...facts }: CheckpointFacts, tensors: ReadonlyMap<string, Tensor>): string {
    mkdirSync(this.path, { recursive: true });
    const path = this.pathOf(facts.step);
    const text = Object.entries(facts).map(([name, value]) => [name, JSON.stringify(value)]);
    saveStateDict(path, tensors, { format: TRAINING_FORMATS[stage], ...Object.fromEntries(text) });
    const others = this.steps().filter((step) => step !== facts.step);
    for (const step of others.slice(Math.max(0, this.keep - 1))) {
      if (step !== facts.best?.step) rmSync(this.pathOf(step), { force: true });
    }
    return path;
  }

  /** Forgets checkpoints of later steps, which a run that goes on from an earlier one would mix up with its own. */
  removeAfter(step: number): void {
    for (const later of this.steps()) if (later > step) rmSync(this.pathOf(later), { force: true });
  }

  /**
   * The newest checkpoint that can be read; null if there are none.
   *
   * @param notice told of each that cannot be read
   * @throws CheckpointError if there are checkpoints but none can be read
   */
  newest(notice: (text: string) => void = () => {}): LoadedCheckpoint | null {
    let failure: unknown = null;
    for (const step of this.steps()) {
      try {
        return loadCheckpoint(this.pathOf(step));
      } catch (error) {
        if (!(error instanceof CheckpointError)) throw error;
        failure = error;
        notice(`${error.message}; going back to the checkpoint before`);
      }
    }
    if (failure) throw failure;
    return null;
  }
}

/**
 * Reads a training checkpoint.
 *
 * @throws CheckpointError if the file is damaged or something else
 */
export function loadCheckpoint(path: string): LoadedCheckpoint {
  using file = openCheckpoint(path);
  const stage = stageOf(file);
  if (!stage) throw new CheckpointError(path, `is no checkpoint of a training`);
  const { step = '', config = '', data = '', best = '', memory = 'null' } = file.metadata;
  try {
    const facts: CheckpointFacts = {
      stage,
      step: JSON.parse(step),
      config: JSON.parse(config),
      data: JSON.parse(data),
      best: JSON.parse(best),
      memory: JSON.parse(memory),
    };
    return { ...facts, path, tensors: readStateDict(file.tensors) };
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    throw new CheckpointError(path, `has damaged metadata (${oneLine(error)})`);
  }
}
