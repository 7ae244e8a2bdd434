// Dense motion in space (Wang et al. 2021, Section 3.2): keypoint pairs -> flows -> one flow of the feature volume and an
// occlusion map.
import { cat, F, nn, type Tensor } from '@dagan/libtorch';
import { coordinateVolume } from '../../tensors/grid.js';
import { exactly } from '../../tensors/precision.js';
import type { OsfvConfig } from './config.js';
import type { SpaceKeypoints } from './keypoint-detector.js';
import { VolumeHourglass } from './volume-blocks.js';

/** What the network found. */
export type SpaceMotion = {
  /** Per part, the background first: heatmap difference, then the moved compressed features, [N, 5 (K + 1), D, h, w]. */
  input: Tensor;
  /** What the hourglass makes of it, [N, C, D, h, w]. */
  features: Tensor;
  /** How much each flow counts, [N, K + 1, D, h, w]; sums to 1 over K + 1. */
  mask: Tensor;
  /** Where each driving place comes from in the source volume, (x, y, z) in [-1, 1], [N, D, h, w, 3]. */
  deformation: Tensor;
  /** 1 where the moved features can be used, 0 where they must be painted anew, [N, 1, h, w]. */
  occlusionMap: Tensor;
};

const KERNEL = 7;
const PADDING = 3;

export class SpaceMotionNetwork extends nn.Module {
  readonly hourglass: VolumeHourglass;
  readonly mask: nn.Conv3d;
  readonly compress: nn.Conv3d;
  readonly norm: nn.BatchNorm2d;
  readonly occlusion: nn.Conv2d;
  readonly #variance: number;

  constructor({ numKeypoints, depth, generator: { volumeChannels, denseMotion } }: OsfvConfig) {
    super();
    const motions = numKeypoints + 1;
    this.hourglass = new VolumeHourglass(motions * (denseMotion.compress + 1), denseMotion);
    this.mask = new nn.Conv3d(this.hourglass.outChannels, motions, KERNEL, { padding: PADDING });
    this.compress = new nn.Conv3d(volumeChannels, denseMotion.compress, 1);
    this.norm = new nn.BatchNorm2d(denseMotion.compress);
    this.occlusion = new nn.Conv2d(this.hourglass.outChannels * depth, 1, KERNEL, { padding: PADDING });
    this.#variance = denseMotion.keypointVariance;
  }

  /** Rearranges the compression for use without training. */
  fuse(): void {
    this.norm.foldInto(this.compress);
  }

  /** The feature volume as this network sees it, [N, C, D, h, w] -> [N, C', D, h, w]. It depends on the source alone. */
  shrink(volume: Tensor): Tensor {
    return this.norm.forward(this.compress.forward(volume)).relu();
  }

  /** @param compressed the result of `shrink`; one source may serve a whole batch of keypoints */
  forward(compressed: Tensor, driving: SpaceKeypoints, source: SpaceKeypoints): SpaceMotion {
    const [n, k] = driving.value.shape as [number, number];
    const [channels, depth, height, width] = compressed.shape.slice(1) as [number, number, number, number];
    const size = [depth, height, width] as const;
    const motions = exactly(compressed, () => spaceMotions(driving, source, size)); // [N, K + 1, D, h, w, 3]
    const heatmaps = exactly(compressed, () => {
      const near = [driving, source].map(({ value }) => keypointVolumes(value, size, this.#variance));
      const difference = near[0]!.sub(near[1]!); // [N, K, D, h, w]
      return cat([difference.narrow(1, 0, 1).mul(0), difference], 1); // [N, K + 1, D, h, w]
    });
    const repeated = compressed
      .unsqueeze(1)
      .expand(n, k + 1, channels, depth, height, width)
      .reshape(-1, channels, depth, height, width);
    const moved = F.gridSample(repeated, motions.reshape(-1, depth, height, width, 3)) // [N (K + 1), C', D, h, w]
      .reshape(n, k + 1, channels, depth, height, width);
    const input = cat([heatmaps.unsqueeze(2), moved], 2).flatten(1, 2); // [N, (K + 1) (C' + 1), D, h, w]
    const features = this.hourglass.forward(input).to({ dtype: this.mask.weight.dtype });
    return exactly(features, () => {
      const mask = this.mask.forward(features).softmax(1); // [N, K + 1, D, h, w]
      const deformation = motions.mul(mask.unsqueeze(5)).sum([1]); // [N, D, h, w, 3]
      const occlusionMap = this.occlusion.forward(features.flatten(1, 2)).sigmoid(); // [N, 1, h, w]
      return { input, features, mask, deformation, occlusionMap };
    });
  }
}

type VolumeSize = readonly [depth: number, height: number, width: number];

/** Heatmaps of keypoints in space: [N, K, 3] -> [N, K, D, h, w]; see `keypointsToGaussian`. */
function keypointVolumes(value: Tensor, [depth, height, width]: VolumeSize, variance: number): Tensor {
  const [n, k] = value.shape as [number, number];
  const grid = coordinateVolume(depth, height, width, value).view(1, 1, depth, height, width, 3);
  return grid
    .sub(value.view(n, k, 1, 1, 1, 3))
    .square()
    .sum([-1])
    .mul(-0.5 / variance)
    .exp();
}

/**
 * Flow around every keypoint, driving -> source, with the identity for the background first: [N, K + 1, D, h, w, 3].
 * T(z) = p_s + z - p_d; with jacobians T(z) = p_s + J_s J_d^-1 (z - p_d).
 */
function spaceMotions(driving: SpaceKeypoints, source: SpaceKeypoints, [depth, height, width]: VolumeSize): Tensor {
  const [n, k] = driving.value.shape as [number, number];
  const grid = coordinateVolume(depth, height, width, driving.value).reshape(1, 1, -1, 3); // [1, 1, D h w, 3]
  let relative = grid.sub(driving.value.unsqueeze(2)); // [N, K, D h w, 3]
  if (driving.jacobian && source.jacobian) {
    const linear = source.jacobian.matmul(driving.jacobian.inverse()); // [N, K, 3, 3]
    relative = relative.matmul(linear.transpose(2, 3));
  }
  const moved = relative.add(source.value.unsqueeze(2));
  return cat([grid.expand(n, 1, depth * height * width, 3), moved], 1).reshape(n, k + 1, depth, height, width, 3);
}
