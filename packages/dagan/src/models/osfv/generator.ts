// OSFV's generator (Wang et al. 2021, Section 3.2): a portrait's features as a volume, moved in space, flattened and painted.
import { F, nn, type Tensor } from '@dagan/libtorch';
import { widened } from '../../tensors/precision.js';
import { occlude } from '../../tensors/warp.js';
import { DownBlock, ResidualBlock, SameBlock } from '../blocks.js';
import { ResidualDecoder } from '../residual-decoder.js';
import type { OsfvConfig } from './config.js';
import { VolumeSpadeDecoder } from './decoders.js';
import { type SpaceMotion, SpaceMotionNetwork } from './dense-motion.js';
import type { SpaceKeypoints } from './keypoint-detector.js';

/** What the generator needs of a source; computed once per portrait. */
export type EncodedVolume = {
  /** Appearance features in space, [N, C, D, h, w]. */
  volume: Tensor;
  /** The volume as the motion network sees it, [N, C', D, h, w]. */
  compressed: Tensor;
};

/** A frame, and everything on the way to it. */
export type VolumeFrame = Omit<SpaceMotion, 'deformation'> & {
  /** The flow in space, [N, D, h, w, 3]. */
  spaceDeformation: Tensor;
  /** What is seen of it in the plane: the mean over depth of where x and y come from, [N, h, w, 2]. */
  deformation: Tensor;
  /** The moved volume, its slices as channels, [N, C D, h, w]. */
  warped: Tensor;
  /** What the decoder gets, [N, C'', h, w]. */
  features2d: Tensor;
  prediction: Tensor; // [N, 3, H, W] in [0, 1]
};

/** Convolution that keeps the size, batch norm, leaky ReLU. */
class LeakyBlock extends SameBlock {
  override forward(x: Tensor): Tensor {
    return F.leakyRelu(this.norm.forward(this.conv.forward(x)));
  }
}

export class VolumeGenerator extends nn.Module {
  readonly denseMotionNetwork: SpaceMotionNetwork;
  readonly first: SameBlock;
  readonly downBlocks: nn.ModuleList<DownBlock>;
  readonly second: nn.Conv2d;
  readonly volumeBlocks: nn.ModuleList<ResidualBlock>;
  readonly third: LeakyBlock;
  readonly fourth: nn.Conv2d;
  readonly decoder: ResidualDecoder | VolumeSpadeDecoder;
  readonly #depth: number;

  constructor(config: OsfvConfig) {
    super();
    const { blockExpansion, maxFeatures, numDownBlocks, volumeChannels, decoder, ...rest } = config.generator;
    const channels = Array.from({ length: numDownBlocks + 1 }, (_, i) =>
      Math.min(maxFeatures, blockExpansion * 2 ** i),
    );
    const deepest = channels.at(-1)!;
    this.denseMotionNetwork = new SpaceMotionNetwork(config);
    this.first = new SameBlock(3, blockExpansion, decoder === 'spade' ? 3 : 7);
    this.downBlocks = new nn.ModuleList(channels.slice(1).map((out, i) => new DownBlock(channels[i]!, out)));
    this.second = new nn.Conv2d(deepest, volumeChannels * config.depth, 1);
    this.volumeBlocks = new nn.ModuleList(
      Array.from({ length: rest.numVolumeBlocks }, () => new ResidualBlock(volumeChannels, nn.Conv3d)),
    );
    this.third = new LeakyBlock(volumeChannels * config.depth, deepest);
    this.fourth = new nn.Conv2d(deepest, deepest, 1);
    const numBottleneckBlocks = rest.numBottleneckBlocks;
    this.decoder =
      decoder === 'spade'
        ? new VolumeSpadeDecoder(deepest, numBottleneckBlocks)
        : new ResidualDecoder({ channels, numBottleneckBlocks, keepsPixels: false });
    this.#depth = config.depth;
  }

  /** The part that depends on the source alone. @param image [N, 3, H, W] in [0, 1] */
  encodeSource(image: Tensor): EncodedVolume {
    let x = this.first.forward(image);
    for (const block of this.downBlocks) x = block.forward(x);
    x = this.second.forward(x); // [N, C D, h, w]
    const [n, channels, height, width] = x.shape as [number, number, number, number];
    let volume = x.reshape(n, channels / this.#depth, this.#depth, height, width);
    for (const block of this.volumeBlocks) volume = block.forward(volume);
    return { volume: widened(volume), compressed: this.denseMotionNetwork.shrink(widened(volume)) };
  }

  /** A frame per driving keypoint set; one source may serve a whole batch. */
  forward({ volume, compressed }: EncodedVolume, driving: SpaceKeypoints, source: SpaceKeypoints): VolumeFrame {
    const { deformation: spaceDeformation, ...motion } = this.denseMotionNetwork.forward(compressed, driving, source);
    const n = driving.value.size(0);
    const batch = volume.size(0) === n ? volume : volume.expand(n, ...volume.shape.slice(1));
    const warped = F.gridSample(batch, spaceDeformation).flatten(1, 2); // [N, C D, h, w]
    const flat = this.fourth.forward(this.third.forward(warped.to({ dtype: this.fourth.weight.dtype })));
    const features2d = occlude(flat, motion.occlusionMap.to({ dtype: flat.dtype })); // [N, C'', h, w]
    const deformation = spaceDeformation.narrow(4, 0, 2).mean([1]); // [N, h, w, 2]
    return { ...motion, spaceDeformation, deformation, warped, features2d, prediction: this.#paint(features2d) };
  }

  #paint(features: Tensor): Tensor {
    if (this.decoder instanceof VolumeSpadeDecoder) return widened(this.decoder.forward(widened(features)));
    return widened(this.decoder.forward(features, features).prediction); // it keeps no pixels, so it looks at one picture
  }
}
