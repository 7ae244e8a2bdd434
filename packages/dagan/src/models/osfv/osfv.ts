// OSFV: "One-Shot Free-View Neural Talking-Head Synthesis for Video Conferencing" (Wang, Mallya, Liu, CVPR 2021), as
// zhanglonghao1992 published it. Keypoints stand in space: a portrait's canonical ones, turned and bent by a driver's head.
import { nn, type Tensor } from '@dagan/libtorch';
import type { Keypoints } from '../../tensors/keypoint-set.js';
import type { MotionSpace } from '../../tensors/motion-space.js';
import type { AnimationModel, DrivingState, NamedTensorList, SourceState, SourceTensors } from '../animation-model.js';
import { type OsfvConfig, osfvSizeMultiple } from './config.js';
import { type EncodedVolume, type VolumeFrame, VolumeGenerator } from './generator.js';
import { type Head, HeadEstimator, keypointsOfHead } from './head-estimator.js';
import { CanonicalKeypointDetector, type SpaceKeypoints } from './keypoint-detector.js';
import { namedFrame, namedHead, namedKeypoints } from './seen.js';

const SPACE: MotionSpace = { dimensions: 3, matrices: 'jacobians' };

/** A portrait. */
export type OsfvSource = SourceState &
  EncodedVolume & {
    canonical: SpaceKeypoints;
    /** The portrait, [1, 3, H, W] in [0, 1], and its head, for inspection; an exported graph hands neither over. */
    seen: { image: Tensor; head: Head } | null;
  };

/** Driving frames. */
export type OsfvDriving = DrivingState & { head: Head };

export class Osfv extends nn.Module implements AnimationModel {
  readonly generator: VolumeGenerator;
  readonly keypointDetector: CanonicalKeypointDetector;
  readonly headEstimator: HeadEstimator;
  readonly config: OsfvConfig;

  constructor(config: OsfvConfig) {
    super();
    this.config = config;
    this.generator = new VolumeGenerator(config);
    this.keypointDetector = new CanonicalKeypointDetector(config);
    this.headEstimator = new HeadEstimator(config);
  }

  get motion(): MotionSpace {
    return SPACE;
  }

  get sizeMultiple(): number {
    return osfvSizeMultiple(this.config);
  }

  get keypointNames(): Readonly<Record<string, number>> {
    return {};
  }

  get depthNetwork(): null {
    return null;
  }

  get sourceTensors(): SourceTensors {
    return {
      tensorsOf: ({ volume, compressed, canonical: { value, jacobian } }: OsfvSource) => ({
        ...{ volume, compressed, canonical: value },
        ...(jacobian ? { canonical_jacobians: jacobian } : {}),
      }),
      sourceOf: ({ volume, compressed, canonical, canonical_jacobians: jacobian }, keypoints): OsfvSource => ({
        ...{ volume: volume!, compressed: compressed!, keypoints, disparity: null, seen: null },
        canonical: { value: canonical!, jacobian: jacobian ?? null },
      }),
    };
  }

  source(image: Tensor): OsfvSource {
    const canonical = this.keypointDetector.forward(image);
    const head = this.headEstimator.forward(image);
    const keypoints = standing(canonical, head);
    return { ...this.generator.encodeSource(image), canonical, keypoints, disparity: null, seen: { image, head } };
  }

  /** The driver's heads with the portrait's canonical keypoints, or where there is none with each frame's own. */
  driving(images: Tensor, source: OsfvSource | null): OsfvDriving {
    const head = this.headEstimator.forward(images);
    const canonical = source?.canonical ?? this.keypointDetector.forward(images);
    return { head, keypoints: standing(canonical, head), disparity: null };
  }

  generate(source: OsfvSource, driving: Keypoints): VolumeFrame {
    return this.generator.forward(source, driving, source.keypoints);
  }

  attention(): null {
    return null;
  }

  seen(source: OsfvSource, driving: OsfvDriving | null, frame: VolumeFrame): NamedTensorList {
    const { image, head } = source.seen!;
    return [
      ...namedKeypoints(this.keypointDetector.look(image)),
      ...namedHead('he_source', head),
      ...(driving ? namedHead('he_driving', driving.head) : []),
      ...namedFrame(this.generator, source, frame),
    ];
  }

  /**
   * The hourglass and the decoder compute in 16 bits. In float32 stay what becomes coordinates or masks, the volume that is sampled
   * between its cells, and the SPADE decoder, whose normalisation by its own features carries rounding on.
   */
  lowerPrecision(dtype: 'bfloat16'): void {
    const { denseMotionNetwork, third, fourth, decoder } = this.generator;
    const parts = [
      denseMotionNetwork.hourglass,
      third,
      fourth,
      ...(this.config.generator.decoder === 'spade' ? [] : [decoder]),
    ];
    for (const part of parts) part.to({ dtype });
  }
}

/** Keypoints as a head has them, with the head. */
function standing(canonical: SpaceKeypoints, head: Head): Keypoints {
  const { value, jacobian } = keypointsOfHead(canonical, head);
  const shared = canonical.value.expand(value.size(0), value.size(1), 3).contiguous();
  return { value, jacobian, head: { canonical: shared, angles: head.angles } };
}
