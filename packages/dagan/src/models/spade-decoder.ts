// The generator's decoder with spatially-adaptive normalisation (Park et al., "SPADE", 2019): the warped picture and
// four compressed feature channels steer the normalisation of every block.
import { cat, F, nn, type Tensor } from '@dagan/libtorch';
import { matching } from '../tensors/precision.js';

const HIDDEN = 128;
const COMPRESSED = 4;
const CONDITION = COMPRESSED + 3;
const OUT_CHANNELS = 64;
/** Of the leaky ReLUs. */
export const SPADE_SLOPE = 0.2;

/** Instance norm whose scale and shift are convolutions of the condition. */
class SpadeNorm extends nn.Module {
  readonly mlpShared: nn.ModuleList<nn.Conv2d>;
  readonly mlpGamma: nn.Conv2d;
  readonly mlpBeta: nn.Conv2d;

  /** @param condition channels of the condition */
  constructor(channels: number, condition: number) {
    super();
    this.mlpShared = new nn.ModuleList([new nn.Conv2d(condition, HIDDEN, 3, { padding: 1 })]);
    this.mlpGamma = new nn.Conv2d(HIDDEN, channels, 3, { padding: 1 });
    this.mlpBeta = new nn.Conv2d(HIDDEN, channels, 3, { padding: 1 });
  }

  /** @param condition [N, C', H', W'] of any size */
  forward(x: Tensor, condition: Tensor): Tensor {
    const resized = F.upsampleNearest(condition, [x.size(2), x.size(3)]);
    const hidden = this.mlpShared.at(0).forward(resized).relu(); // [N, 128, H, W]
    const scale = this.mlpGamma.forward(hidden).add(1);
    return F.instanceNorm(x).mul(scale).add(this.mlpBeta.forward(hidden));
  }
}

/** Residual block with SPADE norms; the shortcut is a convolution where the channels change. */
export class SpadeBlock extends nn.Module {
  readonly conv0: nn.SpectralNormConv2d;
  readonly conv1: nn.SpectralNormConv2d;
  readonly convShortcut: nn.SpectralNormConv2d | null;
  readonly norm0: SpadeNorm;
  readonly norm1: SpadeNorm;
  readonly normShortcut: SpadeNorm | null;

  constructor(inChannels: number, outChannels: number, condition = CONDITION) {
    super();
    const middle = Math.min(inChannels, outChannels);
    const changes = inChannels !== outChannels;
    this.conv0 = new nn.SpectralNormConv2d(inChannels, middle, 3, { padding: 1 });
    this.conv1 = new nn.SpectralNormConv2d(middle, outChannels, 3, { padding: 1 });
    this.convShortcut = changes ? new nn.SpectralNormConv2d(inChannels, outChannels, 1, { bias: false }) : null;
    this.norm0 = new SpadeNorm(inChannels, condition);
    this.norm1 = new SpadeNorm(middle, condition);
    this.normShortcut = changes ? new SpadeNorm(inChannels, condition) : null;
  }

  forward(x: Tensor, condition: Tensor): Tensor {
    const shortcut =
      this.convShortcut && this.normShortcut ? this.convShortcut.forward(this.normShortcut.forward(x, condition)) : x;
    const inner = this.conv0.forward(F.leakyRelu(this.norm0.forward(x, condition), SPADE_SLOPE));
    return this.conv1.forward(F.leakyRelu(this.norm1.forward(inner, condition), SPADE_SLOPE)).add(shortcut);
  }
}

/** [N, C, h, w] and the warped source [N, 3, 4 h, 4 w] -> picture [N, 3, 4 h, 4 w] in [0, 1]. */
export class SpadeDecoder extends nn.Module {
  readonly compress: nn.Conv2d;
  readonly fc: nn.Conv2d;
  readonly middle: nn.ModuleList<SpadeBlock>;
  readonly up: nn.ModuleList<SpadeBlock>;
  readonly image: nn.Conv2d;

  constructor(channels: number) {
    super();
    this.compress = new nn.Conv2d(channels, COMPRESSED, 3, { padding: 1 });
    this.fc = new nn.Conv2d(channels, 2 * channels, 3, { padding: 1 });
    this.middle = new nn.ModuleList(Array.from({ length: 3 }, () => new SpadeBlock(2 * channels, 2 * channels)));
    this.up = new nn.ModuleList([new SpadeBlock(2 * channels, channels), new SpadeBlock(channels, OUT_CHANNELS)]);
    this.image = new nn.Conv2d(OUT_CHANNELS, 3, 3, { padding: 1 });
  }

  forward(features: Tensor, deformed: Tensor): Tensor {
    const size = [deformed.size(2), deformed.size(3)] as const;
    const input = matching(features, this.fc);
    const compressed = F.upsampleNearest(this.compress.forward(input), size);
    const condition = cat([compressed, matching(deformed, this.fc)], 1); // [N, 7, H, W]
    let x = this.fc.forward(input); // [N, 2 C, h, w]
    for (const block of this.middle) x = block.forward(x, condition);
    for (const block of this.up) {
      x = block.forward(F.upsampleNearest(x, [2 * x.size(2), 2 * x.size(3)]), condition);
    }
    return this.image.forward(matching(F.leakyRelu(x, SPADE_SLOPE), this.image)).sigmoid();
  }
}
