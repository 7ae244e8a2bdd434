// AED: the average distance of identity embeddings (Siarohin et al., "First Order Motion Model", 2019, Section 4.1).

/** `sqrt(sum (a - b)^2)`: 0 for the same; for embeddings of length 1, 2 at the most. */
export function averageEuclideanDistance(a: Float32Array, b: Float32Array): number {
  return Math.sqrt(averageEuclideanDistancePublished(a, b));
}

/** `sum (a - b)^2`, which the published script (`cmp.py` of pose-evaluation) takes for a distance. */
export function averageEuclideanDistancePublished(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) throw new RangeError(`embeddings of ${a.length} and ${b.length} numbers do not compare`);
  return a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0);
}
