// What a motion field does to expressions, before anything is painted: how far apart it puts, in the source, points of the face
// that are apart in the driving frame. A model's field can be judged by this after minutes of training.
import { F, noGrad, type Tensor, tidy } from '@dagan/libtorch';
import { addChanges, type ChangeSums, NO_CHANGES, regressChanges } from './change-sums.js';
import { MESH_POINTS } from './mesh.js';

/** The signals, each the mean distance of pairs of mesh points: between the lips, the corners of the mouth, the lids. */
export const FIELD_SIGNALS = {
  mouthOpening: [[13, 14]],
  mouthWidth: [[61, 291]],
  lids: [
    [159, 145],
    [386, 374],
  ],
} as const satisfies Record<string, readonly (readonly [number, number])[]>;

export type FieldSignal = keyof typeof FIELD_SIGNALS;

const SIGNAL_NAMES = Object.keys(FIELD_SIGNALS) as FieldSignal[];

/** Mesh points at the top of the forehead and at the chin: all lengths count in their distance, each face in its own. */
const FACE_HEIGHT = [10, 152] as const;

/** Sums over frames, which add up with `addFieldTransfers`. */
export type FieldTransfer = {
  /**
   * Of each signal: x is how much more of it the driving face has than the source's, y how much more than the source's is left
   * where the field takes the driving points to. A field that ignores expressions leaves all, a right one nothing.
   */
  readonly signals: Readonly<Record<FieldSignal, ChangeSums>>;
  /** Mesh points that were seen. */
  readonly points: number;
  /** Sum of their distances from where they belong in the source, on the picture from -1 to 1. */
  readonly distance: number;
  /** The same if nothing moved: the sum of the distances between driving and source points. */
  readonly unmoved: number;
};

/** No frames. */
export const NO_FIELD_TRANSFER: FieldTransfer = {
  signals: { mouthOpening: NO_CHANGES, mouthWidth: NO_CHANGES, lids: NO_CHANGES },
  points: 0,
  distance: 0,
  unmoved: 0,
};

/**
 * Measures a motion field at the points of the face mesh.
 *
 * @param deformation where each driving position comes from in the source, (x, y) from -1 to 1 at the centres of the outermost
 * pixels, [N, h, w, 2]
 * @param drivingPoints mesh points of the driving frames in the same coordinates, [N, P, 2]; a third number, [N, P, 3], tells by
 * being positive that the point is seen, and those that are not do not count
 * @param sourcePoints the same points of the sources, alike
 * @param indices which points of the mesh they are. Default: all from the first on
 * @throws RangeError for shapes that do not fit, or if a point is missing that a signal is made of
 */
export function fieldTransfer(
  deformation: Tensor,
  drivingPoints: Tensor,
  sourcePoints: Tensor,
  indices: readonly number[] = Array.from({ length: Math.min(MESH_POINTS, drivingPoints.size(1)) }, (_, i) => i),
): FieldTransfer {
  checkShapes(deformation, drivingPoints, sourcePoints, indices);
  const place = placesOf(indices);
  const moved = noGrad(() => tidy(() => sampled(deformation, drivingPoints).toArray())) as Place[][]; // [N, P, 2]
  const driving = drivingPoints.toArray() as Place[][];
  const source = sourcePoints.toArray() as Place[][];
  const signals = { ...NO_FIELD_TRANSFER.signals };
  let [points, distance, unmoved] = [0, 0, 0];
  for (const [n, to] of moved.entries()) {
    const [from, goal] = [driving[n]!, source[n]!];
    const seen = (at: number): boolean => (from[at]![2] ?? 1) > 0 && (goal[at]![2] ?? 1) > 0;
    for (const at of indices.keys()) {
      if (!seen(at)) continue;
      points++;
      distance += apart(to[at]!, goal[at]!);
      unmoved += apart(from[at]!, goal[at]!);
    }
    const [top, chin] = FACE_HEIGHT.map(place) as [number, number];
    const heights = [from, goal].map((face) => apart(face[top]!, face[chin]!)) as [number, number];
    for (const name of SIGNAL_NAMES) {
      const pairs = FIELD_SIGNALS[name].map(([a, b]) => [place(a), place(b)] as const);
      if (![top, chin, ...pairs.flat()].every(seen) || Math.min(...heights) === 0) continue;
      const lengthIn = (face: readonly Place[], height: number): number =>
        pairs.reduce((sum, [a, b]) => sum + apart(face[a]!, face[b]!), 0) / pairs.length / height;
      const rest = lengthIn(goal, heights[1]);
      const [x, y] = [lengthIn(from, heights[0]) - rest, lengthIn(to, heights[1]) - rest];
      signals[name] = addChanges(signals[name], { count: 1, x, y, xx: x * x, xy: x * y, yy: y * y });
    }
  }
  return { signals, points, distance, unmoved };
}

/** The sums over the frames of both. */
export function addFieldTransfers(a: FieldTransfer, b: FieldTransfer): FieldTransfer {
  const signals = Object.fromEntries(
    SIGNAL_NAMES.map((name) => [name, addChanges(a.signals[name], b.signals[name])]),
  ) as Record<FieldSignal, ChangeSums>;
  return {
    signals,
    points: a.points + b.points,
    distance: a.distance + b.distance,
    unmoved: a.unmoved + b.unmoved,
  };
}

/** What the sums say. */
export type FieldTransferFigures = Readonly<Record<FieldSignal, number | null>> & {
  /** Mean distance of mesh points from where they belong, on the picture from -1 to 1; null without points. */
  readonly distance: number | null;
  /** The same if nothing moved. */
  readonly unmoved: number | null;
};

/**
 * Of each signal how much of the driver's change the field brings about: 1 - slope of what is left of it on what there was; 0 for
 * a field that ignores it, 1 for a right one, null where the drivers' signal does not vary.
 *
 * @param groups sums of sources or clips that are to have intercepts of their own; usually one group of all pairs
 */
export function fieldTransferFigures(...groups: readonly FieldTransfer[]): FieldTransferFigures {
  const transferOf = (name: FieldSignal): number | null => {
    const { slope } = regressChanges(groups.map(({ signals }) => signals[name]));
    return slope === null ? null : 1 - slope;
  };
  const points = groups.reduce((sum, group) => sum + group.points, 0);
  const meanOf = (name: 'distance' | 'unmoved'): number | null =>
    points > 0 ? groups.reduce((sum, group) => sum + group[name], 0) / points : null;
  return {
    mouthOpening: transferOf('mouthOpening'),
    mouthWidth: transferOf('mouthWidth'),
    lids: transferOf('lids'),
    distance: meanOf('distance'),
    unmoved: meanOf('unmoved'),
  };
}

/** x, y, and whether it is seen if that is told. */
type Place = [x: number, y: number, seen?: number];

const apart = ([x, y]: Place, [u, v]: Place): number => Math.hypot(x - u, y - v);

/** Where the field takes points: [N, h, w, 2] at [N, P, 2 or more] -> [N, P, 2]. */
function sampled(deformation: Tensor, points: Tensor): Tensor {
  const field = deformation.to({ dtype: 'float32' }).permute(0, 3, 1, 2); // [N, 2, h, w]
  const at = points.narrow(2, 0, 2).to({ dtype: 'float32', device: deformation.device }).unsqueeze(1); // [N, 1, P, 2]
  return F.gridSample(field, at, { alignCorners: true, paddingMode: 'border' }).squeeze(2).transpose(1, 2);
}

/** From a mesh point to its place among points. */
function placesOf(indices: readonly number[]): (point: number) => number {
  const places = new Map(indices.map((point, at) => [point, at]));
  return (point) => {
    const at = places.get(point);
    if (at === undefined) throw new RangeError(`mesh point ${point} is missing, from which a signal is measured`);
    return at;
  };
}

function checkShapes(deformation: Tensor, driving: Tensor, source: Tensor, indices: readonly number[]): void {
  const [n, , , two] = deformation.shape;
  const fits = [driving, source].every(
    ({ shape: [count, points, length] }) => count === n && points === indices.length && (length === 2 || length === 3),
  );
  if (fits && two === 2) return;
  throw new RangeError(
    `a field [${deformation.shape}] does not go with points [${driving.shape}] and [${source.shape}] of ` +
      `${indices.length} mesh points: [N, h, w, 2] and [N, P, 2 or 3] are needed`,
  );
}
