// Canonical keypoints (Wang et al., "One-Shot Free-View Neural Talking-Head Synthesis", CVPR 2021, Section 3.1): where the
// portrait's keypoints would be in space if the head faced the camera without expression.
import { nn, type Tensor } from '@dagan/libtorch';
import { coordinateVolume } from '../../tensors/grid.js';
import { exactly } from '../../tensors/precision.js';
import { AntiAliasDownsample } from '../anti-alias.js';
import { DownBlock } from '../blocks.js';
import type { OsfvConfig } from './config.js';
import { VolumeUpBlock } from './volume-blocks.js';

/** Keypoints in space: x to the right, y down, z away from the camera, -1 and 1 at the outermost cells' centres. */
export type SpaceKeypoints = {
  value: Tensor; // [N, K, 3]
  jacobian: Tensor | null; // [N, K, 3, 3]
};

/** Pictures down to a few pixels, then a volume up again. */
class Predictor extends nn.Module {
  readonly downBlocks: nn.ModuleList<DownBlock>;
  readonly conv: nn.Conv2d;
  readonly upBlocks: nn.ModuleList<VolumeUpBlock>;
  readonly outChannels: number;
  readonly #depth: number;

  constructor({ keypointDetector: { blockExpansion, maxFeatures, numBlocks }, depth }: OsfvConfig) {
    super();
    const width = (level: number) => Math.min(maxFeatures, blockExpansion * 2 ** level);
    this.downBlocks = new nn.ModuleList(
      Array.from({ length: numBlocks }, (_, i) => new DownBlock(i === 0 ? 3 : width(i), width(i + 1))),
    );
    this.conv = new nn.Conv2d(width(numBlocks), width(numBlocks) * depth, 1);
    this.upBlocks = new nn.ModuleList(
      Array.from({ length: numBlocks }, (_, i) => new VolumeUpBlock(width(numBlocks - i), width(numBlocks - i - 1))),
    );
    this.outChannels = width(0);
    this.#depth = depth;
  }

  /** The deepest features, [N, C D, h, w]. */
  deepest(x: Tensor): Tensor {
    for (const block of this.downBlocks) x = block.forward(x);
    return this.conv.forward(x);
  }

  /** The deepest features -> [N, C', D, H, W]. */
  rise(deepest: Tensor): Tensor {
    const [n, channels, height, width] = deepest.shape as [number, number, number, number];
    let volume = deepest.reshape(n, channels / this.#depth, this.#depth, height, width);
    for (const block of this.upBlocks) volume = block.forward(volume);
    return volume;
  }
}

export class CanonicalKeypointDetector extends nn.Module {
  readonly predictor: Predictor;
  readonly kp: nn.Conv3d;
  readonly jacobian: nn.Conv3d | null;
  readonly down: AntiAliasDownsample | null;
  readonly #temperature: number;

  constructor(config: OsfvConfig) {
    super();
    const { numKeypoints, estimateJacobian, keypointDetector } = config;
    this.predictor = new Predictor(config);
    this.kp = new nn.Conv3d(this.predictor.outChannels, numKeypoints, 3, { padding: 1 });
    this.jacobian = estimateJacobian
      ? new nn.Conv3d(this.predictor.outChannels, 9 * numKeypoints, 3, { padding: 1 })
      : null;
    this.down = keypointDetector.scaleFactor === 1 ? null : new AntiAliasDownsample(3, keypointDetector.scaleFactor);
    this.#temperature = keypointDetector.temperature;
  }

  /** @param image [N, 3, H, W] in [0, 1] */
  forward(image: Tensor): SpaceKeypoints {
    return exactly(image, () => this.look(image).keypoints);
  }

  /** The same with what is seen on the way, for `dagan inspect`. */
  look(image: Tensor): { down: Tensor; deepest: Tensor; logits: Tensor; keypoints: SpaceKeypoints } {
    const down = this.down ? this.down.forward(image) : image; // [N, 3, h, w]
    const deepest = this.predictor.deepest(down);
    const features = this.predictor.rise(deepest); // [N, C, D, h, w]
    const logits = this.kp.forward(features); // [N, K, D, h, w]
    const heatmap = logits.flatten(2).div(this.#temperature).softmax(2); // [N, K, D h w]
    const [n, k, depth, height, width] = logits.shape as [number, number, number, number, number];
    const grid = coordinateVolume(depth, height, width, heatmap).reshape(-1, 3); // [D h w, 3]
    const map = this.jacobian?.forward(features).reshape(n, k, 9, -1); // [N, K, 9, D h w]
    const jacobian = map?.mul(heatmap.unsqueeze(2)).sum([3]).reshape(n, k, 3, 3) ?? null;
    return { down, deepest, logits, keypoints: { value: heatmap.matmul(grid), jacobian } };
  }
}
