// The convex hull of points in space, whose volume is the size of a face that is known by them.

type Point = readonly [x: number, y: number, z: number];

const minus = (p: Point, q: Point): Point => [p[0] - q[0], p[1] - q[1], p[2] - q[2]];

const cross = (p: Point, q: Point): Point => [
  p[1] * q[2] - p[2] * q[1],
  p[2] * q[0] - p[0] * q[2],
  p[0] * q[1] - p[1] * q[0],
];

const dot = (p: Point, q: Point): number => p[0] * q[0] + p[1] * q[1] + p[2] * q[2];

/**
 * Six times the signed volume of a tetrahedron: positive where `d` lies on the side from which a, b, c turn
 * counter-clockwise. */
const volumeOf = (a: Point, b: Point, c: Point, d: Point): number => dot(cross(minus(b, a), minus(c, a)), minus(d, a));

/** A face of the hull by the numbers of its points, which turn counter-clockwise seen from outside. */
type Face = readonly [number, number, number];

/** Below this six-fold volume four points lie in a plane. */
const FLAT = 1e-12;

/**
 * Volume of the convex hull of points (x, y, z), in the cube of their units; 0 for points in a plane. Adds the points one after
 * the other: faces that a point sees give way to those between it and their rim.
 */
export function convexHullVolume(value: ArrayLike<number>): number {
  const points = Array.from(
    { length: value.length / 3 },
    (_, i): Point => [value[3 * i]!, value[3 * i + 1]!, value[3 * i + 2]!],
  );
  const start = tetrahedron(points);
  if (!start) return 0;
  const sees = (face: Face, point: Point): boolean =>
    volumeOf(points[face[0]]!, points[face[1]]!, points[face[2]]!, point) > FLAT;
  let faces = start;
  for (const [i, point] of points.entries()) {
    const seen = faces.filter((face) => sees(face, point));
    if (seen.length === 0) continue;
    const edges = seen.flatMap(
      ([a, b, c]) =>
        [
          [a, b],
          [b, c],
          [c, a],
        ] as const,
    );
    const shared = new Set(edges.map(([a, b]) => `${b} ${a}`));
    const rim = edges.filter(([a, b]) => !shared.has(`${a} ${b}`));
    faces = [...faces.filter((face) => !seen.includes(face)), ...rim.map(([a, b]): Face => [a, b, i])];
  }
  const inside = points[0]!;
  const six = faces.reduce((sum, [a, b, c]) => sum - volumeOf(points[a]!, points[b]!, points[c]!, inside), 0);
  return Math.abs(six) / 6;
}

/** Four points that do not lie in a plane, as a hull; undefined if all do. */
function tetrahedron(points: readonly Point[]): Face[] | undefined {
  for (let b = 1; b < points.length; b++) {
    for (let c = b + 1; c < points.length; c++) {
      for (let d = c + 1; d < points.length; d++) {
        const volume = volumeOf(points[0]!, points[b]!, points[c]!, points[d]!);
        if (Math.abs(volume) <= FLAT) continue;
        const [p, q] = volume < 0 ? [b, c] : [c, b]; // the fourth point must lie behind the first face
        return [
          [0, p, q],
          [0, q, d],
          [q, p, d],
          [p, 0, d],
        ];
      }
    }
  }
  return undefined;
}
