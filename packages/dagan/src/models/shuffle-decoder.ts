// A decoder for small processors: it works at a quarter and at half of the picture's size, and shuffles pixels up to the whole
// (Shi et al., "Real-Time Single Image and Video Super-Resolution ...", CVPR 2016). What is whole comes from the moved source,
// whose pixels it may keep (Siarohin et al., CVPR 2021).
import { cat, F, nn, type Tensor } from '@dagan/libtorch';
import { matching } from '../tensors/precision.js';
import { occlude } from '../tensors/warp.js';
import { ResidualBlock, SameBlock, UpBlock } from './blocks.js';
import { mixed, type Painted } from './residual-decoder.js';

export type ShuffleDecoderOptions = {
  /** Channels of the features at a quarter of the picture's size, and at half of it. */
  channels: readonly [quarter: number, half: number];
  numBottleneckBlocks: number;
};

/** Channels in which the moved source is looked at. */
const LOOK = 16;

/** Colours and the share of kept pixels, for 2x2 pixels each. */
const SHUFFLED = 4 * (3 + 1);

/** Features [N, C, H / 4, W / 4] and the moved source -> picture. */
export class ShuffleDecoder extends nn.Module {
  readonly bottleneck: nn.ModuleList<ResidualBlock>;
  readonly up: UpBlock;
  readonly look: nn.Conv2d;
  readonly refine: SameBlock;
  readonly final: nn.Conv2d;

  constructor({ channels: [quarter, half], numBottleneckBlocks }: ShuffleDecoderOptions) {
    super();
    this.bottleneck = new nn.ModuleList(Array.from({ length: numBottleneckBlocks }, () => new ResidualBlock(quarter)));
    this.up = new UpBlock(quarter, half);
    this.look = new nn.Conv2d(3, LOOK, 4, { stride: 2, padding: 1 });
    this.refine = new SameBlock(half + LOOK, half);
    this.final = new nn.Conv2d(half, SHUFFLED, 3, { padding: 1 });
  }

  /**
   * @param deformed the source moved by the deformation, [N, 3, H, W]
   * @param occlusionMap where `deformed` is to be seen, [N, 1, h, w]; everywhere if not given
   */
  forward(features: Tensor, deformed: Tensor, occlusionMap: Tensor | null = null): Painted {
    const visible = occlusionMap ? occlude(deformed, occlusionMap) : deformed;
    let x = matching(features, this.up.conv);
    for (const block of this.bottleneck) x = block.forward(x); // [N, C, H / 4, W / 4]
    const seen = this.look.forward(matching(visible, this.look)).relu(); // [N, 16, H / 2, W / 2]
    x = this.refine.forward(cat([this.up.forward(x), seen], 1)); // [N, C', H / 2, W / 2]
    const both = F.pixelShuffle(this.final.forward(matching(x, this.final)), 2); // [N, 4, H, W]
    const exact = both.to({ dtype: deformed.dtype }).sigmoid();
    return mixed(exact, deformed, occlusionMap);
  }
}
