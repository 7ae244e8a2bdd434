// The residual block of systems that paint from drawn landmarks (after Brock et al., "Large Scale GAN Training for High Fidelity Natural
// Image Synthesis", 2019): spectral norms in every convolution, and instance norms whose scale and shift are learned, come from an
// embedding (AdaIN; Huang and Belongie, 2017), or are not there.
import { F, nn, type Tensor } from '@dagan/libtorch';

/** Norms before the two convolutions: none, with weights of their own, or with those of a style. */
export type BlockNorm = 'none' | 'instance' | 'style';

export type LandmarkBlockOptions = {
  norm?: BlockNorm;
  /** Halves the size at the end, or doubles it before the first convolution. */
  resize?: 'down' | 'up';
  /** Begins with a convolution, as where the input is a picture. */
  first?: boolean;
};

/** Numbers that a style has for a norm of so many channels: scales less 1, then shifts. */
const styleOf = (channels: number): number => 2 * channels;

/** Instance norm with the scale and shift of a style. @param style [N or 1, 2 C] */
export function adaptiveNorm(x: Tensor, style: Tensor): Tensor {
  const channels = x.size(1);
  const [scale, shift] = [0, 1].map((part) =>
    style
      .narrow(1, part * channels, channels)
      .unsqueeze(2)
      .unsqueeze(3),
  );
  return F.instanceNorm(x).mul(scale!.add(1)).add(shift!);
}

/** [norm] ReLU [x 2] 3x3 convolution [norm] ReLU 3x3 convolution [/ 2], added to the input or to a 1x1 convolution of it. */
export class LandmarkBlock extends nn.Module {
  readonly conv1: nn.SpectralNormConv2d;
  readonly conv2: nn.SpectralNormConv2d;
  readonly skip: nn.SpectralNormConv2d | null;
  readonly norm1: nn.InstanceNorm2d | null;
  readonly norm2: nn.InstanceNorm2d | null;
  /** Numbers of style that the block takes; 0 without. */
  readonly styleLength: number;
  readonly #widths: readonly [number, number];
  readonly #options: Required<Omit<LandmarkBlockOptions, 'resize'>> & Pick<LandmarkBlockOptions, 'resize'>;

  constructor(inChannels: number, outChannels: number, options: LandmarkBlockOptions = {}) {
    super();
    const { norm = 'none', resize, first = false } = options;
    const bias = norm === 'none';
    this.conv1 = new nn.SpectralNormConv2d(inChannels, outChannels, 3, { padding: 1, bias });
    this.conv2 = new nn.SpectralNormConv2d(outChannels, outChannels, 3, { padding: 1, bias });
    const changes = resize !== undefined || inChannels !== outChannels;
    this.skip = changes ? new nn.SpectralNormConv2d(inChannels, outChannels, 1, { bias }) : null;
    const own = norm === 'instance';
    this.norm1 = own && !first ? new nn.InstanceNorm2d(inChannels, { affine: true }) : null;
    this.norm2 = own ? new nn.InstanceNorm2d(outChannels, { affine: true }) : null;
    this.styleLength = norm === 'style' ? styleOf(inChannels) + styleOf(outChannels) : 0;
    this.#widths = [inChannels, outChannels];
    this.#options = { norm, resize, first };
  }

  /** @param style [N or 1, styleLength], where the block takes one */
  forward(x: Tensor, style?: Tensor): Tensor {
    const { resize, first } = this.#options;
    const [inWidth, outWidth] = this.#widths;
    const normalised = (value: Tensor, norm: nn.InstanceNorm2d | null, from: number, width: number): Tensor => {
      if (style && this.styleLength > 0) return adaptiveNorm(value, style.narrow(1, from, styleOf(width)));
      return norm ? norm.forward(value) : value;
    };
    const begun = first ? x : normalised(x, this.norm1, 0, inWidth).relu();
    const inner = this.conv1.forward(resize === 'up' ? doubled(begun) : begun);
    const second = normalised(inner, this.norm2, styleOf(inWidth), outWidth);
    const outer = this.conv2.forward(second.relu());
    const skipped = this.skip ? this.skip.forward(x) : x;
    if (resize === 'up') return outer.add(doubled(skipped)); // [N, out, 2 H, 2 W]
    return resize === 'down' ? F.avgPool2d(outer.add(skipped), 2) : outer.add(skipped);
  }
}

const doubled = (x: Tensor): Tensor => F.upsampleNearest(x, [2 * x.size(2), 2 * x.size(3)]);

/** Widths of blocks: doubled from one to the next, up to the most. */
export const blockWidths = (
  count: number,
  { blockExpansion, maxFeatures }: { blockExpansion: number; maxFeatures: number },
): number[] => Array.from({ length: count }, (_, i) => Math.min(maxFeatures, blockExpansion * 2 ** i));

/** Blocks that halve a picture of some channels one after the other, the first of which begins with a convolution. */
export function downBlocks(inChannels: number, widths: readonly number[], norm: BlockNorm): LandmarkBlock[] {
  return widths.map(
    (to, i) => new LandmarkBlock(widths[i - 1] ?? inChannels, to, { norm, resize: 'down', first: i === 0 }),
  );
}
