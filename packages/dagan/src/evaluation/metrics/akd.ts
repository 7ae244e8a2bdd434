// AKD: the average distance of the face's points (Siarohin et al., "First Order Motion Model", 2019, Section 4.1), here
// those of the mesh.

/** Points one after the other, `stride` numbers each, x and y first, in pixels. */
export type Points = { points: ArrayLike<number>; stride: number; count: number };

/** `mean over points of sqrt(dx^2 + dy^2)`, in pixels: 0 for the same places. */
export function averageKeypointDistance(a: Points, b: Points): number {
  return meanOver(a, b, Math.hypot);
}

/**
 * `mean over coordinates of |d|`, in pixels, as the published script (`cmp_kp.py` of pose-evaluation) takes it: a shift by d
 * along one axis gives d / 2.
 */
export function averageKeypointDistancePublished(a: Points, b: Points): number {
  return meanOver(a, b, (x, y) => (Math.abs(x) + Math.abs(y)) / 2);
}

function meanOver(a: Points, b: Points, length: (x: number, y: number) => number): number {
  if (a.count !== b.count || a.count === 0) {
    throw new RangeError(`${a.count} and ${b.count} points have no distance`);
  }
  let sum = 0;
  for (let i = 0; i < a.count; i++) {
    const [p, q] = [i * a.stride, i * b.stride];
    sum += length(a.points[p]! - b.points[q]!, a.points[p + 1]! - b.points[q + 1]!);
  }
  return sum / a.count;
}
