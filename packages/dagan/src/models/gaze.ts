// Eyes that look where the driver's do: irises move along their eyes, within lids that stay.
import { type Tensor, tensor } from '@dagan/libtorch';
import { sourceOf } from './field.js';
import { squaredDistances } from './keypoints.js';

/** An iris, and the lids and corners of its eye, from the picture's left to its right where the head is upright. */
export type Iris = readonly [iris: number, upper: number, lower: number, left: number, right: number];

/** How far from the middle of the eye what moves with the iris reaches, in widths of the eye: the deviation of a bell. */
const REACH = 0.25;

/** How far lids are apart, in widths of the eye, where nothing of the iris is seen, and where it moves as it is told. */
const [SHUT, OPEN] = [0.08, 0.2];

/**
 * A field that brings irises to where they belong, along the line through the corners of their eyes: up and down lids go with the eye,
 * and blinks must stay whole. Of shut eyes the mesh guesses where irises are.
 *
 * @param deformation [N, h, w, 2]
 * @param driving landmarks, [N, L, 2]
 * @param source [N, L, 2] or [1, L, 2]
 * @returns [N, h, w, 2]
 */
export function movedIrises(deformation: Tensor, driving: Tensor, source: Tensor, irises: readonly Iris[]): Tensor {
  const [n, height, width] = deformation.shape as [number, number, number];
  const { dtype, device } = deformation;
  const count = driving.size(1);
  /** Of every eye the landmarks at some of its places, with shares: [E, L]. */
  const taken = (shares: Readonly<Record<number, number>>): Tensor => {
    const rows = irises.map((eye) => {
      const row = new Array<number>(count).fill(0);
      for (const [place, share] of Object.entries(shares)) row[eye[Number(place)]!]! += share;
      return row;
    });
    return tensor(rows).to({ dtype, device });
  };
  const [ofIris, ofMiddle] = [taken({ 0: 1 }), taken({ 3: 0.5, 4: 0.5 })];
  const [ofAxis, ofGap] = [taken({ 3: -1, 4: 1 }), taken({ 1: -1, 2: 1 })];
  const lengthOf = (vectors: Tensor): Tensor => vectors.square().sum([2], true).add(1e-8).sqrt(); // [N, E, 1]
  const eyeWidth = lengthOf(ofAxis.matmul(driving));
  const seen = lengthOf(ofGap.matmul(driving))
    .div(eyeWidth)
    .sub(SHUT)
    .div(OPEN - SHUT)
    .clamp(0, 1); // [N, E, 1]
  const apart = ofIris.matmul(source).sub(sourceOf(deformation, ofIris.matmul(driving))); // [N, E, 2]
  const axis = ofAxis.matmul(source);
  const direction = axis.div(lengthOf(axis)); // [1 or N, E, 2]
  const along = direction.mul(apart.mul(direction).sum([2], true)).mul(seen); // [N, E, 2]
  const bells = squaredDistances({ value: ofMiddle.matmul(driving) }, [height, width])
    .div(eyeWidth.mul(REACH).square().mul(-2).unsqueeze(3))
    .exp(); // [N, E, h, w]
  return deformation.add(bells.flatten(2).transpose(1, 2).matmul(along).reshape(n, height, width, 2));
}
