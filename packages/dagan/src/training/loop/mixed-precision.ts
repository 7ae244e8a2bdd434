// The arithmetic that a training computes in; weights, losses' sums and optimisers stay float32.
import { autocast } from '@dagan/libtorch';
import type { TrainingPlan } from '../run/training-plan.js';

/** Runs `body` with its convolutions and matrix products in the plan's precision. */
export function inPrecision<T>({ precision }: Pick<TrainingPlan, 'precision'>, device: string, body: () => T): T {
  return precision === 'float32' ? body() : autocast({ device, dtype: precision }, body);
}
