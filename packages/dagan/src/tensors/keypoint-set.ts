// Keypoints: positions with local affine frames, as tensors for networks and in plain memory, where animation moves them.
import { cat, type Tensor, tensor } from '@dagan/libtorch';

/**
 * K keypoints of N pictures.
 *
 * Positions are (x, y) with -1 and 1 at the centres of the outermost pixels. A keypoint's jacobian maps small offsets in
 * the reference frame to offsets in the picture (the published code's first-order motion); it is null where motion is made
 * of offsets alone (Eq. 7 of the paper).
 */
export type Keypoints = {
  value: Tensor; // [N, K, 2]
  jacobian: Tensor | null; // [N, K, 2, 2]
};

/** K keypoints of one picture, in plain memory. */
export type KeypointSet = {
  /** x, y of every keypoint, -1 and 1 at the picture's borders: [K, 2]. */
  value: Float32Array;
  /** 2x2 matrix of every keypoint, row by row: [K, 2, 2]; null where motion is offsets alone. */
  jacobian: Float32Array | null;
};

/** Keypoints as [N, K, 2] and [N, K, 2, 2] tensors, from N sets. */
export function keypointsToTensors(sets: readonly KeypointSet[], device = 'cpu'): Keypoints {
  const count = sets[0]!.value.length / 2;
  const join = (arrays: readonly Float32Array[], shape: readonly number[]): Tensor =>
    cat(arrays.map((data) => tensor(data, { shape: [1, ...shape] }))).to({ device });
  const jacobians = sets.flatMap((set) => set.jacobian ?? []);
  return {
    value: join(
      sets.map((set) => set.value),
      [count, 2],
    ),
    jacobian: jacobians.length === sets.length ? join(jacobians, [count, 2, 2]) : null,
  };
}

/** N sets from [N, K, 2] and [N, K, 2, 2] tensors. */
export function tensorsToKeypoints({ value, jacobian }: Keypoints): KeypointSet[] {
  const values = value.toFloat32Array();
  const jacobians = jacobian?.toFloat32Array();
  const count = value.size(1);
  return Array.from({ length: value.size(0) }, (_, i) => ({
    value: values.slice(i * count * 2, (i + 1) * count * 2),
    jacobian: jacobians ? jacobians.slice(i * count * 4, (i + 1) * count * 4) : null,
  }));
}
