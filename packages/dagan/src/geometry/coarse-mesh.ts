// A mesh of some of a mesh's points: what the surface between them joins.

/**
 * Joins points of a mesh over its surface. Every other point of the mesh belongs to the kept one from which the fewest edges lead to
 * it; two kept points are joined where points that belong to them touch.
 *
 * @param triangles three points of the mesh each, [T, 3]
 * @param kept numbers of points in the mesh
 * @returns pairs of places in `kept`, each once, the smaller place first
 */
export function coarseEdges(triangles: ArrayLike<number>, kept: readonly number[]): [number, number][] {
  const neighbours = new Map<number, Set<number>>();
  const join = (a: number, b: number): void => {
    neighbours.set(a, (neighbours.get(a) ?? new Set()).add(b));
    neighbours.set(b, (neighbours.get(b) ?? new Set()).add(a));
  };
  for (let at = 0; at < triangles.length; at += 3) {
    const [a, b, c] = [triangles[at]!, triangles[at + 1]!, triangles[at + 2]!];
    join(a, b);
    join(b, c);
    join(c, a);
  }
  // Whose each point is, nearest first.
  const owner = new Map(kept.map((point, place) => [point, place]));
  const queue = [...kept];
  for (const point of queue) {
    for (const next of neighbours.get(point) ?? []) {
      if (owner.has(next)) continue;
      owner.set(next, owner.get(point)!);
      queue.push(next);
    }
  }
  const edges = new Map<string, [number, number]>();
  for (const [point, own] of owner) {
    for (const next of neighbours.get(point) ?? []) {
      const other = owner.get(next)!;
      if (own < other) edges.set(`${own} ${other}`, [own, other]);
    }
  }
  return [...edges.values()];
}
