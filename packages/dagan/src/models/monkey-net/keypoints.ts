// Keypoints with covariance: how far, and along which way, the heatmap of each spreads tells the motion around it more than a
// point does (Siarohin et al., "Animating Arbitrary Objects via Deep Motion Transfer", CVPR 2019, Section 3.2).
import { F, nn, type Tensor, tidy } from '@dagan/libtorch';
import { coordinateGrid } from '../../tensors/grid.js';
import { exactly, matching } from '../../tensors/precision.js';
import { Hourglass, type HourglassConfig } from '../hourglass.js';

/** K keypoints of N pictures, each a Gaussian: (x, y), -1 and 1 at the centres of the outermost pixels. */
export type GaussianKeypoints = {
  mean: Tensor; // [N, K, 2]
  covariance: Tensor; // [N, K, 2, 2]
};

/** Pictures are seen at this scale, by every fourth pixel, without a blur before. */
export const MOTION_SCALE = 0.25;

/** Of the softmax over the heatmap; lower is sharper. */
const TEMPERATURE = 0.1;
/** Added to every place of the heatmap, which therefore sums to a little more than 1. */
const FLOOR = 1e-7;
/** No heatmap is narrower than this, as the smaller eigenvalue of its covariance. */
const LEAST_VARIANCE = 0.001;
/** Heatmaps of Gaussians are divided by this. */
const HEATMAP_SCALE = 100;

export class GaussianKeypointDetector extends nn.Module {
  readonly predictor: Hourglass;
  readonly heatmap: nn.Conv2d;

  constructor(config: HourglassConfig, numKeypoints: number) {
    super();
    this.predictor = new Hourglass(3, config);
    this.heatmap = new nn.Conv2d(this.predictor.outChannels, numKeypoints, 3, { padding: 1 });
  }

  /** Heatmaps of pictures [N, 3, H, W] in [0, 1], before their softmax: [N, K, H / 4, W / 4]. */
  logits(image: Tensor): Tensor {
    const features = this.predictor.forward(everyFourthPixel(image));
    return exactly(image, () => this.heatmap.forward(matching(features, this.heatmap)));
  }
}

/** [N, C, H, W] -> [N, C, H / 4, W / 4] */
export function everyFourthPixel(image: Tensor): Tensor {
  const size = [image.size(2) * MOTION_SCALE, image.size(3) * MOTION_SCALE] as const;
  return F.upsampleNearest(image, size);
}

/** Means and covariances of heatmaps [N, K, h, w], of which a softmax with temperature is taken. */
export const gaussianOf = (logits: Tensor): GaussianKeypoints => exactly(logits, () => momentsOf(logits));

function momentsOf(logits: Tensor): GaussianKeypoints {
  const [n, k, height, width] = logits.shape as [number, number, number, number];
  const heatmap = logits
    .reshape(n, k, height * width)
    .div(TEMPERATURE)
    .softmax(2)
    .add(FLOOR); // [N, K, h w]
  const grid = coordinateGrid(height, width, { dtype: heatmap.dtype, device: heatmap.device });
  const places = grid.reshape(height * width, 2);
  const mean = heatmap.matmul(places); // [N, K, 2]
  const offset = places.reshape(1, 1, -1, 2).sub(mean.unsqueeze(2)); // [N, K, h w, 2]
  const spread = offset.mul(heatmap.unsqueeze(3)).transpose(2, 3).matmul(offset); // [N, K, 2, 2]
  return { mean, covariance: atLeastWide(spread) };
}

/** Enlarges covariances [N, K, 2, 2] as a whole until their smaller eigenvalue is `LEAST_VARIANCE`. */
function atLeastWide(covariance: Tensor): Tensor {
  const [a, b, c, d] = covariance.flatten(2).unbind(2) as [Tensor, Tensor, Tensor, Tensor]; // each [N, K]
  const half = a.add(d).div(2);
  const root = a.sub(d).div(2).square().add(b.mul(c)).add(1e-20).sqrt(); // a gradient also where the heatmap is round
  const smaller = a.mul(d).sub(b.mul(c)).div(half.add(root)); // the determinant over the larger one, which cancels less
  const factor = smaller.clamp(LEAST_VARIANCE).div(smaller);
  return covariance.mul(factor.reshape(factor.size(0), factor.size(1), 1, 1));
}

/**
 * Heatmaps `exp(-(z - m)^T C^-1 (z - m) / 2) / 100` at every pixel z -> [N, K, height, width].
 */
export function gaussianHeatmaps({ mean, covariance }: GaussianKeypoints, [height, width]: readonly number[]): Tensor {
  return tidy(() => {
    const [n, k] = [mean.size(0), mean.size(1)];
    const grid = coordinateGrid(height!, width!, { dtype: mean.dtype, device: mean.device });
    const offset = grid.reshape(1, 1, -1, 2).sub(mean.reshape(n, k, 1, 2)); // [N, K, h w, 2]
    const distance = offset.matmul(covariance.inverse()).mul(offset).sum([3]); // [N, K, h w]
    return distance.mul(-0.5).exp().div(HEATMAP_SCALE).reshape(n, k, height!, width!);
  });
}
