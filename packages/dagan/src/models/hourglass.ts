// Hourglass (Newell et al., "Stacked Hourglass Networks", 2016): down to a few pixels and up again, with skips.
import { cat, nn, type Tensor } from '@dagan/libtorch';
import { matching } from '../tensors/precision.js';
import { DownBlock, UpBlock } from './blocks.js';

export type HourglassConfig = {
  /** Channels of the first block; every block doubles them. */
  blockExpansion: number;
  /** No block has more channels than this. */
  maxFeatures: number;
  /** Halvings, and doublings back. */
  numBlocks: number;
};

/** Channels of every level, the input's size first. */
export function hourglassChannels({ blockExpansion, maxFeatures, numBlocks }: HourglassConfig): number[] {
  return Array.from({ length: numBlocks + 1 }, (_, i) => Math.min(maxFeatures, blockExpansion * 2 ** i));
}

/** Halves the size block by block. */
export class HourglassEncoder extends nn.Module {
  readonly downBlocks: nn.ModuleList<DownBlock>;

  constructor(inChannels: number, channels: readonly number[]) {
    super();
    this.downBlocks = new nn.ModuleList(
      channels.slice(1).map((out, i) => new DownBlock(i === 0 ? inChannels : channels[i]!, out)),
    );
  }

  /** The input and the output of every block. */
  forward(x: Tensor): Tensor[] {
    const levels = [x];
    for (const block of this.downBlocks) levels.push(block.forward(levels.at(-1)!));
    return levels;
  }
}

/** Doubles the size block by block, and joins what the encoder saw at each. */
export class HourglassDecoder extends nn.Module {
  readonly upBlocks: nn.ModuleList<UpBlock>;

  /**
   * @param channels of the encoder's levels; those at the input's own size are what the last block gives
   * @param extraChannels that every level brings beside those of the encoder
   */
  constructor(channels: readonly number[], extraChannels = 0) {
    super();
    const deepest = channels.length - 1;
    this.upBlocks = new nn.ModuleList(
      Array.from({ length: deepest }, (_, i) => {
        const level = deepest - i;
        const inner = (level === deepest ? 1 : 2) * channels[level]!;
        return new UpBlock(inner + extraChannels, channels[level - 1]!);
      }),
    );
  }

  forward(levels: readonly Tensor[]): Tensor {
    let x = levels.at(-1)!;
    let skip = levels.length - 2;
    for (const block of this.upBlocks) x = cat([block.forward(x), levels[skip--]!], 1);
    return x;
  }
}

/** [N, in, H, W] -> [N, blockExpansion + in, H, W]; H and W must be divisible by 2^numBlocks. */
export class Hourglass extends nn.Module {
  readonly encoder: HourglassEncoder;
  readonly decoder: HourglassDecoder;
  readonly outChannels: number;

  constructor(inChannels: number, { blockExpansion, maxFeatures, numBlocks }: HourglassConfig) {
    super();
    const channels = hourglassChannels({ blockExpansion, maxFeatures, numBlocks });
    this.encoder = new HourglassEncoder(inChannels, channels);
    this.decoder = new HourglassDecoder(channels);
    this.outChannels = blockExpansion + inChannels;
  }

  forward(x: Tensor): Tensor {
    const input = matching(x, this.encoder.downBlocks.at(0).conv);
    // It is joined with features whose channels lie innermost, as convolutions of training like them.
    const laidOut = this.training ? input.contiguous('channels_last') : input;
    return this.decoder.forward(this.encoder.forward(laidOut));
  }
}
