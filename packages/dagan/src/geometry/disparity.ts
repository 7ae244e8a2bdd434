// From the depth network's disparity to depth (Section 3.2 of the paper, Eq. 1, with monodepth2's range).
import type { Tensor } from '@dagan/libtorch';
import { widened } from '../tensors/precision.js';

export type DepthRange = {
  /** Depth where the disparity is 1. */
  minDepth?: number;
  /** Depth where the disparity is 0. */
  maxDepth?: number;
};

/**
 * Depth of a sigmoid disparity: `1 / (1 / max + (1 / min - 1 / max) disparity)`, between `minDepth` and `maxDepth`.
 * The unit is arbitrary, as nothing in a video tells its scale.
 *
 * @param disparity any shape, in [0, 1]
 */
export function disparityToDepth(disparity: Tensor, { minDepth = 0.1, maxDepth = 100 }: DepthRange = {}): Tensor {
  const [far, near] = [1 / maxDepth, 1 / minDepth];
  return widened(disparity)
    .mul(near - far)
    .add(far)
    .reciprocal();
}

/** The same of one number, in plain memory. */
export function depthOfDisparity(disparity: number, { minDepth = 0.1, maxDepth = 100 }: DepthRange = {}): number {
  const [far, near] = [1 / maxDepth, 1 / minDepth];
  return 1 / (disparity * (near - far) + far);
}
