// The face-depth network F_d (Section 3.2 of the paper): one picture -> its disparity.
import { F, nn, type Tensor } from '@dagan/libtorch';
import { DepthDecoder, DISPARITY_SCALES } from './depth-decoder.js';
import { ResnetEncoder } from './resnet.js';

export type DepthConfig = {
  /** Depth of the residual encoder. */
  layers: 18 | 50;
  /** Multiplies the channels of every layer, for models that must be small. 1 if not given, as published. */
  width?: number;
  /** The pictures are looked at at this scale, 1 / n; 1 if not given, as published. */
  scaleFactor?: number;
};

/** Pictures [N, 3, H, W] in [0, 1], H and W (times the scale) divisible by 32 -> disparity in (0, 1), 1 is near. */
export class DepthNetwork extends nn.Module {
  readonly encoder: ResnetEncoder;
  readonly decoder: DepthDecoder;
  readonly #shrink: number;

  constructor({ layers, width, scaleFactor = 1 }: DepthConfig) {
    super();
    this.#shrink = Math.round(1 / scaleFactor);
    this.encoder = new ResnetEncoder({ layers, width });
    this.decoder = new DepthDecoder(this.encoder.channels, width);
  }

  /** Disparity at full size, which is what the other networks see: [N, 1, H, W]. */
  forward(image: Tensor): Tensor {
    if (this.#shrink === 1) return this.decoder.forward(this.encoder.forward(image), 1)[0]!;
    const small = F.avgPool2d(image, this.#shrink);
    const disparity = this.decoder.forward(this.encoder.forward(small), 1)[0]!; // [N, 1, H / n, W / n]
    return F.upsampleBilinear(disparity, [image.size(2), image.size(3)]);
  }

  /** Disparity at all four scales, for training: [N, 1, H / 2^s, W / 2^s]. */
  pyramid(image: Tensor): Tensor[] {
    return this.decoder.forward(this.encoder.forward(image), DISPARITY_SCALES);
  }
}
