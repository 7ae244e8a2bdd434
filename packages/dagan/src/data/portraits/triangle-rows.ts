// Triangles drawn row by row: which samples of a square lie inside, and how much of each corner every one of them has.

/** Told of samples that lie side by side: the first one's number, how many, and the corners' shares in the first. */
export type RowVisitor = (first: number, count: number, shareB: number, shareC: number) => void;

/** How far outside a sample still counts, so that no gap opens between neighbours. */
const TOLERANCE = 1e-7;

/** One triangle of a square of `side` x `side` samples, whose middles lie at whole numbers and a half. */
export class TriangleRows {
  /** What the shares of the second and third corner grow by from one sample of a row to the next. */
  stepB = 0;
  stepC = 0;

  constructor(readonly side: number) {}

  /**
   * Visits the rows of the triangle between the points a, b and c of `places`, which lie three numbers apart. A sample's
   * share of a is 1 less those of b and c. Triangles without area have no rows.
   */
  visit(places: Float64Array, a: number, b: number, c: number, visitor: RowVisitor): void {
    const { side } = this;
    const ax = places[a * 3]!;
    const ay = places[a * 3 + 1]!;
    const bx = places[b * 3]! - ax;
    const by = places[b * 3 + 1]! - ay;
    const cx = places[c * 3]! - ax;
    const cy = places[c * 3 + 1]! - ay;
    const area = bx * cy - by * cx;
    if (Math.abs(area) < 1e-9) return;
    const top = Math.max(0, Math.ceil(ay + Math.min(0, by, cy) - 0.5 - TOLERANCE));
    const bottom = Math.min(side - 1, Math.floor(ay + Math.max(0, by, cy) - 0.5 + TOLERANCE));
    const left = Math.max(0, Math.ceil(ax + Math.min(0, bx, cx) - 0.5 - TOLERANCE));
    const right = Math.min(side - 1, Math.floor(ax + Math.max(0, bx, cx) - 0.5 + TOLERANCE));
    if (top > bottom || left > right) return;
    const stepB = cy / area;
    const stepC = -by / area;
    const stepA = -stepB - stepC;
    this.stepB = stepB;
    this.stepC = stepC;
    const x = left + 0.5 - ax;
    // Along a row each share is a straight line, and must not fall below 0.
    for (let row = top; row <= bottom; row++) {
      const y = row + 0.5 - ay;
      const shareB = (x * cy - y * cx) / area;
      const shareC = (y * bx - x * by) / area;
      const shareA = 1 - shareB - shareC;
      let from = 0;
      let to = right - left;
      if (stepA > 0) from = Math.max(from, Math.ceil((-TOLERANCE - shareA) / stepA));
      else if (stepA < 0) to = Math.min(to, Math.floor((-TOLERANCE - shareA) / stepA));
      else if (shareA < -TOLERANCE) continue;
      if (stepB > 0) from = Math.max(from, Math.ceil((-TOLERANCE - shareB) / stepB));
      else if (stepB < 0) to = Math.min(to, Math.floor((-TOLERANCE - shareB) / stepB));
      else if (shareB < -TOLERANCE) continue;
      if (stepC > 0) from = Math.max(from, Math.ceil((-TOLERANCE - shareC) / stepC));
      else if (stepC < 0) to = Math.min(to, Math.floor((-TOLERANCE - shareC) / stepC));
      else if (shareC < -TOLERANCE) continue;
      if (from > to) continue;
      visitor(row * side + left + from, to - from + 1, shareB + from * stepB, shareC + from * stepC);
    }
  }
}
