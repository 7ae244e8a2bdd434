// Depth-guided keypoint detection (Section 3.3, Eq. 6): picture and disparity -> K keypoints and their jacobians.
import { cat, nn, type Tensor, tidy } from '@dagan/libtorch';
import { coordinateGrid } from '../tensors/grid.js';
import type { Keypoints } from '../tensors/keypoint-set.js';
import { exactly, matching } from '../tensors/precision.js';
import { AntiAliasDownsample } from './anti-alias.js';
import { Hourglass, type HourglassConfig } from './hourglass.js';

export type KeypointDetectorConfig = HourglassConfig & {
  /** Of the softmax over the heatmap; lower is sharper. */
  temperature: number;
  /** The hourglass sees the picture at this scale. */
  scaleFactor: number;
};

export type KeypointDetectorOptions = {
  numKeypoints: number;
  /** Whether local affine maps (jacobians) are predicted beside the positions. */
  estimateJacobian: boolean;
  /** Whether the disparity is given beside the picture; without, this is the first-order model's detector. */
  depthGuided: boolean;
};

const KERNEL = 7;

export class KeypointDetector extends nn.Module {
  readonly predictor: Hourglass;
  readonly kp: nn.Conv2d;
  readonly jacobian: nn.Conv2d | null;
  readonly down: AntiAliasDownsample | null;
  readonly depthGuided: boolean;
  readonly #temperature: number;

  constructor(
    config: KeypointDetectorConfig,
    { numKeypoints, estimateJacobian, depthGuided }: KeypointDetectorOptions,
  ) {
    super();
    const channels = depthGuided ? 4 : 3;
    this.depthGuided = depthGuided;
    this.predictor = new Hourglass(channels, config);
    this.kp = new nn.Conv2d(this.predictor.outChannels, numKeypoints, KERNEL);
    this.jacobian = estimateJacobian ? new nn.Conv2d(this.predictor.outChannels, 4 * numKeypoints, KERNEL) : null;
    if (this.jacobian) startFromIdentity(this.jacobian, numKeypoints);
    this.down = config.scaleFactor === 1 ? null : new AntiAliasDownsample(channels, config.scaleFactor);
    this.#temperature = config.temperature;
  }

  /**
   * @param image [N, 3, H, W] in [0, 1]
   * @param disparity [N, 1, H, W]; ignored by a detector that is not depth-guided
   */
  forward(image: Tensor, disparity: Tensor | null): Keypoints {
    const input = this.depthGuided ? cat([image, needDisparity(disparity)], 1) : image; // [N, 4, H, W]
    const features = this.predictor.forward(this.down ? this.down.forward(input) : input); // [N, C, h, w]
    // Where a keypoint is must be exact. The map of jacobians, most of the work, may be in 16 bits: it is averaged.
    const jacobians = this.jacobian?.forward(features) ?? null; // [N, 4 K, h', w'], h' = h - 6
    return exactly(image, () => this.#keypoints(matching(features, this.kp), jacobians));
  }

  /** Features [N, C, h, w] and map of jacobians -> keypoints. */
  #keypoints(features: Tensor, jacobians: Tensor | null): Keypoints {
    const logits = this.kp.forward(features); // [N, K, h', w']
    const [n, k, height, width] = logits.shape as [number, number, number, number];
    const heatmap = logits
      .reshape(n, k, height * width)
      .div(this.#temperature)
      .softmax(2); // [N, K, h' w']
    const grid = coordinateGrid(height, width, heatmap).reshape(height * width, 2);
    const value = heatmap.matmul(grid); // [N, K, 2]
    return { value, jacobian: jacobians && expectedJacobian(jacobians.to({ dtype: heatmap.dtype }), heatmap) };
  }
}

/** Averages a map of 2x2 matrices [N, 4 K, h, w] with the heatmaps as weights -> [N, K, 2, 2]. */
function expectedJacobian(map: Tensor, heatmap: Tensor): Tensor {
  const [n, k, positions] = heatmap.shape as [number, number, number];
  const weighted = map.reshape(n, k, 4, positions).mul(heatmap.unsqueeze(2));
  return weighted.sum([3]).reshape(n, k, 2, 2);
}

/** Untrained jacobians are the identity. */
function startFromIdentity(conv: nn.Conv2d, numKeypoints: number): void {
  tidy(() => {
    conv.weight.detach().zero_();
    const bias = conv.bias!.detach().zero_().reshape(numKeypoints, 4);
    bias.select(1, 0).fill_(1);
    bias.select(1, 3).fill_(1);
  });
}

function needDisparity(disparity: Tensor | null): Tensor {
  if (!disparity) throw new TypeError('a depth-guided keypoint detector needs the disparity');
  return disparity;
}
