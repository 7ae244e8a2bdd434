// A head that turns in space: what landmarks with a depth tell of it. A driver who looks aside and turns to the front shows another
// movement in the plane than a portrait that looked to the front and turns aside, though both turn alike; in space they do the same.
import { type RigidFit, rigidFit } from '../geometry/rigid-fit.js';
import { inverseRotation, type Matrix3, multiplied, powerOf } from '../geometry/rotation.js';
import type { KeypointSet } from '../tensors/keypoint-set.js';
import type { Point } from './affine.js';
import { partOf } from './face-parts.js';
import type { KeypointNames } from './mesh-keypoints.js';

/** Landmarks around the face. The plane nearest to them stands for hair and ears, whose depth nobody tells. */
const RIM = [
  ...['forehead', 'rightForehead', 'leftForehead', 'rightForeheadSide', 'leftForeheadSide'],
  ...['rightForeheadCorner', 'leftForeheadCorner', 'rightTemple', 'leftTemple', 'rightCheekSide', 'leftCheekSide'],
];

/** A place in space. */
type Place = readonly [x: number, y: number, z: number];

const MIDDLE: Place = [0, 0, 0];

/** Degrees from the camera up to which a head is turned, or as far as the portrait's own: behind that is what no portrait shows. */
const FURTHEST = 40;

/** Degrees that it is turned at most from where it was. */
const LARGEST = 45;

/** Halvings in the search for how much of a turn stays within these. */
const HALVINGS = 12;

/** What a head did, and the plane through its rim before: z = level + slopes * (x, y). */
type Turn = { fit: RigidFit; plane: Plane };

type Plane = { level: number; slopes: Point };

/** How strong the driver's motion is in the portrait. */
export type SpaceStrengths = {
  /** Of the head's turn and shift. */
  pose: number;
  /** Factor on how far the head shifts and how much it grows, beside that. */
  scale: number;
};

/**
 * The head's motion from the reference to the driving frame, and what else every landmark did, in space, seen from a portrait that
 * stands otherwise and has another size: p' = c + R (p + Q e - c) + t. R and t are the head's, as the camera sees them; e is how far
 * the driver's landmark is from where its head alone would have taken it, as it stands in the reference, and Q turns and scales it
 * to how the portrait stands.
 */
export class HeadInSpace {
  readonly #portrait: KeypointSet;
  readonly #reference: KeypointSet;
  readonly #driving: KeypointSet;
  /** The driver's head from the reference to the driving frame. */
  readonly #driver: Turn;
  /** The same about the portrait's head. */
  readonly #own: Turn;
  /** From the reference to the portrait. */
  readonly #stance: RigidFit;

  private constructor(
    sets: { portrait: KeypointSet; reference: KeypointSet; driving: KeypointSet },
    names: KeypointNames,
    { pose, scale }: SpaceStrengths,
  ) {
    const { portrait, reference, driving } = sets;
    [this.#portrait, this.#reference, this.#driving] = [portrait, reference, driving];
    const rigid = Object.keys(names).filter(isRigid);
    const fitOf = (from: KeypointSet, to: KeypointSet): RigidFit =>
      rigidFit(placesOf(from, rigid, names).flat(), placesOf(to, rigid, names).flat());
    const fit = fitOf(reference, driving);
    this.#stance = fitOf(reference, portrait);
    this.#driver = { fit, plane: planeThrough(placesOf(reference, RIM, names)) };
    const about = this.#stance.to;
    const shift = fit.to.map((value, axis) => pose * scale * (value - fit.from[axis]!));
    this.#own = {
      fit: {
        rotation: withinReach(powerOf(fit.rotation, pose), facing(portrait, names)),
        scale: fit.scale ** (pose * scale),
        from: about,
        to: about.map((value, axis) => value + shift[axis]!),
      },
      plane: planeThrough(placesOf(portrait, RIM, names)),
    };
  }

  /** Undefined where depth is not told, or landmarks do not determine how a head stands. */
  static of(
    sets: { portrait: KeypointSet; reference: KeypointSet; driving: KeypointSet },
    names: KeypointNames,
    strengths: SpaceStrengths,
  ): HeadInSpace | undefined {
    const needed = [...new Set(['chin', ...RIM, ...Object.keys(names).filter(isRigid)])].map((name) => names[name]);
    const told = (set: KeypointSet): boolean =>
      needed.every((keypoint) => keypoint !== undefined && Number.isFinite(set.depth?.[keypoint]));
    if (![sets.portrait, sets.reference, sets.driving].every(told)) return undefined;
    try {
      return new HeadInSpace(sets, names, strengths);
    } catch (error) {
      if (error instanceof RangeError) return undefined;
      throw error;
    }
  }

  /**
   * How far a landmark of the portrait goes; not a number where the driver does not tell it.
   *
   * @param strength of its own movement, beside the head's
   */
  wayOfLandmark(keypoint: number, strength: number): Point {
    const { rotation, scale, from, to } = this.#driver.fit;
    const [before, after] = [placeOf(this.#reference, keypoint), placeOf(this.#driving, keypoint)];
    const undone = multiplied(minus(after, to), inverseRotation(rotation)).map((value) => value / scale);
    const expression = minus(undone, minus(before, from));
    const own = multiplied(expression, this.#stance.rotation).map((value) => strength * this.#stance.scale * value);
    const place = placeOf(this.#portrait, keypoint);
    const goal = carried(this.#own.fit, plus(place, own));
    return [goal[0] - place[0], goal[1] - place[1]];
  }

  /** How far the driver's head would have taken a point of its rim, or of its hair. */
  driverWay(point: Point): Point {
    return wayInPlane(this.#driver, point);
  }

  /** The same of the portrait's. */
  portraitWay(point: Point): Point {
    return wayInPlane(this.#own, point);
  }
}

/** Whether only the head moves a landmark. */
const isRigid = (name: string): boolean => partOf(name) === 'pose';

/** Where a face looks to: the direction across its height and width. */
function facing(set: KeypointSet, names: KeypointNames): Place {
  const [top, chin, right, left] = placesOf(set, ['forehead', 'chin', 'rightTemple', 'leftTemple'], names) as [
    ...[Place, Place, Place, Place],
  ];
  const [a, b] = [minus(chin, top), minus(left, right)];
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

/** As much of a rotation as a portrait can follow that looks to somewhere. */
function withinReach(rotation: Matrix3, direction: Place): Matrix3 {
  const away = ([x, y, z]: readonly number[]): number => Math.atan2(Math.hypot(x!, y!), -z!); // the camera is where z is smallest
  const bound = Math.max(away(direction), radians(FURTHEST));
  const fits = (share: number): boolean => {
    const part = powerOf(rotation, share);
    const angle = Math.acos(Math.min(1, Math.max(-1, (part[0]! + part[4]! + part[8]! - 1) / 2)));
    return angle <= radians(LARGEST) && away([...multiplied(direction, part)]) <= bound + 1e-9;
  };
  if (fits(1)) return rotation;
  let [least, most] = [0, 1];
  for (let i = 0; i < HALVINGS; i++) {
    const middle = (least + most) / 2;
    if (fits(middle)) least = middle;
    else most = middle;
  }
  return powerOf(rotation, least);
}

const radians = (degrees: number): number => (degrees * Math.PI) / 180;

function placesOf(set: KeypointSet, landmarks: readonly string[], names: KeypointNames): Place[] {
  return landmarks.map((name) => placeOf(set, names[name]!));
}

function placeOf({ value, depth }: KeypointSet, keypoint: number): Place {
  return [value[2 * keypoint]!, value[2 * keypoint + 1]!, depth![keypoint]!];
}

const plus = (a: ArrayLike<number>, b: ArrayLike<number>): Place => [a[0]! + b[0]!, a[1]! + b[1]!, a[2]! + b[2]!];
const minus = (a: ArrayLike<number>, b: ArrayLike<number>): Place => [a[0]! - b[0]!, a[1]! - b[1]!, a[2]! - b[2]!];

function carried({ rotation, scale, from, to }: RigidFit, place: Place): Place {
  return plus(
    to,
    multiplied(minus(place, from), rotation).map((value) => scale * value),
  );
}

function wayInPlane({ fit, plane: { level, slopes } }: Turn, [x, y]: Point): Point {
  const [u, v] = carried(fit, [x, y, level + slopes[0] * x + slopes[1] * y]);
  return [u - x, v - y];
}

/** Least squares in z. */
function planeThrough(places: readonly Place[]): Plane {
  const count = places.length;
  const [x, y, z] = places.reduce(plus, MIDDLE).map((sum) => sum / count) as unknown as Place;
  let [xx, xy, yy, xz, yz] = [0, 0, 0, 0, 0];
  for (const place of places) {
    const [a, b, c] = minus(place, [x, y, z]);
    xx += a * a;
    xy += a * b;
    yy += b * b;
    xz += a * c;
    yz += b * c;
  }
  const determinant = xx * yy - xy * xy;
  if (!(determinant > 1e-12)) throw new RangeError('the rim of the face is a line');
  const slopes: Point = [(xz * yy - yz * xy) / determinant, (yz * xx - xz * xy) / determinant];
  return { level: z - slopes[0] * x - slopes[1] * y, slopes };
}
