// Dense motion (Section 3.3, Eq. 7-8): keypoint pairs -> sparse motions -> one motion field and an occlusion map.
import { cat, F, nn, type Tensor } from '@dagan/libtorch';
import { coordinateGrid } from '../tensors/grid.js';
import type { Keypoints } from '../tensors/keypoint-set.js';
import { exactly, matching } from '../tensors/precision.js';
import { AntiAliasDownsample } from './anti-alias.js';
import { Hourglass, type HourglassConfig } from './hourglass.js';
import { keypointsToGaussian } from './keypoints.js';

export type DenseMotionConfig = HourglassConfig & {
  /** The motion field is computed at this scale of the picture. */
  scaleFactor: number;
  /** Variance of the keypoints' heatmaps, in units of the [-1, 1] square. */
  keypointVariance: number;
  /**
   * Whether pictures and features are sampled on the grid that motion is built on, whose corners are the centres of the
   * outermost pixels, so that no motion moves nothing. Default false: the published models sample as if the corners were
   * edges, which shrinks what is moved by a 64th, and have learned it.
   */
  alignCorners?: boolean;
};

/** What the network found, with the pictures behind it. */
export type DenseMotion = {
  /** Motion mask: how much each sparse motion counts, the background first, [N, K + 1, h, w]; sums to 1 over K + 1. */
  mask: Tensor;
  /** The source moved by each sparse motion, [N, K + 1, 3, h, w]. */
  sparseDeformed: Tensor;
  /** Where each driving position comes from in the source, (x, y) in [-1, 1], [N, h, w, 2]. */
  deformation: Tensor;
  /** 1 where the warped source can be used, 0 where it must be painted anew, [N, 1, h, w]; null if not estimated. */
  occlusionMap: Tensor | null;
};

const KERNEL = 7;

export class DenseMotionNetwork extends nn.Module {
  readonly hourglass: Hourglass;
  readonly mask: nn.Conv2d;
  readonly occlusion: nn.Conv2d | null;
  readonly down: AntiAliasDownsample | null;
  readonly #variance: number;
  readonly #alignCorners: boolean;

  constructor(config: DenseMotionConfig, { numKeypoints, estimateOcclusionMap }: DenseMotionOptions) {
    super();
    const motions = numKeypoints + 1;
    this.hourglass = new Hourglass(motions * (3 + 1), config);
    const same = { padding: (KERNEL - 1) / 2 };
    this.mask = new nn.Conv2d(this.hourglass.outChannels, motions, KERNEL, same);
    this.occlusion = estimateOcclusionMap ? new nn.Conv2d(this.hourglass.outChannels, 1, KERNEL, same) : null;
    this.down = config.scaleFactor === 1 ? null : new AntiAliasDownsample(3, config.scaleFactor);
    this.#variance = config.keypointVariance;
    this.#alignCorners = config.alignCorners ?? false;
  }

  /** The source as this network sees it, [N, 3, H, W] -> [N, 3, h, w]. It depends on the source alone. */
  shrink(source: Tensor): Tensor {
    return this.down ? this.down.forward(source) : source;
  }

  /**
   * @param smallSource the result of `shrink`; one source may serve a whole batch of keypoints
   */
  forward(smallSource: Tensor, driving: Keypoints, source: Keypoints): DenseMotion {
    const [n, k] = driving.value.shape as [number, number, number];
    const [height, width] = [smallSource.size(2), smallSource.size(3)];
    const motions = exactly(smallSource, () => sparseMotions(driving, source, height, width)); // [N, K + 1, h, w, 2]
    const heatmaps = this.#heatmapDifferences(driving, source, height, width); // [N, K + 1, 1, h, w]
    const repeated = smallSource
      .unsqueeze(1)
      .expand(n, k + 1, 3, height, width)
      .reshape(-1, 3, height, width);
    const places = motions.reshape(-1, height, width, 2); // [N (K + 1), h, w, 2]
    const sparseDeformed = F.gridSample(repeated, places, { alignCorners: this.#alignCorners }) // [N (K + 1), 3, h, w]
      .reshape(n, k + 1, 3, height, width);
    const input = cat([heatmaps, sparseDeformed], 2).reshape(n, -1, height, width); // [N, 4 (K + 1), h, w]
    const features = matching(this.hourglass.forward(input), this.mask);
    return exactly(features, () => {
      const mask = this.mask.forward(features).softmax(1); // [N, K + 1, h, w]
      const deformation = motions.mul(mask.unsqueeze(4)).sum([1]); // [N, h, w, 2]
      const occlusionMap = this.occlusion ? this.occlusion.forward(features).sigmoid() : null; // [N, 1, h, w]
      return { mask, sparseDeformed, deformation, occlusionMap };
    });
  }

  /** Driving minus source heatmaps, with an empty one for the background: [N, K + 1, 1, h, w]. */
  #heatmapDifferences(driving: Keypoints, source: Keypoints, height: number, width: number): Tensor {
    const size = [height, width] as const;
    const difference = keypointsToGaussian(driving, size, this.#variance).sub(
      keypointsToGaussian(source, size, this.#variance),
    ); // [N, K, h, w]
    const background = difference.narrow(1, 0, 1).mul(0);
    return cat([background, difference], 1).unsqueeze(2);
  }
}

export type DenseMotionOptions = { numKeypoints: number; estimateOcclusionMap: boolean };

/**
 * Motion around every keypoint, driving -> source, with the identity for the background first: [N, K + 1, h, w, 2].
 * First order: T(z) = p_s + J_s J_d^-1 (z - p_d); without jacobians this is the paper's offset p_s - p_d (Eq. 7).
 */
export function sparseMotions(driving: Keypoints, source: Keypoints, height: number, width: number): Tensor {
  const [n, k] = driving.value.shape as [number, number, number];
  const grid = coordinateGrid(height, width, driving.value).reshape(1, 1, height, width, 2);
  const centre = (points: Tensor): Tensor => points.reshape(-1, k, 1, 1, 2);
  let relative = grid.sub(centre(driving.value)); // [N, K, h, w, 2]
  if (driving.jacobian && source.jacobian) {
    const linear = source.jacobian.matmul(driving.jacobian.inverse()); // [N, K, 2, 2]
    // Row vectors: z J^T, as one small matrix product per keypoint.
    relative = relative
      .reshape(n, k, height * width, 2)
      .matmul(linear.transpose(2, 3))
      .reshape(n, k, height, width, 2);
  }
  const moved = relative.add(centre(source.value));
  return cat([grid.expand(n, 1, height, width, 2), moved], 1);
}
