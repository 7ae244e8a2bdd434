// The convolution blocks that all networks are built of (as in the first-order motion model).
import { F, nn, type Tensor } from '@dagan/libtorch';
import { UpsamplingConv2d, upsamplingConv2d } from './inference/subpixel-conv.js';

/** Convolution that keeps the size, batch norm, ReLU. */
export class SameBlock extends nn.Module {
  readonly conv: nn.Conv2d;
  readonly norm: nn.BatchNorm2d;

  constructor(inChannels: number, outChannels: number, kernel = 3) {
    super();
    this.conv = new nn.Conv2d(inChannels, outChannels, kernel, { padding: (kernel - 1) / 2 });
    this.norm = new nn.BatchNorm2d(outChannels);
  }

  /** Rearranges the block for use without training. */
  fuse(): void {
    this.norm.foldInto(this.conv);
  }

  forward(x: Tensor): Tensor {
    return this.norm.relu(this.conv.forward(x)); // [N, out, H, W]
  }
}

/** Convolution, batch norm, ReLU, then halves the size by averaging. */
export class DownBlock extends SameBlock {
  override forward(x: Tensor): Tensor {
    return this.norm.relu(this.conv.forward(x), 2); // [N, out, H / 2, W / 2]
  }
}

/**
 * Weights of a convolution up to which doubling is merged with it. Above, reading four times the weights costs more than
 * the multiplications that are saved: such layers work on a few pixels.
 */
const MERGEABLE_WEIGHTS = 2 ** 16;

/** Doubles the size by repeating pixels, then convolution, batch norm, ReLU. */
export class UpBlock extends SameBlock {
  /** Doubling and convolution in one, once fused. */
  upsampling: UpsamplingConv2d | null = null;

  override fuse(): void {
    super.fuse();
    if (this.#mergeable) this.upsampling = new UpsamplingConv2d(this.conv);
  }

  get #mergeable(): boolean {
    const [out, inner] = this.conv.weight.shape as [number, number];
    return out * inner <= MERGEABLE_WEIGHTS;
  }

  override forward(x: Tensor): Tensor {
    if (this.upsampling) return this.upsampling.forward(x).relu();
    // In float32 on the CPU the convolution in training needs fewer multiplications still.
    const merges = x.dtype !== 'float32' || x.device !== 'cpu';
    if (this.training && this.#mergeable && merges) {
      return this.norm.relu(upsamplingConv2d(x, this.conv.weight, this.conv.bias));
    }
    return super.forward(F.upsampleNearest(x, [2 * x.size(2), 2 * x.size(3)])); // [N, out, 2 H, 2 W]
  }
}

/** Two convolutions, each after batch norm and ReLU, added to the input. */
export class ResidualBlock extends nn.Module {
  readonly conv1: nn.Conv2d | nn.Conv3d;
  readonly conv2: nn.Conv2d | nn.Conv3d;
  readonly norm1: nn.BatchNorm2d;
  readonly norm2: nn.BatchNorm2d;

  /** @param Conv of pictures [N, C, H, W], or of volumes [N, C, D, H, W] */
  constructor(channels: number, Conv: typeof nn.Conv2d | typeof nn.Conv3d = nn.Conv2d) {
    super();
    this.conv1 = new Conv(channels, channels, 3, { padding: 1 });
    this.conv2 = new Conv(channels, channels, 3, { padding: 1 });
    this.norm1 = new nn.BatchNorm2d(channels);
    this.norm2 = new nn.BatchNorm2d(channels);
  }

  /** Rearranges the block for use without training. */
  fuse(): void {
    this.norm2.foldInto(this.conv1);
  }

  forward(x: Tensor): Tensor {
    const inner = this.conv1.forward(this.norm1.relu(x));
    return this.conv2.forward(this.norm2.relu(inner)).add(x); // as x
  }
}
