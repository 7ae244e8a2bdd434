// The whole model: face depth, keypoints and generator, with the three steps in which it animates.
import { nn, type Tensor } from '@dagan/libtorch';
import type { Keypoints } from '../tensors/keypoint-set.js';
import { PLANE } from '../tensors/motion-space.js';
import type { AnimationModel, AttentionMaps, NamedTensorList } from './animation-model.js';
import { type ModelConfig, refiningKeypoints, sizeMultiple } from './config/config.js';
import { DepthNetwork } from './depth-network.js';
import { type EncodedSource, type Generated, Generator } from './generator.js';
import { KeypointDetector } from './keypoint-detector.js';
import { SpadeDecoder } from './spade-decoder.js';

/** What is computed once per portrait. */
export type SourceState = EncodedSource & { keypoints: Keypoints; disparity: Tensor | null };

/** What is computed once per driving frame. */
export type DrivingState = { keypoints: Keypoints; disparity: Tensor | null };

export class DaGAN extends nn.Module implements AnimationModel {
  readonly generator: Generator;
  readonly keypointDetector: KeypointDetector;
  readonly depthNetwork: DepthNetwork | null;
  readonly config: ModelConfig;

  constructor(config: ModelConfig) {
    super();
    this.config = config;
    const refining = refiningKeypoints(config);
    this.generator = new Generator(config.generator, config.numKeypoints, refining);
    this.keypointDetector = new KeypointDetector(config.keypointDetector, {
      numKeypoints: config.numKeypoints,
      withJacobians: config.estimateJacobian ? config.numKeypoints - refining : 0,
      depthGuided: config.depthGuidedKeypoints,
    });
    this.depthNetwork = config.depth ? new DepthNetwork(config.depth) : null;
  }

  get motion(): typeof PLANE {
    return PLANE;
  }

  get sizeMultiple(): number {
    return sizeMultiple(this.config);
  }

  get keypointNames(): Readonly<Record<string, number>> {
    return this.config.semanticKeypoints ?? {};
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

  attention({ query }: SourceState, { warpedFeatures }: Generated): AttentionMaps | null {
    const { attention } = this.generator;
    if (!attention || !query) return null;
    const [height, width] = warpedFeatures.shape.slice(2) as [number, number];
    return { width, height, query, key: attention.key(warpedFeatures) };
  }

  /** Whole features; `dagan inspect` keeps every 8th channel. */
  seen(source: SourceState, _driving: DrivingState | null, frame: Generated): NamedTensorList {
    const pyramid = this.depthNetwork?.pyramid(source.image) ?? [];
    return [
      ...pyramid.slice(1).map((disparity, i) => [`source_disp${i + 1}`, disparity] as const),
      ['mask', frame.mask],
      ['sparse_deformed', frame.sparseDeformed],
      ['deformation', frame.deformation],
      ['occlusion_map', frame.occlusionMap],
      ['source_feature', source.features],
      ['warped_feature', frame.warpedFeatures],
      ['refined_feature', frame.refinedFeatures],
      ['deformed', frame.deformed],
      ['kept_pixels', frame.keptPixels],
      ['prediction', frame.prediction],
    ];
  }

  /**
   * The generator computes in 16 bits, which is most of the work. In float32 stay the depth network and the keypoint detector,
   * because a face trembles if its keypoints do; whatever turns into coordinates; and the SPADE decoder, whose normalisation by its
   * own features carries rounding on from block to block (measured: 37 dB against float32, where the residual decoder keeps 50).
   */
  lowerPrecision(dtype: 'bfloat16'): void {
    const { generator } = this;
    generator.to({ dtype });
    const { down, mask, occlusion } = generator.denseMotionNetwork;
    const exact = [down, mask, occlusion, ...(generator.decoder instanceof SpadeDecoder ? [generator.decoder] : [])];
    for (const part of exact) part?.to({ dtype: 'float32' });
  }
}
