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
  [x, y]: PlanePoint,
): PlanePoint {
  const count = polygon.length;
  const offsets = polygon.map(([cornerX, cornerY]): PlanePoint => [cornerX - x, cornerY - y]);
  const distances = offsets.map(([dx, dy]) => Math.hypot(dx, dy));
  // Tangent of half the angle at which each edge is seen.
  const tangents = offsets.map(([ax, ay], i) => {
    const next = (i + 1) % count;
    const [bx, by] = offsets[next]!;
    const cross = ax * by - ay * bx;
    return (distances[i]! * distances[next]! - (ax * bx + ay * by)) / (Math.abs(cross) > 1e-9 ? cross : 1e-9);
  });
  let [sum, sumX, sumY] = [0, 0, 0];
  for (let i = 0; i < count; i++) {
    const weight = (tangents[(i + count - 1) % count]! + tangents[i]!) / distances[i]!;
    sum += weight;
    sumX += weight * other[i]![0];
    sumY += weight * other[i]![1];
  }
  return [sumX / sum, sumY / sum];
}

/** How far a point is within a polygon: the distance of the nearest edge, 0 outside. */
export function depthWithin(polygon: readonly PlanePoint[], [x, y]: PlanePoint): number {
  let isInside = false;
  let nearest = Number.POSITIVE_INFINITY;
  for (const [i, [toX, toY]] of polygon.entries()) {
    const [fromX, fromY] = polygon.at(i - 1)!;
    const [alongX, alongY] = [toX - fromX, toY - fromY];
    if (fromY > y !== toY > y && x < (alongX * (y - fromY)) / alongY + fromX) isInside = !isInside;
    const share = ((x - fromX) * alongX + (y - fromY) * alongY) / Math.max(1e-9, alongX * alongX + alongY * alongY);
    const part = Math.min(1, Math.max(0, share));
    nearest = Math.min(nearest, Math.hypot(x - fromX - part * alongX, y - fromY - part * alongY));
  }
  return isInside ? nearest : 0;
}
