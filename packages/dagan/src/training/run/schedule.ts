// Learning rates over a run.

/** How the learning rate changes; `warmup` is the number of first steps in which it grows from (almost) zero. */
export type LearningRateSchedule =
  | { kind: 'constant'; warmup?: number }
  /** Times `factor` at each of the given shares of the run, as the published training does at 0.6 and 0.9. */
  | { kind: 'milestones'; at: readonly number[]; factor: number; warmup?: number }
  /** Half a cosine down to `floor` times the rate (Loshchilov and Hutter, "SGDR", 2017). */
  | { kind: 'cosine'; floor?: number; warmup?: number };

/**
 * What the learning rate is multiplied by in a step.
 *
 * @param step from 0
 * @param steps of the whole run
 */
export function learningRateFactor(schedule: LearningRateSchedule, step: number, steps: number): number {
  const { warmup = 0 } = schedule;
  if (step < warmup) return (step + 1) / (warmup + 1);
  if (schedule.kind === 'constant') return 1;
  if (schedule.kind === 'milestones') {
    return schedule.factor ** schedule.at.filter((share) => step >= share * steps).length;
  }
  const { floor = 0 } = schedule;
  const progress = Math.min(1, (step - warmup) / Math.max(1, steps - warmup));
  return floor + (1 - floor) * 0.5 * (1 + Math.cos(Math.PI * progress));
}
