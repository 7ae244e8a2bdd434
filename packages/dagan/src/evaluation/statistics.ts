// Means and medians.

/** The sum over the number. Throws a RangeError for an empty list. */
export function mean(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('an empty list has no mean');
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The square root of the mean of the squares. */
export function rootMeanSquare(values: readonly number[]): number {
  return Math.sqrt(mean(values.map((value) => value ** 2)));
}

/** The value in the middle, or the mean of the two there. Throws a RangeError for an empty list. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return mean(sorted.length % 2 === 1 ? [sorted[middle]!] : sorted.slice(middle - 1, middle + 1));
}
