// The whole model: face depth, keypoints and generator, with the three steps in which it animates.
import { nn, type Tensor } from '@dagan/libtorch';
import type { Keypoints } from '../tensors/keypoint-set.js';
import type { ModelConfig } from './config/config.js';
import { DepthNetwork } from './depth-network.js';
import { type EncodedSource, type Generated, Generator } from './generator.js';
import { KeypointDetector } from './keypoint-detector.js';

/** What is computed once per portrait. */
export type SourceState = EncodedSource & { keypoints: Keypoints; disparity: Tensor | null };

/** What is computed once per driving frame. */
export type DrivingState = { keypoints: Keypoints; disparity: Tensor | null };

export class DaGAN extends nn.Module {
  readonly generator: Generator;
  readonly keypointDetector: KeypointDetector;
  readonly depthNetwork: DepthNetwork | null;
  readonly config: ModelConfig;

  constructor(config: ModelConfig) {
    super();
    this.config = config;
    this.generator = new Generator(config.generator, config.numKeypoints);
    this.keypointDetector = new KeypointDetector(config.keypointDetector, {
      numKeypoints: config.numKeypoints,
      estimateJacobian: config.estimateJacobian,
      depthGuided: config.depthGuidedKeypoints,
    });
    this.depthNetwork = config.depth ? new DepthNetwork(config.depth) : null;
  }

  /** The portrait's side: depth, keypoints, features and attention query. @param image [1, 3, H, W] in [0, 1] */
  source(image: Tensor): SourceState {
    const { keypoints, disparity } = this.driving(image);
    const sourceDisparity = disparity ?? this.depthNetwork?.forward(image) ?? null;
    return { ...this.generator.encodeSource(image, sourceDisparity), keypoints, disparity: sourceDisparity };
  }

  /** Keypoints of frames [N, 3, H, W] in [0, 1]; the depth of a driving frame serves the keypoints alone. */
  driving(image: Tensor): DrivingState {
    const disparity = this.config.depthGuidedKeypoints && this.depthNetwork ? this.depthNetwork.forward(image) : null;
    return { keypoints: this.keypointDetector.forward(image, disparity), disparity };
  }

  /** Frames for driving keypoints that have been transferred to the source. */
  generate(source: SourceState, driving: Keypoints): Generated {
    return this.generator.forward(source, driving, source.keypoints);
  }
}
