// A clip learned by heart, which every system must be able to do.
import assert from 'node:assert/strict';
import type { FramePair } from '../src/training/animation/pair.js';
import type { SystemTrainee } from '../src/training/animation/system-trainee.js';
import type { Evaluated, Learned } from '../src/training/run/training-stage.js';

/** Takes steps, the later the smaller, from one to before another. @param rate of the first @param steps of the whole training */
export function take(
  trainee: SystemTrainee,
  batch: FramePair,
  end: number,
  { rate = 3e-3, first = 0, steps = end } = {},
): Learned {
  let learned: Learned | undefined;
  for (let step = first; step < end; step++) {
    learned = trainee.learn(batch, { step, learningRate: rate * (1 - step / steps) + 1e-4, drawing: false });
  }
  return learned!;
}

/** The batch, for an evaluation that frees it. */
async function* once(batch: FramePair): AsyncGenerator<FramePair> {
  yield Object.fromEntries(Object.entries(batch).map(([name, value]) => [name, value.clone()])) as FramePair;
}

/** Takes steps on one batch until the frames are nearly known, as they must be. @param rate of the first step @param steps at most */
export async function learnByHeart(
  trainee: SystemTrainee,
  batch: FramePair,
  rate?: number,
  steps = 120,
): Promise<Pick<Learned, 'losses'> & Pick<Evaluated, 'result'>> {
  const part = 20;
  for (let first = 0; ; first += part) {
    const { losses } = take(trainee, batch, first + part, { rate, first, steps });
    const { result } = await trainee.evaluate(once(batch));
    assert.ok(result.copied! > 0.04, `copying the source already gives ${result.copied}`);
    if (result.l1! < 0.02) return { losses, result };
    assert.ok(first + part < steps, `an L1 of ${result.l1}`);
  }
}
