// The generator's decoder as in the paper: residual blocks on the refined features, then up to the picture.
import { cat, F, nn, type Tensor } from '@dagan/libtorch';
import { matching } from '../tensors/precision.js';
import { occlude } from '../tensors/warp.js';
import { ResidualBlock, UpBlock } from './blocks.js';
import { BlockwiseConv2d } from './inference/subpixel-conv.js';

export type ResidualDecoderOptions = {
  /** Channels per level, the picture's size first. */
  channels: readonly number[];
  numBottleneckBlocks: number;
  /** Whether pixels of the warped picture are taken over where the decoder finds them better than what it paints. */
  keepsPixels: boolean;
};

/** What a decoder painted. */
export type Painted = {
  /** The frame, [N, 3, H, W] in [0, 1]. */
  prediction: Tensor;
  /** How much of each pixel was taken over from the moved source, 0 to 1, [N, 1, H, W]; null where all is painted. */
  keptPixels: Tensor | null;
  /** What was painted, also where pixels of the source were taken over instead, [N, 3, H, W]; null where it is the frame. */
  painted: Tensor | null;
};

/** Features [N, C, h, w] -> picture. */
export class ResidualDecoder extends nn.Module {
  readonly bottleneck: nn.ModuleList<ResidualBlock>;
  readonly upBlocks: nn.ModuleList<UpBlock>;
  readonly final: nn.Conv2d;
  /** How much of each pixel is taken over, before the sigmoid. */
  readonly kept: nn.Conv2d | null;

  constructor({ channels, numBottleneckBlocks, keepsPixels }: ResidualDecoderOptions) {
    super();
    const deepest = channels.length - 1;
    this.bottleneck = new nn.ModuleList(
      Array.from({ length: numBottleneckBlocks }, () => new ResidualBlock(channels[deepest]!)),
    );
    this.upBlocks = new nn.ModuleList(
      Array.from({ length: deepest }, (_, i) => new UpBlock(channels[deepest - i]!, channels[deepest - i - 1]!)),
    );
    this.final = new nn.Conv2d(channels[0]!, 3, 7, { padding: 3 });
    this.kept = keepsPixels ? new nn.Conv2d(channels[0]!, 1, 7, { padding: 3 }) : null;
  }

  /** The last convolutions as one, 2x2 pixels at a time, once fused. */
  blockwise: BlockwiseConv2d | null = null;

  /** Rearranges the decoder for use without training. */
  fuse(): void {
    this.blockwise = new BlockwiseConv2d(this.final, ...(this.kept ? [this.kept] : []));
  }

  /**
   * @param deformed the source moved by the deformation, [N, 3, H, W]; looked at only if its pixels may be kept
   * @param occlusionMap where they may be, [N, 1, h, w]; everywhere if not given
   */
  forward(features: Tensor, deformed: Tensor, occlusionMap: Tensor | null = null): Painted {
    let x = matching(features, this.upBlocks.at(0).conv);
    for (const block of this.bottleneck) x = block.forward(x);
    for (const block of this.upBlocks) x = block.forward(x);
    x = matching(x, this.final);
    if (!this.kept)
      return { prediction: (this.blockwise ?? this.final).forward(x).sigmoid(), keptPixels: null, painted: null };
    const both = this.blockwise?.forward(x) ?? this.#both(x, this.kept); // [N, 4, H, W]
    return mixed(both.to({ dtype: deformed.dtype }).sigmoid(), deformed, occlusionMap);
  }

  /** The last convolutions in one go: processors compute at least eight channels at once, so that one costs what four do. */
  #both(x: Tensor, kept: nn.Conv2d): Tensor {
    const [weight, bias] = [cat([this.final.weight, kept.weight]), cat([this.final.bias!, kept.bias!])];
    return F.conv2d(x, weight, bias, { padding: this.final.padding });
  }
}

/**
 * The frame where pixels may be kept.
 *
 * @param both what was painted and the share of kept pixels, [N, 4, H, W] from 0 to 1
 * @param deformed the source moved by the deformation, [N, 3, H, W]
 * @param occlusionMap where its pixels may be kept, [N, 1, h, w]; everywhere if null
 */
export function mixed(both: Tensor, deformed: Tensor, occlusionMap: Tensor | null): Painted {
  const [painted, share] = [both.narrow(1, 0, 3), both.narrow(1, 3, 1)];
  const keptPixels = occlusionMap ? occlude(share, occlusionMap) : share;
  return { prediction: painted.add(deformed.sub(painted).mul(keptPixels)), keptPixels, painted };
}
