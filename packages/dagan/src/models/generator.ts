// The generator (Section 3.3-3.4): encode the source, move its features, let depth attend to them, paint the frame.
import { nn, type Tensor } from '@dagan/libtorch';
import type { Keypoints } from '../tensors/keypoint-set.js';
import { matching, widened } from '../tensors/precision.js';
import { occlude, type WarpOptions, warp } from '../tensors/warp.js';
import { type AttentionForm, CrossModalAttention } from './attention.js';
import { DownBlock, SameBlock } from './blocks.js';
import { type DenseMotion, type DenseMotionConfig, DenseMotionNetwork } from './dense-motion.js';
import { type Painted, ResidualDecoder } from './residual-decoder.js';
import { ShuffleDecoder } from './shuffle-decoder.js';
import { SpadeDecoder } from './spade-decoder.js';

export type GeneratorConfig = {
  /** Channels at the picture's size; every halving doubles them. */
  blockExpansion: number;
  /** No level has more channels than this. */
  maxFeatures: number;
  /** Halvings between the picture and the features that are warped. */
  numDownBlocks: number;
  /** Residual blocks of the `residual` and the `shuffle` decoder. */
  numBottleneckBlocks: number;
  estimateOcclusionMap: boolean;
  /** Cross-modal attention of Eq. 9 in one of its forms, or none (the first-order model). */
  attention: AttentionForm | 'none';
  /** Keys and values of the attention are the means of so many by so many places; default 1, as published. */
  attentionPool?: number;
  /** The published decoders are `residual` and `spade`; `shuffle` is a third of the work, and always keeps pixels. */
  decoder: 'residual' | 'spade' | 'shuffle';
  /**
   * Whether the frame is a mixture, pixel by pixel, of the moved source picture and of what the `residual` decoder paints.
   * Default false, as published: everything is painted anew from features, also what has not moved. That moved pixels can be
   * taken over is from Siarohin et al., "Motion Representations for Articulated Animation" (CVPR 2021).
   */
  keepsPixels?: boolean;
  denseMotion: DenseMotionConfig;
};

/** What the generator needs of a source; computed once per portrait. */
export type EncodedSource = {
  /** The source, [1, 3, H, W] in [0, 1]. */
  image: Tensor;
  /** The source at the size of the motion field, [1, 3, h, w]. */
  smallImage: Tensor;
  /** Appearance features, [1, C, h, w]. */
  features: Tensor;
  /** Attention query from the depth, [1, h w, C / 8]; null without attention. */
  query: Tensor | null;
};

/** The motion, and what it makes of the source picture. */
export type Moved = DenseMotion & {
  /** The source picture moved by the deformation, [N, 3, H, W]. */
  deformed: Tensor;
};

/** A frame, and everything on the way to it. */
export type Generated = Moved &
  Painted & {
    /** Source features moved by the deformation and multiplied by the occlusion map: F_w, [N, C, h, w]. */
    warpedFeatures: Tensor;
    /** After cross-modal attention: F_g, [N, C, h, w]. */
    refinedFeatures: Tensor;
  };

export class Generator extends nn.Module {
  readonly denseMotionNetwork: DenseMotionNetwork;
  readonly first: SameBlock;
  readonly downBlocks: nn.ModuleList<DownBlock>;
  readonly depthFirst: SameBlock | null;
  readonly depthDownBlocks: nn.ModuleList<DownBlock> | null;
  readonly attention: CrossModalAttention | null;
  readonly decoder: ResidualDecoder | SpadeDecoder | ShuffleDecoder;
  readonly #grid: WarpOptions;
  /** Whether the decoder sees nothing of the moved source where it is occluded. */
  readonly #hides: boolean;

  /** @param refining how many of the keypoints, the first ones, refine the motion field */
  constructor(config: GeneratorConfig, numKeypoints: number, refining = 0) {
    super();
    const { blockExpansion, maxFeatures, numDownBlocks, estimateOcclusionMap } = config;
    const channels = Array.from({ length: numDownBlocks + 1 }, (_, i) =>
      Math.min(maxFeatures, blockExpansion * 2 ** i),
    );
    const encoder = () => new nn.ModuleList(channels.slice(1).map((out, i) => new DownBlock(channels[i]!, out)));
    const keypoints = { numKeypoints, refining };
    this.denseMotionNetwork = new DenseMotionNetwork(config.denseMotion, { ...keypoints, estimateOcclusionMap });
    this.#grid = { alignCorners: config.denseMotion.alignCorners };
    const { stretchPenalty = 0, contours = [], skin = [] } = config.denseMotion;
    this.#hides = stretchPenalty > 0 || contours.length > 0 || skin.length > 0;
    this.first = new SameBlock(3, channels[0]!, 7);
    this.downBlocks = encoder();
    const attends = config.attention !== 'none';
    this.depthFirst = attends ? new SameBlock(1, channels[0]!, 7) : null;
    this.depthDownBlocks = attends ? encoder() : null;
    this.attention =
      config.attention === 'none'
        ? null
        : new CrossModalAttention(channels.at(-1)!, config.attention, config.attentionPool);
    this.decoder = decoderOf(config, channels);
  }

  /**
   * The part that depends on the source alone.
   *
   * @param image [N, 3, H, W] in [0, 1]
   * @param disparity [N, 1, H, W]; needed with attention
   */
  encodeSource(image: Tensor, disparity: Tensor | null): EncodedSource {
    let features = this.first.forward(matching(image, this.first.conv));
    for (const block of this.downBlocks) features = block.forward(features); // [N, C, h, w]
    return {
      image: widened(image),
      smallImage: this.denseMotionNetwork.shrink(image),
      features: widened(features), // sampling positions between pixels wants float32
      query: this.attention ? this.attention.query(this.depthFeatures(disparity)) : null,
    };
  }

  /**
   * The motion alone, without a frame, which needs no features.
   *
   * @param image the source, [1 or N, 3, H, W]
   * @param smallImage what `DenseMotionNetwork.shrink` makes of it
   */
  move(
    { image, smallImage }: Pick<EncodedSource, 'image' | 'smallImage'>,
    driving: Keypoints,
    source: Keypoints,
  ): Moved {
    const motion = this.denseMotionNetwork.forward(smallImage, driving, source);
    return { ...motion, deformed: warp(image, motion.deformation, this.#grid) };
  }

  /** A frame per driving keypoint set; one source may serve a whole batch. */
  forward(encoded: EncodedSource, driving: Keypoints, source: Keypoints): Generated {
    const { deformed, ...motion } = this.move(encoded, driving, source);
    const moved = warp(encoded.features, motion.deformation, this.#grid); // [N, C, h, w]
    const warpedFeatures = motion.occlusionMap ? occlude(moved, motion.occlusionMap) : moved;
    const refinedFeatures =
      this.attention && encoded.query ? this.attention.forward(encoded.query, warpedFeatures) : warpedFeatures;
    const painted = this.#paint(refinedFeatures, deformed, motion.occlusionMap);
    return { ...motion, warpedFeatures, refinedFeatures, deformed, ...painted };
  }

  #paint(features: Tensor, deformed: Tensor, occlusionMap: Tensor | null): Painted {
    if (!(this.decoder instanceof SpadeDecoder)) {
      return this.decoder.forward(features, deformed, this.#hides ? occlusionMap : null);
    }
    // The published SPADE decoder sees the warped picture without its occluded parts.
    const visible = occlusionMap ? occlude(deformed, occlusionMap) : deformed;
    return { prediction: this.decoder.forward(features, visible), keptPixels: null, painted: null };
  }

  /** Disparity [N, 1, H, W] -> depth features F_d, [N, C, h, w]. */
  depthFeatures(disparity: Tensor | null): Tensor {
    if (!disparity) throw new TypeError('cross-modal attention needs the disparity of the source');
    let features = this.depthFirst!.forward(matching(disparity, this.depthFirst!.conv));
    for (const block of this.depthDownBlocks!) features = block.forward(features);
    return features;
  }
}

/** @param channels per level, the picture's size first */
function decoderOf(
  config: GeneratorConfig,
  channels: readonly number[],
): ResidualDecoder | SpadeDecoder | ShuffleDecoder {
  const { decoder, numBottleneckBlocks, keepsPixels = false } = config;
  switch (decoder) {
    case 'spade':
      return new SpadeDecoder(channels.at(-1)!);
    case 'shuffle':
      return new ShuffleDecoder({ channels: [channels.at(-1)!, channels.at(-2)!], numBottleneckBlocks });
    case 'residual':
      return new ResidualDecoder({ channels, numBottleneckBlocks, keepsPixels });
  }
}
