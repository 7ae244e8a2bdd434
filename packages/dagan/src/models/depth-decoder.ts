// Decoder of the face-depth network F_d: features of a ResNet -> disparity at four scales (as in monodepth2).
import { cat, F, nn, type Tensor } from '@dagan/libtorch';
import { exactly, matching } from '../tensors/precision.js';
import { scaledChannels } from './resnet.js';

const DECODER_CHANNELS = [16, 32, 64, 128, 256] as const;

/** Sizes at which disparity is predicted: scale s has 1 / 2^s of the picture's size. */
export const DISPARITY_SCALES = 4;

/** Mirrors one pixel at every border: [N, C, H, W] -> [N, C, H + 2, W + 2]. */
function mirrorBorder(x: Tensor): Tensor {
  if (x.dtype === 'float32') return F.pad(x, [1, 1, 1, 1], 'reflect');
  // LibTorch's own padding does not know 16-bit floats on every device.
  const [height, width] = [x.size(2), x.size(3)];
  const tall = cat([x.narrow(2, 1, 1), x, x.narrow(2, height - 2, 1)], 2);
  return cat([tall.narrow(3, 1, 1), tall, tall.narrow(3, width - 2, 1)], 3);
}

/** 3x3 convolution with mirrored borders. */
class MirroredConv extends nn.Module {
  readonly conv: nn.Conv2d;

  constructor(inChannels: number, outChannels: number) {
    super();
    this.conv = new nn.Conv2d(inChannels, outChannels, 3);
  }

  forward(x: Tensor): Tensor {
    return this.conv.forward(mirrorBorder(x));
  }
}

/** Doubles the size between two convolutions, and takes in the encoder's features of the larger size. */
class DecoderLevel extends nn.Module {
  readonly before: MirroredConv;
  readonly after: MirroredConv;

  constructor(inChannels: number, skipChannels: number, outChannels: number) {
    super();
    this.before = new MirroredConv(inChannels, outChannels);
    this.after = new MirroredConv(outChannels + skipChannels, outChannels);
  }

  forward(x: Tensor, skip: Tensor | null): Tensor {
    const small = F.elu(this.before.forward(x)); // [N, out, H, W]
    const large = F.upsampleNearest(small, [2 * small.size(2), 2 * small.size(3)]);
    return F.elu(this.after.forward(skip ? cat([large, skip], 1) : large)); // [N, out, 2 H, 2 W]
  }
}

/** Five feature maps of strides 2 ... 32 -> sigmoid disparity in (0, 1), where 1 is near. */
export class DepthDecoder extends nn.Module {
  readonly levels: nn.ModuleList<DecoderLevel>; // from the smallest features up
  readonly disparityHeads: nn.ModuleList<MirroredConv>; // by scale, the full size first

  /**
   * @param encoderChannels of the five feature maps, strides 2 to 32
   * @param width multiplies this network's own channels
   */
  constructor(encoderChannels: readonly number[], width = 1) {
    super();
    const decoderChannels = DECODER_CHANNELS.map((full) => scaledChannels(full, width));
    this.levels = new nn.ModuleList(
      [4, 3, 2, 1, 0].map((level) => {
        const inChannels = level === 4 ? encoderChannels[4]! : decoderChannels[level + 1]!;
        const skipChannels = level > 0 ? encoderChannels[level - 1]! : 0;
        return new DecoderLevel(inChannels, skipChannels, decoderChannels[level]!);
      }),
    );
    this.disparityHeads = new nn.ModuleList(
      Array.from({ length: DISPARITY_SCALES }, (_, scale) => new MirroredConv(decoderChannels[scale]!, 1)),
    );
  }

  /** Disparity of the scales asked for, the full size first: [N, 1, H / 2^s, W / 2^s] each. */
  forward(features: readonly Tensor[], scales: number): Tensor[] {
    const disparities: Tensor[] = [];
    let x = features[4]!;
    let level = 4;
    for (const block of this.levels) {
      x = block.forward(x, level > 0 ? features[level - 1]! : null);
      if (level < scales) disparities.unshift(this.#disparity(level, x));
      level -= 1;
    }
    return disparities;
  }

  #disparity(scale: number, features: Tensor): Tensor {
    const head = this.disparityHeads.at(scale);
    return exactly(features, () => head.forward(matching(features, head.conv)).sigmoid());
  }
}
