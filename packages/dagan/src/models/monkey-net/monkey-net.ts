// Monkey-Net (Siarohin, Lathuilière, Tulyakov, Ricci and Sebe, "Animating Arbitrary Objects via Deep Motion Transfer", CVPR
// 2019): the ancestor of the first-order model and of DaGAN.
import { cat, nn, type Tensor } from '@dagan/libtorch';
import type { Keypoints } from '../../tensors/keypoint-set.js';
import type { MotionSpace } from '../../tensors/motion-space.js';
import { thinned } from '../../tensors/thinned.js';
import type { AnimationModel, SourceTensors } from '../animation-model.js';
import type { HourglassConfig } from '../hourglass.js';
import { type MonkeyEncoded, type MonkeyFrame, MonkeyGenerator, type MonkeyGeneratorConfig } from './generator.js';
import { GaussianKeypointDetector, type GaussianKeypoints, gaussianOf, MOTION_SCALE } from './keypoints.js';

export type MonkeyNetConfig = {
  system: 'monkey-net';
  numKeypoints: number;
  keypointDetector: HourglassConfig;
  generator: MonkeyGeneratorConfig;
};

const HOURGLASS: HourglassConfig = { blockExpansion: 32, maxFeatures: 1024, numBlocks: 5 };

/** The published configuration for faces of 256 x 256. */
export const MONKEY_NET_PUBLISHED: MonkeyNetConfig = {
  system: 'monkey-net',
  numKeypoints: 10,
  keypointDetector: HOURGLASS,
  generator: { ...HOURGLASS, numBlocks: 7, numRefinementBlocks: 4, denseMotion: HOURGLASS },
};

/** What is computed of pictures [N, 3, H, W]: heatmaps before their softmax, and keypoints with covariances as matrices. */
export type MonkeyDriving = { logits: Tensor; keypoints: Keypoints; disparity: null };

/** What is computed once per portrait. */
export type MonkeySource = MonkeyDriving & { encoded: MonkeyEncoded };

/** Keypoints in the plane, each with the covariance of its heatmap. */
const GAUSSIANS: MotionSpace = { dimensions: 2, matrices: 'covariances' };

export class MonkeyNet extends nn.Module implements AnimationModel {
  readonly generator: MonkeyGenerator;
  readonly keypointDetector: GaussianKeypointDetector;
  readonly depthNetwork = null;
  readonly config: MonkeyNetConfig;

  constructor(config: MonkeyNetConfig = MONKEY_NET_PUBLISHED) {
    super();
    const { numKeypoints, keypointDetector, generator } = config;
    this.config = config;
    this.generator = new MonkeyGenerator(generator, numKeypoints);
    this.keypointDetector = new GaussianKeypointDetector(keypointDetector, numKeypoints);
  }

  get motion(): MotionSpace {
    return GAUSSIANS;
  }

  /** The U-Net halves pictures themselves, the hourglasses what is left of them by every fourth pixel. */
  get sizeMultiple(): number {
    const { keypointDetector, generator } = this.config;
    const hourglass = Math.max(keypointDetector.numBlocks, generator.denseMotion.numBlocks);
    return Math.max(2 ** generator.numBlocks, 2 ** hourglass / MOTION_SCALE);
  }

  get keypointNames(): Readonly<Record<string, number>> {
    return {};
  }

  get sourceTensors(): SourceTensors {
    return {
      tensorsOf: ({ encoded: { levels, smallImage } }: MonkeySource) => ({
        ...Object.fromEntries(levels.map((level, i) => [`level${i}`, level])),
        small_image: smallImage,
      }),
      sourceOf: (tensors, keypoints): MonkeySource => {
        const levels = Array.from({ length: this.config.generator.numBlocks + 1 }, (_, i) => tensors[`level${i}`]!);
        const encoded = { levels, smallImage: tensors.small_image! };
        return { encoded, keypoints, logits: keypoints.value, disparity: null }; // logits are for inspection alone
      },
    };
  }

  /** What is needed of a portrait [N, 3, H, W], once. */
  source(image: Tensor): MonkeySource {
    return { ...this.driving(image), encoded: this.generator.encodeSource(image) };
  }

  /** The keypoints of frames [N, 3, H, W]. */
  driving(image: Tensor): MonkeyDriving {
    const logits = this.keypointDetector.logits(image);
    const { mean, covariance } = gaussianOf(logits);
    return { logits, keypoints: { value: mean, jacobian: covariance }, disparity: null };
  }

  /** A frame per driving keypoint set; one source may serve a whole batch. */
  generate(source: MonkeySource, driving: Keypoints): MonkeyFrame {
    return this.generator.forward(source.encoded, gaussians(driving), gaussians(source.keypoints));
  }

  /** Everything on the way to frames, under the names of the reference data and those that all systems have in common. */
  seen(source: MonkeySource, driving: MonkeyDriving | null, frame: MonkeyFrame): [string, Tensor][] {
    const frames = frame.prediction.size(0);
    const found: [string, Tensor][] = [
      ['kp_source.mean', source.keypoints.value],
      ['motion.embedding_every7_every2px', frame.embedding],
      ['motion.grouped_every9_every2px', frame.grouped],
      ['motion.mask_every2px', frame.mask],
      ['motion.correction_every2px', frame.correction],
      ['motion.deformation', frame.deformation],
      ...source.encoded.levels.slice(1).map((level, i): [string, Tensor] => [levelName('encoder', i + 1), level]),
      ...frame.skips.map((skip, i): [string, Tensor] => [levelName('decoder', i), skip]),
      ['decoder.kp_embedding_every5_every2px', frame.movement],
      ['decoder.output_every30_every4px', frame.decoded],
      ['deformed_every4px', frame.deformed],
      ['prediction_frame0', frame.prediction.narrow(0, 0, 1)],
      ['mask', frame.mask],
      ['deformation', frame.deformation],
      ['deformed', frame.deformed],
      ['prediction', frame.prediction],
    ];
    if (frames > 1) found.push(['prediction_frame1_every4px', frame.prediction.narrow(0, 1, 1)]);
    if (driving) {
      found.push(
        ['kp_driving.mean', driving.keypoints.value],
        ['kp_logits_every5_every2px', cat([source.logits, driving.logits], 0)],
      );
    }
    return found.map(([name, value]) => [name, thinned(name, value)]);
  }

  attention(): null {
    return null;
  }

  /** The U-Net and the painting compute in 16 bits; keypoints and motion, which turn into coordinates, stay in float32. */
  lowerPrecision(dtype: 'bfloat16'): void {
    const { appearanceEncoder, videoDecoder, refinement, colours } = this.generator;
    for (const part of [appearanceEncoder, videoDecoder, refinement, colours]) part.to({ dtype });
  }
}

/** How the reference data thin the levels of the U-Net, the picture's size first. */
const THINNED = [
  '_every8_every4px',
  '_every32_every4px',
  '_every64_every2px',
  '_every128',
  '_every256',
  '_every256',
  '_every128',
  '_every64',
];

const levelName = (side: 'encoder' | 'decoder', level: number): string =>
  `${side}.skip${level}${THINNED[level] ?? '_every64'}`;

/** Keypoints whose matrices are covariances. */
export function gaussians({ value, jacobian }: Keypoints): GaussianKeypoints {
  if (!jacobian) throw new TypeError('Monkey-Net moves keypoints with covariances; these have none');
  return { mean: value, covariance: jacobian };
}
