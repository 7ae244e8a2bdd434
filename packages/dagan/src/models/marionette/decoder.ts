// The decoder of MarioNETte: before every doubling it says how the portrait's features of that size are to be moved.
import { cat, nn, type Tensor } from '@dagan/libtorch';
import { LandmarkBlock } from '../landmark-blocks.js';
import { displaced } from './target-encoder.js';

/** Warps the portrait's features by a flow of its own, joins them, and doubles the size. */
class AlignmentBlock extends nn.Module {
  readonly flow: nn.SpectralNormConv2d;
  readonly block: LandmarkBlock;

  constructor(channels: number, outChannels: number) {
    super();
    this.flow = new nn.SpectralNormConv2d(channels, 2, 1);
    this.block = new LandmarkBlock(2 * channels, outChannels, { norm: 'instance', resize: 'up' });
  }

  /** @param map of the portraits, as x but for N or 1 */
  forward(x: Tensor, map: Tensor): Tensor {
    return this.block.forward(cat([x, displaced(map, this.flow.forward(x).tanh())], 1)); // [N, out, 2 h, 2 w]
  }
}

export class FrameDecoder extends nn.Module {
  /** The smallest first. */
  readonly blocks: nn.ModuleList<AlignmentBlock>;
  readonly colours: nn.SpectralNormConv2d;

  /** @param channels of the driver's and the portrait's features, from the largest map to the smallest */
  constructor(channels: readonly number[]) {
    super();
    const back = channels.toReversed();
    this.blocks = new nn.ModuleList(back.map((width, i) => new AlignmentBlock(width, back[i + 1] ?? width)));
    this.colours = new nn.SpectralNormConv2d(back.at(-1)!, 3, 1);
  }

  /** @param maps of the portraits from the largest to the smallest, which is as large as x @returns [N, 3, H, W] in [0, 1] */
  forward(features: Tensor, maps: readonly Tensor[]): Tensor {
    let x = features;
    for (const [i, block] of [...this.blocks].entries()) x = block.forward(x, maps[maps.length - 1 - i]!);
    return this.colours.forward(x.relu()).tanh().add(1).div(2);
  }
}
