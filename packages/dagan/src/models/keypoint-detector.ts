// Depth-guided keypoint detection (Section 3.3, Eq. 6): picture and disparity -> K keypoints and their jacobians.
import { cat, eye, F, isTracing, nn, type Tensor, tidy } from '@dagan/libtorch';
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
  /** Of how many keypoints, the last ones, local affine maps (jacobians) are predicted beside the positions; those of others are the identity. */
  withJacobians: number;
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
  readonly #withJacobians: number;

  constructor(config: KeypointDetectorConfig, { numKeypoints, withJacobians, depthGuided }: KeypointDetectorOptions) {
    super();
    const channels = depthGuided ? 4 : 3;
    this.depthGuided = depthGuided;
    this.predictor = new Hourglass(channels, config);
    this.kp = new nn.Conv2d(this.predictor.outChannels, numKeypoints, KERNEL);
    this.jacobian = withJacobians > 0 ? new nn.Conv2d(this.predictor.outChannels, 4 * withJacobians, KERNEL) : null;
    if (this.jacobian) startFromIdentity(this.jacobian, withJacobians);
    this.down = config.scaleFactor === 1 ? null : new AntiAliasDownsample(channels, config.scaleFactor);
    this.#temperature = config.temperature;
    this.#withJacobians = withJacobians;
  }

  /**
   * @param image [N, 3, H, W] in [0, 1]
   * @param disparity [N, 1, H, W]; ignored by a detector that is not depth-guided
   */
  forward(image: Tensor, disparity: Tensor | null): Keypoints {
    const input = this.depthGuided ? cat([image, needDisparity(disparity)], 1) : image; // [N, 4, H, W]
    const features = this.predictor.forward(this.down ? this.down.forward(input) : input); // [N, C, h, w]
    // Where a keypoint is must be exact. The map of jacobians, most of the work, may be in 16 bits: it is averaged.
    if (!this.jacobian || (this.kp.training && !isTracing()))
      return exactly(image, () => this.#keypoints(...this.#heads(features)));
    const jacobians = this.jacobian.forward(features); // [N, 4 J, h', w'], h' = h - 6
    return exactly(image, () => this.#keypoints(this.kp.forward(matching(features, this.kp)), jacobians));
  }

  /**
   * Features [N, C, h, w] -> maps of keypoints [N, K, h', w'] and jacobians [N, 4 J, h', w']. In training both come of one convolution,
   * which prepares the features once.
   */
  #heads(features: Tensor): [logits: Tensor, jacobians: Tensor | null] {
    const { kp, jacobian } = this;
    const exact = matching(features, kp);
    if (!jacobian) return [kp.forward(exact), null];
    const both = F.trainingConv2d(exact, cat([kp.weight, jacobian.weight]), cat([kp.bias!, jacobian.bias!]));
    const keypoints = kp.weight.size(0);
    return [both.narrow(1, 0, keypoints), both.narrow(1, keypoints, jacobian.weight.size(0))];
  }

  #keypoints(logits: Tensor, jacobians: Tensor | null): Keypoints {
    const [n, k, height, width] = logits.shape as [number, number, number, number];
    const heatmap = logits
      .reshape(n, k, height * width)
      .div(this.#temperature)
      .softmax(2); // [N, K, h' w']
    const grid = coordinateGrid(height, width, heatmap).reshape(height * width, 2);
    const value = heatmap.matmul(grid); // [N, K, 2]
    if (!jacobians) return { value, jacobian: null };
    const map = jacobians.to({ dtype: heatmap.dtype });
    const without = k - this.#withJacobians;
    const found = expectedJacobian(map, heatmap.narrow(1, without, this.#withJacobians)); // [N, J, 2, 2]
    if (without === 0) return { value, jacobian: found };
    const identity = eye(2, { dtype: found.dtype, device: found.device }).expand(n, without, 2, 2);
    return { value, jacobian: cat([identity, found], 1) };
  }
}

/** Averages a map of 2x2 matrices [N, 4 J, h, w] with heatmaps [N, J, h w] as weights -> [N, J, 2, 2]. */
function expectedJacobian(map: Tensor, heatmap: Tensor): Tensor {
  const [n, j, positions] = heatmap.shape as [number, number, number];
  const weighted = map.reshape(n, j, 4, positions).mul(heatmap.unsqueeze(2));
  return weighted.sum([3]).reshape(n, j, 2, 2);
}

/** Untrained jacobians are the identity. */
function startFromIdentity(conv: nn.Conv2d, count: number): void {
  tidy(() => {
    conv.weight.detach().zero_();
    const bias = conv.bias!.detach().zero_().reshape(count, 4);
    bias.select(1, 0).fill_(1);
    bias.select(1, 3).fill_(1);
  });
}

function needDisparity(disparity: Tensor | null): Tensor {
  if (!disparity) throw new TypeError('a depth-guided keypoint detector needs the disparity');
  return disparity;
}
