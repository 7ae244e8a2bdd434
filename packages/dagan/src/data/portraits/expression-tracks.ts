// Expressions of real faces: what the faces of clips do, as against how they are at rest, with the head's pose taken out.

import { headPose } from '../../faces/pose.js';
import { inverseRotation, multiplied } from '../../geometry/rotation.js';
import type { Random } from '../random.js';
import { EYES, type FaceSurface, IRISES, MOUTH, OUTLINE, REFINED_POINTS } from './face-surface.js';
import { eyeDistance, eyesOpen, pictureRotation, rising } from './frontal-face.js';
import type { ExpressionSource } from './portrait-pair.js';

/** The face mesh through a clip. */
export type MeshTrack = {
  /** [frames, 478, 3] in pixels; not numbers where no face was found. */
  points: Float32Array;
  /** Of the frames. */
  width: number;
  height: number;
};

/** A collection as plain data. The changes are shared between threads that it is given to. */
export type PackedExpressions = {
  /** [expressions, 478, 3], whole multiples of `step`. */
  changes: Int16Array;
  step: number;
};

export type ExpressionTrackOptions = {
  /** How many expressions are kept: those most unlike one another. Default 3000. */
  count?: number;
};

const NUMBERS = REFINED_POINTS * 3;

/** A clip of fewer faces does not tell how the face is at rest. */
const LEAST_FRAMES = 12;
/** Degrees. Beyond, half of the face is guessed. */
const LARGEST_TURN = { yaw: 30, pitch: 30 } as const;
/** Of a longer clip so many frames are looked at, evenly spread: neighbours are alike. */
const MOST_FRAMES = 250;
/** This share of the frames, those furthest from rest, is taken for failures of the mesh. */
const FAILURES = 0.003;
/** Nothing on a face goes further than this, in distances between the outer corners of the eyes. */
const FURTHEST = 0.6;
/** The depth of the mesh is the least sure of its coordinates. */
const DEPTH_TRUSTED = 0.5;
/** Frames are alike if these points are, the lids' counting most as they move least. */
const COMPARED_POINTS: readonly { points: readonly number[]; weight: number }[] = [
  { points: [...MOUTH.upper, ...MOUTH.lower.slice(1, -1), 61, 291, 0, 17, 152], weight: 1 },
  { points: [159, 145, 158, 153, 160, 144, 386, 374, 385, 380, 387, 373], weight: 3 },
  { points: [105, 107, 70, 334, 336, 300], weight: 1.5 },
];
/** An iris that the lids cover is a guess: from the first to the second part of the eye's opening it comes to count. */
const IRIS_SEEN = [0.3, 0.7] as const;
/** Eyes that are less open at rest, as against the canonical face's, are taken to be so far open. */
const LEAST_OPEN = 0.3;
/** The unit of packed changes. */
const QUANTUM = 1 / 32_000;

/** A collection of expressions. */
export class ExpressionTracks implements ExpressionSource {
  /** How many there are. */
  readonly count: number;

  /** A collection that has been packed. */
  constructor(readonly packed: PackedExpressions) {
    this.count = packed.changes.length / NUMBERS;
  }

  /**
   * Collects expressions of clips; each clip should show one person. Whatever of the mesh's changes follows the head's turn
   * in proportion is taken for an error of the mesh, and removed. The same tracks give the same collection.
   *
   * @throws RangeError if no clip shows a face often enough
   */
  static of(tracks: Iterable<MeshTrack>, surface: FaceSurface, { count = 3000 }: ExpressionTrackOptions = {}) {
    const mobility = mobilityOf(surface);
    const found = [...tracks].flatMap((track) => changesOf(track, surface, mobility));
    if (found.length === 0) {
      throw new RangeError(`no clip shows a face in at least ${LEAST_FRAMES} frames: there are no expressions to take`);
    }
    const chosen = mostUnlike(found, count);
    const changes = new Int16Array(new SharedArrayBuffer(chosen.length * NUMBERS * 2));
    for (const [i, one] of chosen.entries())
      changes.set(
        one.map((value) => Math.round(value / QUANTUM)),
        i * NUMBERS,
      );
    return new ExpressionTracks({ changes, step: QUANTUM });
  }

  /** One of them: [478, 3], as `PortraitMotion` has it. */
  at(index: number): Float32Array {
    const { changes, step } = this.packed;
    return Float32Array.from(changes.subarray(index * NUMBERS, (index + 1) * NUMBERS), (value) => value * step);
  }

  /** Any of them. */
  draw(random: Random): Float32Array {
    return this.at(random.below(this.count));
  }
}

/** [478, 3]: how much of a point's change is believed: nothing at temples and forehead's rim, which are bone. */
function mobilityOf({ canonical }: FaceSurface): Float32Array {
  const place = (index: number) => [canonical.points[index * 3]!, canonical.points[index * 3 + 1]!] as const;
  const rim = OUTLINE.map(place);
  const halfWidth = Math.max(...rim.map(([x]) => x));
  const [top, bottom] = [Math.max(...rim.map(([, y]) => y)), Math.min(...rim.map(([, y]) => y))];
  const [middle, halfHeight] = [(top + bottom) / 2, (top - bottom) / 2];
  const mobility = new Float32Array(NUMBERS).fill(1);
  for (let index = 0; index < canonical.points.length / 3; index++) {
    const [x, y] = place(index);
    const radius = Math.hypot(x / halfWidth, (y - middle) / halfHeight);
    const upper = rising(0.5 + (y - middle) / (0.6 * halfHeight));
    mobility.fill(1 - upper * rising((radius - 0.7) / 0.3), index * 3, index * 3 + 3);
  }
  for (let at = 2; at < NUMBERS; at += 3) mobility[at]! *= DEPTH_TRUSTED;
  return mobility;
}

/** Changes from rest of every frame of a clip that shows the face well. */
function changesOf({ points }: MeshTrack, { canonical }: FaceSurface, mobility: Float32Array): Float32Array[] {
  const unit = eyeDistance(canonical.points);
  const faces: Float64Array[] = [];
  const turns: [yaw: number, pitch: number][] = [];
  const step = Math.max(1, points.length / NUMBERS / MOST_FRAMES);
  for (let at = 0; at < points.length / NUMBERS; at += step) {
    const frame = Math.floor(at);
    const mesh = Float64Array.from(points.subarray(frame * NUMBERS, (frame + 1) * NUMBERS));
    if (!mesh.every(Number.isFinite)) continue;
    const { yaw, pitch, rotation, scale } = headPose(mesh, canonical);
    if (Math.abs(yaw) > LARGEST_TURN.yaw || Math.abs(pitch) > LARGEST_TURN.pitch) continue;
    faces.push(frontal(mesh, rotation, scale * unit, canonical.weights));
    turns.push([yaw, pitch]);
  }
  if (faces.length < LEAST_FRAMES) return [];
  const eyeWidth = median(Float64Array.from(faces, eyeDistance));
  const rest = Float64Array.from({ length: NUMBERS }, (_, at) => median(Float64Array.from(faces, (face) => face[at]!)));
  const open = eyesOpen(rest);
  const canonicalOpen = eyesOpen(canonical.points);
  const changes = faces.map((face) => Float32Array.from(face, (value, at) => (value - rest[at]!) / eyeWidth));
  removeTurns(changes, turns);
  const now = new Float64Array(NUMBERS);
  for (const change of changes) {
    for (let at = 0; at < NUMBERS; at++) now[at] = rest[at]! + change[at]! * eyeWidth;
    const openNow = eyesOpen(now);
    for (const [k, eye] of EYES.entries()) {
      const rims = [...eye.upper.slice(1, -1), ...eye.lower.slice(1, -1)];
      const shown = rising((openNow[k]! / open[k]! - IRIS_SEEN[0]) / (IRIS_SEEN[1] - IRIS_SEEN[0]));
      const wide = Math.max(LEAST_OPEN, open[k]! / canonicalOpen[k]!);
      for (let at = IRISES[k]! * 3; at < (IRISES[k]! + 5) * 3; at++) change[at]! *= shown;
      for (const index of rims) {
        for (let axis = 0; axis < 3; axis++) change[index * 3 + axis]! /= wide;
      }
    }
    for (let at = 0; at < NUMBERS; at++) change[at]! *= mobility[at]!;
  }
  return changes.filter((change) => change.every((value) => Math.abs(value) < FURTHEST));
}

/** The face seen from the front: y down, z away, in units of length, its weighted middle at 0. */
function frontal(mesh: Float64Array, rotation: readonly number[], unit: number, weights: Float64Array): Float64Array {
  const face = multiplied(mesh, inverseRotation(pictureRotation(rotation))).map((value) => value / unit);
  for (let axis = 0; axis < 3; axis++) {
    let [middle, total] = [0, 0];
    for (let i = 0; i < weights.length; i++) {
      middle += weights[i]! * face[i * 3 + axis]!;
      total += weights[i]!;
    }
    middle /= total;
    for (let at = axis; at < NUMBERS; at += 3) face[at]! -= middle;
  }
  return face;
}

/** Takes from every coordinate what follows yaw and pitch in proportion (least squares, a little held back). */
function removeTurns(changes: readonly Float32Array[], turns: readonly (readonly [number, number])[]): void {
  const count = turns.length;
  const mean = (k: 0 | 1): number => turns.reduce((sum, turn) => sum + turn[k], 0) / count;
  const yaws = turns.map(([yaw]) => yaw - mean(0));
  const pitches = turns.map(([, pitch]) => pitch - mean(1));
  const product = (a: readonly number[], b: readonly number[]): number =>
    a.reduce((sum, value, i) => sum + value * b[i]!, 0);
  // One degree of variance more holds back what few turns seem to tell.
  const [yy, yp, pp] = [product(yaws, yaws) + count, product(yaws, pitches), product(pitches, pitches) + count];
  const determinant = yy * pp - yp * yp;
  const withYaw = new Float64Array(NUMBERS);
  const withPitch = new Float64Array(NUMBERS);
  for (const [i, change] of changes.entries()) {
    for (let at = 0; at < NUMBERS; at++) {
      withYaw[at]! += yaws[i]! * change[at]!;
      withPitch[at]! += pitches[i]! * change[at]!;
    }
  }
  for (const [i, change] of changes.entries()) {
    const perYaw = (pp * yaws[i]! - yp * pitches[i]!) / determinant;
    const perPitch = (yy * pitches[i]! - yp * yaws[i]!) / determinant;
    for (let at = 0; at < NUMBERS; at++) change[at]! -= perYaw * withYaw[at]! + perPitch * withPitch[at]!;
  }
}

/** Of all expressions, after failures are left out, each next one that is most unlike those taken, from rest on. */
function mostUnlike(all: readonly Float32Array[], count: number): Float32Array[] {
  const features = all.map((change) =>
    Float32Array.from(
      COMPARED_POINTS.flatMap(({ points, weight }) =>
        points.flatMap((index) => [weight * change[index * 3]!, weight * change[index * 3 + 1]!]),
      ),
    ),
  );
  const distance = Float64Array.from(features, (feature) => feature.reduce((sum, value) => sum + value * value, 0));
  const limit = distance.toSorted()[Math.floor((1 - FAILURES) * (all.length - 1))]!;
  for (let i = 0; i < distance.length; i++) if (distance[i]! > limit) distance[i] = -1;
  const taken: Float32Array[] = [];
  while (taken.length < count) {
    let next = 0;
    for (let i = 1; i < distance.length; i++) if (distance[i]! > distance[next]!) next = i;
    if (!(distance[next]! > 0)) break;
    taken.push(all[next]!);
    const from = features[next]!;
    for (const [i, feature] of features.entries()) {
      if (distance[i]! <= 0) continue;
      let square = 0;
      for (let k = 0; k < from.length && square < distance[i]!; k++) square += (feature[k]! - from[k]!) ** 2;
      if (square < distance[i]!) distance[i] = square;
    }
  }
  return taken;
}

/** Sorts the values. */
function median(values: Float64Array): number {
  values.sort();
  const middle = values.length >> 1;
  return values.length % 2 === 1 ? values[middle]! : (values[middle - 1]! + values[middle]!) / 2;
}
