// Keypoints: positions with local affine frames, as tensors for networks and in plain memory, where animation moves them. Other
// systems move other things, which are numbers of the same layout (`MotionSpace`).
import { cat, type Tensor, tensor } from '@dagan/libtorch';
import { type MotionSpace, PLANE } from './motion-space.js';

/**
 * K keypoints of N pictures.
 *
 * Positions are (x, y) with -1 and 1 at the centres of the outermost pixels. A keypoint's jacobian maps small offsets in
 * the reference frame to offsets in the picture (the published code's first-order motion); it is null where motion is made
 * of offsets alone (Eq. 7 of the paper).
 */
export type Keypoints = {
  value: Tensor; // [N, K, 2]; [N, K, D] in a space of D dimensions
  jacobian: Tensor | null; // [N, K, 2, 2]; [N, K, D, D]
  /** The head behind keypoints in space; of other systems there is none. */
  head?: { canonical: Tensor /* [N, K, 3] */; angles: Tensor /* [N, 3] */ };
};

/** K keypoints of one picture, in plain memory. */
export type KeypointSet = {
  /** x, y of every keypoint, -1 and 1 at the picture's borders: [K, 2]. */
  value: Float32Array;
  /** 2x2 matrix of every keypoint, row by row: [K, 2, 2]; null where motion is offsets alone. */
  jacobian: Float32Array | null;
  /**
   * How far keypoints in the plane lie behind it that stand on landmarks of a face, in the unit of x and y, smaller towards the viewer:
   * [K], not a number for the others. The face mesh tells it.
   */
  depth?: Float32Array;
  /** The head behind keypoints in space; of other systems there is none. */
  head?: HeadStance;
};

/** How a head stands, and where its keypoints are when it faces the camera without expression. */
export type HeadStance = {
  canonical: Float32Array; // [K, 3]
  /** Yaw, pitch and roll in degrees. */
  angles: Float32Array; // [3]
};

/** Keypoints as [N, K, D] and [N, K, D, D] tensors, from N sets; their heads are left out. */
export function keypointsToTensors(
  sets: readonly KeypointSet[],
  device = 'cpu',
  { dimensions }: MotionSpace = PLANE,
): Keypoints {
  const count = sets[0]!.value.length / dimensions;
  const join = (arrays: readonly Float32Array[], shape: readonly number[]): Tensor =>
    cat(arrays.map((data) => tensor(data, { shape: [1, ...shape] }))).to({ device });
  const jacobians = sets.flatMap((set) => set.jacobian ?? []);
  return {
    value: join(
      sets.map((set) => set.value),
      [count, dimensions],
    ),
    jacobian: jacobians.length === sets.length ? join(jacobians, [count, dimensions, dimensions]) : null,
  };
}

/** N sets from [N, K, D] and [N, K, D, D] tensors. */
export function tensorsToKeypoints({ value, jacobian, head }: Keypoints): KeypointSet[] {
  const sets = value.size(0);
  const split = (joined: Tensor): Float32Array[] => {
    const data = joined.toFloat32Array();
    const length = data.length / sets;
    return Array.from({ length: sets }, (_, i) => data.slice(i * length, (i + 1) * length));
  };
  const [values, jacobians] = [split(value), jacobian && split(jacobian)];
  const heads = head && { canonical: split(head.canonical), angles: split(head.angles) };
  return values.map((each, i) => ({
    value: each,
    jacobian: jacobians ? jacobians[i]! : null,
    ...(heads && { head: { canonical: heads.canonical[i]!, angles: heads.angles[i]! } }),
  }));
}
