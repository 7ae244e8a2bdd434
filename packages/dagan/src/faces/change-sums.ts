// How much of a change arrives: the regression of what came out on what was asked for, from sums that add up over cases.

/** Sums over pairs of numbers: x is the change that drives, y the one that came of it. */
export type ChangeSums = {
  readonly count: number;
  readonly x: number;
  readonly y: number;
  readonly xx: number;
  readonly xy: number;
  readonly yy: number;
};

/** The line y = slope x + intercept of least squares, with one intercept for every group. */
export type ChangeRegression = {
  /** Pairs. */
  count: number;
  /** Standard deviation of x inside its groups; 0 without pairs. */
  deviation: number;
  /** 1 where everything arrives, 0 where nothing does; null where x does not vary. */
  slope: number | null;
  /** Pearson's correlation of x and y inside their groups; null where either does not vary. */
  correlation: number | null;
};

/** Sums of no pairs. */
export const NO_CHANGES: ChangeSums = { count: 0, x: 0, y: 0, xx: 0, xy: 0, yy: 0 };

/** What is left of a sum of squares by rounding alone, as a part of it. */
const ROUNDING = 1e-12;

/** The sums over pairs (x, y). */
export function sumChanges(pairs: Iterable<readonly [x: number, y: number]>): ChangeSums {
  let sums = NO_CHANGES;
  for (const [x, y] of pairs) sums = addChanges(sums, { count: 1, x, y, xx: x * x, xy: x * y, yy: y * y });
  return sums;
}

/** The sums over the pairs of both, which are then of one group. */
export function addChanges(a: ChangeSums, b: ChangeSums): ChangeSums {
  return {
    ...{ count: a.count + b.count, x: a.x + b.x, y: a.y + b.y },
    ...{ xx: a.xx + b.xx, xy: a.xy + b.xy, yy: a.yy + b.yy },
  };
}

/**
 * Regresses y on x over groups (clips, say), each around its own means: `sum S_xy / sum S_xx` with S_xy the sum of
 * `(x - mean x)(y - mean y)` over a group. A group in which x does not vary weighs nothing, and a constant error of y, which is
 * no reaction, does not count.
 */
export function regressChanges(groups: readonly ChangeSums[]): ChangeRegression {
  let [count, xx, xy, yy] = [0, 0, 0, 0];
  const spread = (square: number, sum: number, of: number): number => {
    const around = square - (sum * sum) / of;
    return around > ROUNDING * square ? around : 0;
  };
  for (const group of groups) {
    if (group.count === 0) continue;
    count += group.count;
    xx += spread(group.xx, group.x, group.count);
    yy += spread(group.yy, group.y, group.count);
    xy += group.xy - (group.x * group.y) / group.count;
  }
  return {
    count,
    deviation: count > 0 ? Math.sqrt(xx / count) : 0,
    slope: xx > 0 ? xy / xx : null,
    correlation: xx > 0 && yy > 0 ? xy / Math.sqrt(xx * yy) : null,
  };
}
