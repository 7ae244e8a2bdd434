// The generator's decoder as in the paper: residual blocks on the refined features, then up to the picture.
import { nn, type Tensor } from '@dagan/libtorch';
import { ResidualBlock, UpBlock } from './blocks.js';
import { matching, widened } from './precision.js';
import { BlockwiseConv2d } from './subpixel-conv.js';

export type ResidualDecoderOptions = {
  /** Channels per level, the picture's size first. */
  channels: readonly number[];
  numBottleneckBlocks: number;
  /** Whether pixels of the warped picture are taken over where the decoder finds them better than what it paints. */
  keepsPixels: boolean;
};

/** [N, C, h, w] -> picture [N, 3, H, W] in [0, 1]. */
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

  /** The last convolutions, 2x2 pixels at a time, once fused. */
  blockwiseFinal: BlockwiseConv2d | null = null;
  blockwiseKept: BlockwiseConv2d | null = null;

  /** Rearranges the decoder for use without training. */
  fuse(): void {
    this.blockwiseFinal = new BlockwiseConv2d(this.final);
    this.blockwiseKept = this.kept && new BlockwiseConv2d(this.kept);
  }

  /** @param deformed the source moved by the deformation, [N, 3, H, W]; looked at only if its pixels may be kept */
  forward(features: Tensor, deformed: Tensor): Tensor {
    let x = matching(features, this.upBlocks.at(0).conv);
    for (const block of this.bottleneck) x = block.forward(x);
    for (const block of this.upBlocks) x = block.forward(x);
    x = matching(x, this.final);
    const painted = (this.blockwiseFinal ?? this.final).forward(x).sigmoid(); // [N, 3, H, W]
    if (!this.kept) return painted;
    const kept = widened((this.blockwiseKept ?? this.kept).forward(x)).sigmoid(); // [N, 1, H, W]
    const own = widened(painted);
    return own.add(deformed.sub(own).mul(kept));
  }
}
