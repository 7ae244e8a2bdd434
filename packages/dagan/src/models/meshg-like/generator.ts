// The picture: features of the portrait, moved by the field, and painted by DaGAN's decoder.
import { nn, type Tensor } from '@dagan/libtorch';
import { matching, widened } from '../../tensors/precision.js';
import { occlude, warp } from '../../tensors/warp.js';
import type { Frame } from '../animation-model.js';
import { DownBlock, SameBlock } from '../blocks.js';
import { type Painted, ResidualDecoder } from '../residual-decoder.js';
import type { MeshMotion } from './motion-network.js';

export type WarpingGeneratorConfig = {
  /** Channels at the picture's size; every halving doubles them. */
  blockExpansion: number;
  maxFeatures: number;
  numDownBlocks: number;
  numBottleneckBlocks: number;
};

/** What is needed of a portrait. */
export type EncodedPortrait = {
  image: Tensor; // [1, 3, H, W]
  features: Tensor; // [1, C, h, w]
};

/** A frame, and everything on the way to it. */
export type MeshFrame = Frame &
  MeshMotion &
  Painted & {
    /** The portrait moved by the field, [N, 3, H, W]. */
    deformed: Tensor;
  };

/** The field is sampled on the grid that it is built on. */
const GRID = { alignCorners: true } as const;

export class WarpingGenerator extends nn.Module {
  readonly first: SameBlock;
  readonly downBlocks: nn.ModuleList<DownBlock>;
  readonly decoder: ResidualDecoder;

  constructor({ blockExpansion, maxFeatures, numDownBlocks, numBottleneckBlocks }: WarpingGeneratorConfig) {
    super();
    const channels = Array.from({ length: numDownBlocks + 1 }, (_, i) =>
      Math.min(maxFeatures, blockExpansion * 2 ** i),
    );
    this.first = new SameBlock(3, channels[0]!, 7);
    this.downBlocks = new nn.ModuleList(channels.slice(1).map((out, i) => new DownBlock(channels[i]!, out)));
    this.decoder = new ResidualDecoder({ channels, numBottleneckBlocks, keepsPixels: true });
  }

  /** @param image [N, 3, H, W] in [0, 1] */
  encode(image: Tensor): EncodedPortrait {
    let features = this.first.forward(matching(image, this.first.conv));
    for (const block of this.downBlocks) features = block.forward(features);
    return { image: widened(image), features: widened(features) };
  }

  /** A frame per motion; one portrait may serve a whole batch. */
  forward({ image, features }: EncodedPortrait, motion: MeshMotion): MeshFrame {
    const deformed = warp(image, motion.deformation, GRID);
    const moved = occlude(warp(features, motion.deformation, GRID), motion.occlusionMap);
    return { ...motion, deformed, ...this.decoder.forward(moved, deformed) };
  }
}
