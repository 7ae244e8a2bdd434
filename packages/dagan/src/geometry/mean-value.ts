// A smooth map from the inside of one polygon to that of another: mean value coordinates (Floater, "Mean value coordinates", CAGD 2003).

/** A point of the plane. */
export type PlanePoint = readonly [x: number, y: number];

/**
 * Where a point within a polygon lies in another polygon with as many corners. Corners go to corners and edges to edges; in
 * between the map is smooth, and affine where the other polygon is an affine picture of the first.
 *
 * @param polygon its corners in order; the point lies within, not on an edge
 * @param other the corners that they become
 */
export function betweenPolygons(
  polygon: readonly PlanePoint[],
  other: readonly PlanePoint[],
  point: PlanePoint,
): PlanePoint {
  let [sum, sumX, sumY] = [0, 0, 0];
  let before = halfTangent(polygon.at(-1)!, polygon[0]!, point);
  for (const [i, corner] of polygon.entries()) {
    const after = halfTangent(corner, polygon[(i + 1) % polygon.length]!, point);
    const weight = (before + after) / distance(corner, point);
    sum += weight;
    sumX += weight * other[i]![0];
    sumY += weight * other[i]![1];
    before = after;
  }
  return [sumX / sum, sumY / sum];
}

/** Tangent of half the angle at which an edge is seen from a point. */
function halfTangent(from: PlanePoint, to: PlanePoint, point: PlanePoint): number {
  const [ax, ay] = [from[0] - point[0], from[1] - point[1]];
  const [bx, by] = [to[0] - point[0], to[1] - point[1]];
  const cross = ax * by - ay * bx;
  const product = distance(from, point) * distance(to, point);
  return (product - (ax * bx + ay * by)) / (Math.abs(cross) > 1e-9 ? cross : 1e-9);
}

function distance(a: PlanePoint, b: PlanePoint): number {
  const [x, y] = [a[0] - b[0], a[1] - b[1]];
  return Math.sqrt(x * x + y * y); // faster by far than `Math.hypot`
}

/** How far a point is within a polygon: the distance of the nearest edge, 0 outside. */
export function depthWithin(polygon: readonly PlanePoint[], [x, y]: PlanePoint): number {
  let isInside = false;
  let nearest = Number.POSITIVE_INFINITY; // squared
  let from = polygon.at(-1)!;
  for (const to of polygon) {
    const [alongX, alongY] = [to[0] - from[0], to[1] - from[1]];
    const [offX, offY] = [x - from[0], y - from[1]];
    if (from[1] > y !== to[1] > y && offX < (alongX * offY) / alongY) isInside = !isInside;
    const share = (offX * alongX + offY * alongY) / Math.max(1e-9, alongX * alongX + alongY * alongY);
    const part = Math.min(1, Math.max(0, share));
    const [gapX, gapY] = [offX - part * alongX, offY - part * alongY];
    nearest = Math.min(nearest, gapX * gapX + gapY * gapY);
    from = to;
  }
  return isInside ? Math.sqrt(nearest) : 0;
}
