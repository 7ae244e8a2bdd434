// How good depth is where the truth is known (Eigen et al., "Depth Map Prediction from a Single Image", 2014).

export type DepthErrors = {
  /** Mean of |predicted - true| / true, after the prediction was scaled so that the medians agree. */
  absRel: number;
  /** Pearson's correlation of predicted and true depth. */
  correlation: number;
};

function median(values: Float64Array): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.floor(sorted.length / 2)]!;
}

/**
 * Compares the depth of one picture with the truth, whose unit it does not know.
 *
 * @param mask where to compare, 0 for nowhere; by default everywhere. Where the truth is not finite nothing is compared
 * @throws RangeError if nothing is left to compare
 */
export function depthErrors(
  predicted: ArrayLike<number>,
  truth: ArrayLike<number>,
  mask?: ArrayLike<number>,
): DepthErrors {
  const compared = Array.from(truth, (_, i) => i).filter((i) => mask?.[i] !== 0 && Number.isFinite(truth[i]!));
  if (compared.length === 0) throw new RangeError('there is no pixel at which depth could be compared');
  const p = Float64Array.from(compared, (i) => predicted[i]!);
  const t = Float64Array.from(compared, (i) => truth[i]!);
  const scale = median(t) / median(p);
  const mean = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanP, meanT] = [mean(p), mean(t)];
  let [both, squaresP, squaresT, relative] = [0, 0, 0, 0];
  for (let i = 0; i < p.length; i++) {
    const [dp, dt] = [p[i]! - meanP, t[i]! - meanT];
    both += dp * dt;
    squaresP += dp * dp;
    squaresT += dt * dt;
    relative += Math.abs(scale * p[i]! - t[i]!) / t[i]!;
  }
  const spread = Math.sqrt(squaresP * squaresT);
  return { absRel: relative / p.length, correlation: spread > 0 ? both / spread : 0 };
}
