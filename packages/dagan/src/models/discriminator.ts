// The discriminator: tells real frames from generated ones patch by patch, at several scales and knowing the keypoints.
import { cat, F, nn, type Tensor, tidy } from '@dagan/libtorch';
import type { Keypoints } from '../tensors/keypoint-set.js';
import { keypointsToGaussian } from './keypoints.js';

export type DiscriminatorConfig = {
  /** Scales of the picture that are judged, each by a network of its own. */
  scales: readonly number[];
  /** Channels of the picture. */
  imageChannels: number;
  /** Convolution blocks. */
  blocks: number;
  /** Channels double in every block, from twice this in the first ... */
  blockExpansion: number;
  /** ... up to this. */
  maxFeatures: number;
  /** Keypoints whose heatmaps are judged together with the picture; 0 for none. */
  keypoints: number;
  /** Variance of the heatmaps. */
  keypointVariance: number;
  /** Whether weights are divided by their spectral norm. */
  spectralNorm: boolean;
};

/** The published configuration. */
export const DISCRIMINATOR_DEFAULTS: DiscriminatorConfig = {
  scales: [1],
  imageChannels: 3,
  blocks: 4,
  blockExpansion: 32,
  maxFeatures: 512,
  keypoints: 15,
  keypointVariance: 0.01,
  spectralNorm: false,
};

/** What one scale's network says of a picture. */
export type Judgement = {
  /** Towards 1 where a patch looks real, towards 0 where it looks generated, [N, 1, h, w]. */
  prediction: Tensor;
  /** Output of every block, for feature matching. */
  features: Tensor[];
};

type BlockOptions = { norm: boolean; pool: boolean; spectralNorm: boolean };

const convolution = (from: number, to: number, kernel: number, spectralNorm: boolean): nn.Conv2d =>
  spectralNorm ? new nn.SpectralNormConv2d(from, to, kernel) : new nn.Conv2d(from, to, kernel);

/** 4 x 4 convolution without padding, instance norm, leaky ReLU, halving of the size. */
class DownBlock extends nn.Module {
  readonly conv: nn.Conv2d;
  readonly norm: nn.InstanceNorm2d | null;
  readonly #pool: boolean;

  constructor(from: number, to: number, { norm, pool, spectralNorm }: BlockOptions) {
    super();
    this.conv = convolution(from, to, 4, spectralNorm);
    this.norm = norm ? new nn.InstanceNorm2d(to, { affine: true }) : null;
    this.#pool = pool;
  }

  forward(input: Tensor): Tensor {
    const convolved = this.conv.forward(input);
    const activated = F.leakyRelu(this.norm ? this.norm.forward(convolved) : convolved, 0.2);
    return this.#pool ? F.avgPool2d(activated, 2) : activated;
  }
}

/** The network of one scale (Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017). */
export class Discriminator extends nn.Module {
  readonly downBlocks: nn.ModuleList<DownBlock>;
  readonly conv: nn.Conv2d;
  readonly #keypoints: number;
  readonly #variance: number;

  constructor(config: DiscriminatorConfig) {
    super();
    const { imageChannels, blocks, blockExpansion, maxFeatures, keypoints, keypointVariance, spectralNorm } = config;
    const width = (i: number) => Math.min(maxFeatures, blockExpansion * 2 ** i);
    this.downBlocks = new nn.ModuleList(
      Array.from({ length: blocks }, (_, i) => {
        const options = { norm: i > 0, pool: i < blocks - 1, spectralNorm };
        return new DownBlock(i === 0 ? imageChannels + keypoints : width(i), width(i + 1), options);
      }),
    );
    this.conv = convolution(width(blocks), 1, 1, spectralNorm);
    this.#keypoints = keypoints;
    this.#variance = keypointVariance;
  }

  /**
   * @param image [N, C, H, W]
   * @param keypoints of the frame that the picture should show; needed if the network was made for them
   */
  forward(image: Tensor, keypoints: Pick<Keypoints, 'value'> | null = null): Judgement {
    return tidy(() => {
      let x = this.#keypoints === 0 ? image : cat([image, this.#heatmaps(image, keypoints)], 1);
      const features: Tensor[] = [];
      for (const block of this.downBlocks) {
        x = block.forward(x);
        features.push(x);
      }
      return { prediction: this.conv.forward(x), features };
    });
  }

  #heatmaps(image: Tensor, keypoints: Pick<Keypoints, 'value'> | null): Tensor {
    if (keypoints?.value.size(1) !== this.#keypoints) {
      const given = keypoints ? `has ${keypoints.value.size(1)} of them` : 'brings none';
      throw new RangeError(`the discriminator judges pictures with ${this.#keypoints} keypoints; this one ${given}`);
    }
    return keypointsToGaussian(keypoints, [image.size(2), image.size(3)], this.#variance);
  }
}

/** One discriminator per scale. State dicts hold `discs.<scale>.*` with '-' for the scale's decimal point. */
export class MultiScaleDiscriminator extends nn.Module {
  readonly discs: nn.ModuleDict<Discriminator>;
  readonly scales: readonly number[];

  constructor(config: Partial<DiscriminatorConfig> = {}) {
    super();
    const full = { ...DISCRIMINATOR_DEFAULTS, ...config };
    this.scales = full.scales;
    this.discs = new nn.ModuleDict(full.scales.map((scale) => [nameOf(scale), new Discriminator(full)] as const));
  }

  /**
   * @param pyramid the picture by scale, with at least this network's scales
   * @param keypoints detached from what found them, so that the detector does not learn to please
   * @returns what is said at each scale
   */
  forward(
    pyramid: ReadonlyMap<number, Tensor>,
    keypoints: Pick<Keypoints, 'value'> | null = null,
  ): Map<number, Judgement> {
    return new Map(
      this.scales.map((scale) => {
        const image = pyramid.get(scale);
        if (!image) throw new RangeError(`the discriminator needs scale ${scale}; there are ${[...pyramid.keys()]}`);
        return [scale, this.discs.get(nameOf(scale)).forward(image, keypoints)];
      }),
    );
  }
}

const nameOf = (scale: number): string => `${scale}`.replace('.', '-');
