// The affine map of the plane that takes points nearest to others: what a head does as a whole, apart from what its parts do.

export type Point = readonly [x: number, y: number];

/** q = to + M (p - from), with M = [a b; c d]. */
export type Affine = {
  from: Point;
  to: Point;
  matrix: readonly [a: number, b: number, c: number, d: number];
};

/** How much the map is drawn to a shift, as the mean square of points' distances from their middle. */
const STIFFNESS = 1e-4;

/** The affine map that takes points nearest to others, pair by pair (least squares). Without points it is a shift. */
export function affineBetween(from: readonly Point[], to: readonly Point[]): Affine {
  const [start, end] = [middleOf(from), middleOf(to)];
  const give = STIFFNESS * from.length;
  let [xx, xy, yy] = [give, 0, give];
  const cross = [give, 0, 0, give]; // rows of the products of `to` with `from`
  for (const [i, [x, y]] of from.entries()) {
    const [a, b] = [x - start[0], y - start[1]];
    const [u, v] = [to[i]![0] - end[0], to[i]![1] - end[1]];
    xx += a * a;
    xy += a * b;
    yy += b * b;
    cross[0]! += u * a;
    cross[1]! += u * b;
    cross[2]! += v * a;
    cross[3]! += v * b;
  }
  const determinant = xx * yy - xy * xy;
  const row = (a: number, b: number): Point => [(a * yy - b * xy) / determinant, (b * xx - a * xy) / determinant];
  return { from: start, to: end, matrix: [...row(cross[0]!, cross[1]!), ...row(cross[2]!, cross[3]!)] };
}

/** Where a map takes a point. */
export function carried({ from, to, matrix: [a, b, c, d] }: Affine, [x, y]: Point): Point {
  const [u, v] = [x - from[0], y - from[1]];
  return [to[0] + a * u + b * v, to[1] + c * u + d * v];
}

/** How much a map stretches lengths: most in one direction, least across it (its singular values). */
export function stretches({ matrix: [a, b, c, d] }: Affine): [most: number, least: number] {
  const [turning, mirroring] = [Math.hypot(a + d, c - b), Math.hypot(a - d, b + c)];
  return [(turning + mirroring) / 2, Math.abs(turning - mirroring) / 2];
}

/** The mean of points. */
export function middleOf(points: readonly Point[]): Point {
  const sum = points.reduce<Point>(([x, y], [u, v]) => [x + u, y + v], [0, 0]);
  return [sum[0] / points.length, sum[1] / points.length];
}
