// The blocks of OSFV's networks on volumes [N, C, D, H, W]. Pooling and enlarging go along height and width alone.
import { cat, F, nn, type Tensor } from '@dagan/libtorch';
import type { HourglassConfig } from '../hourglass.js';

/** Volumes as pictures, slice by slice, so that what works on height and width alone can be used. */
function onSlices(volume: Tensor, body: (pictures: Tensor) => Tensor): Tensor {
  const [n, c, d] = volume.shape as [number, number, number];
  const pictures = body(volume.flatten(1, 2)); // [N, C D, h, w]
  return pictures.reshape(n, c, d, pictures.size(2), pictures.size(3));
}

/** 3x3x3 convolution that keeps the size, batch norm, ReLU. */
class VolumeBlock extends nn.Module {
  readonly conv: nn.Conv3d;
  readonly norm: nn.BatchNorm2d;

  constructor(inChannels: number, outChannels: number) {
    super();
    this.conv = new nn.Conv3d(inChannels, outChannels, 3, { padding: 1 });
    this.norm = new nn.BatchNorm2d(outChannels);
  }

  /** Rearranges the block for use without training. */
  fuse(): void {
    this.norm.foldInto(this.conv);
  }

  forward(x: Tensor): Tensor {
    return this.norm.forward(this.conv.forward(x)).relu(); // [N, out, D, H, W]
  }
}

/** The block, then halves height and width by averaging. */
class VolumeDownBlock extends VolumeBlock {
  override forward(x: Tensor): Tensor {
    return onSlices(super.forward(x), (pictures) => F.avgPool2d(pictures, 2)); // [N, out, D, H / 2, W / 2]
  }
}

/** Doubles height and width by repeating, then the block. */
export class VolumeUpBlock extends VolumeBlock {
  override forward(x: Tensor): Tensor {
    const doubled = onSlices(x, (pictures) => F.upsampleNearest(pictures, [2 * x.size(3), 2 * x.size(4)]));
    return super.forward(doubled); // [N, out, D, 2 H, 2 W]
  }
}

/** Channels from the input's level down. */
const widths = ({ blockExpansion, maxFeatures, numBlocks }: HourglassConfig): number[] =>
  Array.from({ length: numBlocks + 1 }, (_, i) => Math.min(maxFeatures, blockExpansion * 2 ** i));

class VolumeEncoder extends nn.Module {
  readonly downBlocks: nn.ModuleList<VolumeDownBlock>;

  constructor(inChannels: number, channels: readonly number[]) {
    super();
    this.downBlocks = new nn.ModuleList(
      channels.slice(1).map((out, i) => new VolumeDownBlock(i === 0 ? inChannels : channels[i]!, out)),
    );
  }
}

class VolumeDecoder extends nn.Module {
  readonly upBlocks: nn.ModuleList<VolumeUpBlock>;
  readonly conv: nn.Conv3d;
  readonly norm: nn.BatchNorm2d;

  constructor(channels: readonly number[], outChannels: number) {
    super();
    const deepest = channels.length - 1;
    this.upBlocks = new nn.ModuleList(
      Array.from({ length: deepest }, (_, i) => {
        const level = deepest - i;
        return new VolumeUpBlock((level === deepest ? 1 : 2) * channels[level]!, channels[level - 1]!);
      }),
    );
    this.conv = new nn.Conv3d(outChannels, outChannels, 3, { padding: 1 });
    this.norm = new nn.BatchNorm2d(outChannels);
  }

  fuse(): void {
    this.norm.foldInto(this.conv);
  }
}

/** Hourglass on volumes: [N, in, D, H, W] -> [N, blockExpansion + in, D, H, W]. */
export class VolumeHourglass extends nn.Module {
  readonly encoder: VolumeEncoder;
  readonly decoder: VolumeDecoder;
  readonly outChannels: number;

  constructor(inChannels: number, config: HourglassConfig) {
    super();
    const channels = widths(config);
    this.outChannels = config.blockExpansion + inChannels;
    this.encoder = new VolumeEncoder(inChannels, channels);
    this.decoder = new VolumeDecoder(channels, this.outChannels);
  }

  forward(input: Tensor): Tensor {
    const levels = [input.to({ dtype: this.decoder.conv.weight.dtype })];
    for (const block of this.encoder.downBlocks) levels.push(block.forward(levels.at(-1)!));
    let x = levels.pop()!;
    for (const block of this.decoder.upBlocks) x = cat([block.forward(x), levels.pop()!], 1);
    return this.decoder.norm.forward(this.decoder.conv.forward(x)).relu();
  }
}
