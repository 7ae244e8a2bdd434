// The generator's decoder as in the paper: residual blocks on the refined features, then up to the picture.
import { nn, type Tensor } from '@dagan/libtorch';
import { ResidualBlock, UpBlock } from './blocks.js';
import { matching } from './precision.js';
import { BlockwiseConv2d } from './subpixel-conv.js';

export type ResidualDecoderOptions = {
  /** Channels per level, the picture's size first. */
  channels: readonly number[];
  numBottleneckBlocks: number;
};

/** [N, C, h, w] -> picture [N, 3, H, W] in [0, 1]. */
export class ResidualDecoder extends nn.Module {
  readonly bottleneck: nn.ModuleList<ResidualBlock>;
  readonly upBlocks: nn.ModuleList<UpBlock>;
  readonly final: nn.Conv2d;

  constructor({ channels, numBottleneckBlocks }: ResidualDecoderOptions) {
    super();
    const deepest = channels.length - 1;
    this.bottleneck = new nn.ModuleList(
      Array.from({ length: numBottleneckBlocks }, () => new ResidualBlock(channels[deepest]!)),
    );
    this.upBlocks = new nn.ModuleList(
      Array.from({ length: deepest }, (_, i) => new UpBlock(channels[deepest - i]!, channels[deepest - i - 1]!)),
    );
    this.final = new nn.Conv2d(channels[0]!, 3, 7, { padding: 3 });
  }

  /** The last convolution, 2x2 pixels at a time, once fused. */
  blockwiseFinal: BlockwiseConv2d | null = null;

  /** Rearranges the decoder for use without training. */
  fuse(): void {
    this.blockwiseFinal = new BlockwiseConv2d(this.final);
  }

  /** @param _deformed ignored: only the SPADE decoder looks at the warped picture */
  forward(features: Tensor, _deformed: Tensor): Tensor {
    let x = matching(features, this.upBlocks.at(0).conv);
    for (const block of this.bottleneck) x = block.forward(x);
    for (const block of this.upBlocks) x = block.forward(x);
    return (this.blockwiseFinal ?? this.final).forward(matching(x, this.final)).sigmoid();
  }
}
