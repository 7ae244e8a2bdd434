// Landmarks refine the motion field: on the face it is known how points moved, and the field of the free keypoints (Eq. 7-8), which
// knows hair and shoulders but neither lips nor lids, gives way to that.
import { cat, type Tensor, tensor } from '@dagan/libtorch';
import { coordinateGrid } from '../tensors/grid.js';
import { seenOf } from './facing.js';
import { sourceOf } from './field.js';
import { type Iris, movedIrises } from './gaze.js';
import { squaredDistances } from './keypoints.js';
import { sharedAffine } from './shared-affine.js';
import type { SkinPoint } from './skin.js';

/** Where the square of the distance is below this, nearer than a pixel of 256, a landmark's say grows no more. */
const NEAREST = 5e-5;

/** A landmark's say against another's falls with this power of the square of the distance, */
const FALLOFF = 3;

/** and that of all landmarks against the field of the free keypoints with this one: there the two need not agree. */
const GENTLER = 1.5;

/** Around the face the free field follows landmarks from which it is further than this, on the picture from -1 to 1. */
const DISAGREEMENT = 0.16;

/** It does so up to this distance from the landmarks, by their d^-8, and as the nearest say, by their d^-4. */
const AROUND = { reach: 0.3, ends: 4, falloff: 2, nearest: 1e-3 } as const;

/** Taken off the score of what is to have no say. */
const NO_SAY = 100;

/** What is left of the say of a landmark that is hidden, so that a field remains where all are. */
const LEAST_SAY = 1e-3;

/** An eye's landmarks: both lids, and the corners from the picture's left to its right where the head is upright. */
export type Lids = readonly [upper: number, lower: number, left: number, right: number];

/** A lid's say is centred so far outside of its rim, in widths of the eye. */
const OUTSIDE = 0.15;

/** How landmarks refine a field. */
export type Refinement = {
  /** So far from a landmark the field of the free keypoints has as much say as it. */
  reach: number;
  /** Closed lids meet: the say of each is centred on its own side, or both together would show what is between them. */
  lids?: readonly Lids[];
  /** Irises have no say in this: they move within their eyes (`movedIrises`). */
  irises?: readonly Iris[];
  /** Landmarks that the driving frame does not show have no say either. */
  skin?: readonly SkinPoint[];
};

/** A field, and what share each motion has in it. */
export type Field = {
  /** Sums to 1 over the motions, the background first. */
  mask: Tensor; // [N, F + 1, h, w]
  /** Where each driving position comes from in the source, (x, y) in [-1, 1]. */
  deformation: Tensor; // [N, h, w, 2]
};

/**
 * Inverse distance weighting (Shepard, "A two-dimensional interpolation function for irregularly-spaced data", 1968) of the motions of
 * L landmarks, by d^-6, and of all of them against a field that has the say of a landmark at the distance `reach`, by d^-3. Landmarks
 * share the affine map A that they undergo together: around one that went from s to d, T(z) = s + A (z - d).
 *
 * @param free the field of free keypoints
 * @param driving landmarks, [N, L, 2]
 * @param source [N, L, 2] or [1, L, 2]
 * @returns its mask has the landmarks after the background: [N, L + F + 1, h, w]
 */
export function refinedByLandmarks(
  free: Field,
  driving: Tensor,
  source: Tensor,
  { reach, lids = [], irises = [], skin = [] }: Refinement,
): Field {
  const { mask } = free;
  const deformation = agreeing(free, driving, source);
  const [n, height, width] = deformation.shape as [number, number, number];
  const centres = lids.length > 0 ? outsideOf(driving, lids) : driving;
  const byDistance = squaredDistances({ value: centres }, [height, width]).add(NEAREST).log().mul(-FALLOFF);
  const moving = irises.length > 0 ? byDistance.add(withoutIrises(driving, irises)) : byDistance;
  const scores = skin.length > 0 ? moving.add(saysOf(seenOf(driving, skin))) : moving; // [N, L, h, w]
  const together = scores.exp().sum([1], true).log(); // [N, 1, h, w]
  const others = together
    .mul(-GENTLER / FALLOFF)
    .sub(2 * GENTLER * Math.log(reach))
    .sigmoid(); // [N, 1, h, w]
  const ofLandmarks = scores.softmax(1).mul(others.neg().add(1)); // [N, L, h, w]
  const linear = sharedAffine(driving, source).transpose(1, 2); // [N, 2, 2], for rows
  const offsets = source.sub(driving.matmul(linear)); // [N, L, 2]
  const moved = ofLandmarks.flatten(2).transpose(1, 2).matmul(offsets).reshape(n, height, width, 2);
  const grid = coordinateGrid(height, width, deformation).reshape(height * width, 2);
  const turned = grid.matmul(linear).reshape(n, height, width, 2);
  const kept = deformation.sub(turned).mul(others.permute(0, 2, 3, 1)); // [N, h, w, 2]
  const shared = mask.mul(others); // [N, F + 1, h, w]
  const refined = kept.add(moved).add(turned);
  return {
    mask: cat([shared.narrow(1, 0, 1), ofLandmarks, shared.narrow(1, 1, mask.size(1) - 1)], 1),
    deformation: irises.length > 0 ? movedIrises(refined, driving, source, irises) : refined,
  };
}

/**
 * A field that agrees with landmarks around them, too: where it is far from them it takes over how far, on all that moves, and less
 * and less away from the face. A driver of another shape moves the free keypoints otherwise than the landmarks, and what lies between
 * would show twice, or not at all: jaws, ears, hairlines.
 *
 * @returns the deformation, [N, h, w, 2]
 */
function agreeing({ mask, deformation }: Field, driving: Tensor, source: Tensor): Tensor {
  const [n, height, width] = deformation.shape as [number, number, number];
  const { reach, ends, falloff, nearest } = AROUND;
  const apart = source.sub(sourceOf(deformation, driving)); // [N, L, 2]
  const square = apart.square().sum([2], true); // [N, L, 1]
  const certain = apart.mul(square.div(square.add(DISAGREEMENT ** 2))); // [N, L, 2]
  const scores = squaredDistances({ value: driving }, [height, width]).add(nearest).log().neg(); // [N, L, h, w]
  const around = scores
    .mul(ends)
    .exp()
    .sum([1], true)
    .log()
    .add(2 * ends * Math.log(reach))
    .sigmoid(); // [N, 1, h, w]
  const moving = mask.narrow(1, 0, 1).neg().add(1); // [N, 1, h, w]
  const shares = scores.mul(falloff).softmax(1).mul(around.mul(moving)); // [N, L, h, w]
  return deformation.add(shares.flatten(2).transpose(1, 2).matmul(certain).reshape(n, height, width, 2));
}

/** What is added to the scores of landmarks that are seen so far, [N, L] -> [N, L, 1, 1]. */
const saysOf = (seen: Tensor): Tensor => seen.clamp(LEAST_SAY).log().unsqueeze(2).unsqueeze(3);

/** What is added to the scores of landmarks, [L, 1, 1]: irises have next to none. */
const withoutIrises = (landmarks: Tensor, irises: readonly Iris[]): Tensor => {
  const { dtype, device } = landmarks;
  const whose = Array.from({ length: landmarks.size(1) }, (_, i) => irises.some(([iris]) => iris === i));
  return tensor(whose.map((is) => (is ? -NO_SAY : 0)))
    .to({ dtype, device })
    .view(-1, 1, 1);
};

/** Landmarks [N, L, 2] with those of lids moved away from their eyes' openings. */
function outsideOf(landmarks: Tensor, lids: readonly Lids[]): Tensor {
  const count = landmarks.size(1);
  const { dtype, device } = landmarks;
  // What is added to each landmark: so much of each other one, a quarter turn to the left.
  const shifts = Array.from({ length: count }, () => new Array<number>(count).fill(0));
  for (const [upper, lower, left, right] of lids) {
    for (const [lid, outwards] of [
      [upper, OUTSIDE],
      [lower, -OUTSIDE],
    ] as const) {
      shifts[lid]![right] = outwards;
      shifts[lid]![left] = -outwards;
    }
  }
  const turn = [
    [0, -1],
    [1, 0],
  ]; // for rows, y points down
  const [shares, quarter] = [shifts, turn].map((rows) => tensor(rows).to({ dtype, device }));
  return landmarks.add(shares!.matmul(landmarks).matmul(quarter!));
}
