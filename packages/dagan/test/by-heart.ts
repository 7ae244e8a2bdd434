// A clip learned by heart, which every system must be able to do.
import assert from 'node:assert/strict';
import type { FramePair } from '../src/training/animation/pair.js';
import type { SystemTrainee } from '../src/training/animation/system-trainee.js';
import type { Evaluated, Learned } from '../src/training/run/training-stage.js';

/** Takes some steps, the later the smaller. @param rate of the first */
export function take(trainee: SystemTrainee, batch: FramePair, steps: number, rate = 3e-3): Learned {
  let learned: Learned | undefined;
  for (let step = 0; step < steps; step++) {
    learned = trainee.learn(batch, { step, learningRate: rate * (1 - step / steps) + 1e-4, drawing: false });
  }
  return learned!;
}

/** The batch, for an evaluation that frees it. */
async function* once(batch: FramePair): AsyncGenerator<FramePair> {
  yield Object.fromEntries(Object.entries(batch).map(([name, value]) => [name, value.clone()])) as FramePair;
}

/** Takes 120 steps on one batch, after which the frames must be nearly known. @param rate of the first step */
export async function learnByHeart(
  trainee: SystemTrainee,
  batch: FramePair,
  rate?: number,
): Promise<Pick<Learned, 'losses'> & Pick<Evaluated, 'result'>> {
  const { losses } = take(trainee, batch, 120, rate);
  const { result } = await trainee.evaluate(once(batch));
  assert.ok(result.copied! > 0.04, `copying the source already gives ${result.copied}`);
  assert.ok(result.l1! < 0.02, `an L1 of ${result.l1}`);
  return { losses, result };
}
