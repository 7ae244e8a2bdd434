// The face-depth network F_d (Section 3.2 of the paper): one picture -> its disparity.
import { nn, type Tensor } from '@dagan/libtorch';
import { DepthDecoder, DISPARITY_SCALES } from './depth-decoder.js';
import { ResnetEncoder } from './resnet.js';

export type DepthConfig = {
  /** Depth of the residual encoder. */
  layers: 18 | 50;
  /** Multiplies the channels of every layer, for models that must be small. 1 if not given, as published. */
  width?: number;
};

/** Pictures [N, 3, H, W] in [0, 1], H and W divisible by 32 -> disparity in (0, 1), 1 is near. */
export class DepthNetwork extends nn.Module {
  readonly encoder: ResnetEncoder;
  readonly decoder: DepthDecoder;

  constructor({ layers, width }: DepthConfig) {
    super();
    this.encoder = new ResnetEncoder({ layers, width });
    this.decoder = new DepthDecoder(this.encoder.channels, width);
  }

  /** Disparity at full size, which is what the other networks see: [N, 1, H, W]. */
  forward(image: Tensor): Tensor {
    return this.decoder.forward(this.encoder.forward(image), 1)[0]!;
  }

  /** Disparity at all four scales, for training: [N, 1, H / 2^s, W / 2^s]. */
  pyramid(image: Tensor): Tensor[] {
    return this.decoder.forward(this.encoder.forward(image), DISPARITY_SCALES);
  }
}
