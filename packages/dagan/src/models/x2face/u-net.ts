// The U-Net of X2Face (after Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017): a picture
// halved until one pixel is left, and doubled again, with or without skips. Two of them are the whole of X2Face.
import { cat, F, nn, type Tensor } from '@dagan/libtorch';

export type UNetConfig = {
  outChannels: number;
  /** Halvings, and doublings back. The picture's side is at least 2^numLevels. */
  numLevels: number;
  /** Channels of the first level; every further one doubles them. */
  blockExpansion: number;
  /** No level has more channels than this. */
  maxFeatures: number;
  /** Channels of the innermost level: the length of the code. */
  codeChannels: number;
  /** Whether what a level receives on the way down is joined to what it gives on the way up. */
  skips: boolean;
};

/** Leaky ReLU but at the picture, a 4x4 convolution that halves the size, batch norm but at the picture and at the code. */
class UNetDown extends nn.Module {
  readonly conv: nn.Conv2d;
  readonly norm: nn.BatchNorm2d | null;
  readonly #activates: boolean;

  constructor(inChannels: number, outChannels: number, { activates, norm }: { activates: boolean; norm: boolean }) {
    super();
    this.conv = new nn.Conv2d(inChannels, outChannels, 4, { stride: 2, padding: 1, bias: false });
    this.norm = norm ? new nn.BatchNorm2d(outChannels) : null;
    this.#activates = activates;
  }

  /** Rearranges the block for use without training. */
  fuse(): void {
    this.norm?.foldInto(this.conv);
  }

  forward(x: Tensor): Tensor {
    const convolved = this.conv.forward(this.#activates ? F.leakyRelu(x, 0.2) : x); // [N, out, H / 2, W / 2]
    return this.norm ? this.norm.forward(convolved) : convolved;
  }
}

/** ReLU, doubling of the size between aligned corners, a 3x3 convolution, batch norm but at the result. */
class UNetUp extends nn.Module {
  readonly conv: nn.Conv2d;
  readonly norm: nn.BatchNorm2d | null;

  constructor(inChannels: number, outChannels: number, { norm }: { norm: boolean }) {
    super();
    this.conv = new nn.Conv2d(inChannels, outChannels, 3, { padding: 1, bias: false });
    this.norm = norm ? new nn.BatchNorm2d(outChannels) : null;
  }

  /** Rearranges the block for use without training. */
  fuse(): void {
    this.norm?.foldInto(this.conv);
  }

  forward(x: Tensor): Tensor {
    const size = [2 * x.size(2), 2 * x.size(3)] as const;
    const convolved = this.conv.forward(F.upsampleBilinear(x.relu(), size, { alignCorners: true })); // [N, out, 2 H, 2 W]
    return this.norm ? this.norm.forward(convolved) : convolved;
  }
}

/** [N, 3, H, W] -> code [N, codeChannels, H / 2^levels, W / 2^levels] -> [N, outChannels, H, W]. Lists begin at the picture. */
export class UNet extends nn.Module {
  readonly down: nn.ModuleList<UNetDown>;
  readonly up: nn.ModuleList<UNetUp>;
  readonly #skips: boolean;

  constructor({ outChannels, numLevels, blockExpansion, maxFeatures, codeChannels, skips }: UNetConfig) {
    super();
    const last = numLevels - 1;
    const channels = Array.from({ length: numLevels }, (_, i) =>
      i === last ? codeChannels : Math.min(maxFeatures, blockExpansion * 2 ** i),
    );
    this.down = new nn.ModuleList(
      channels.map((to, i) => new UNetDown(channels[i - 1] ?? 3, to, { activates: i > 0, norm: i > 0 && i < last })),
    );
    this.up = new nn.ModuleList(
      channels.map((from, i) => {
        const joined = skips && i < last ? 2 * from : from;
        return new UNetUp(joined, channels[i - 1] ?? outChannels, { norm: i > 0 });
      }),
    );
    this.#skips = skips;
  }

  /** What every level gives on the way down, [N, C_i, H / 2^(i + 1), W / 2^(i + 1)]; the last is the code before its ReLU. */
  encode(image: Tensor): Tensor[] {
    const levels: Tensor[] = [];
    for (const block of this.down) levels.push(block.forward(levels.at(-1) ?? image));
    return levels;
  }

  /**
   * What every level gives on the way up, innermost first; the last is the result, [N, outChannels, H, W].
   *
   * @param levels what `encode` gives; without skips the code alone will do
   */
  climb(levels: readonly Tensor[]): Tensor[] {
    const innermost = this.up.length - 1;
    const results = [levels.at(-1)!];
    for (let i = innermost; i >= 0; i--) {
      const inner = results.at(-1)!;
      const joins = this.#skips && i < innermost;
      results.push(this.up.at(i).forward(joins ? cat([inner, levels[i]!], 1) : inner));
    }
    return results.slice(1);
  }

  forward(image: Tensor): Tensor {
    return this.climb(this.encode(image)).at(-1)!;
  }
}
