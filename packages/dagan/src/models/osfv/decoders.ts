// OSFV's decoder with spatially-adaptive normalisation; the other one is the first-order model's (`ResidualDecoder`).
import { F, nn, type Tensor } from '@dagan/libtorch';
import { SPADE_SLOPE, SpadeBlock } from '../spade-decoder.js';

const OUT_CHANNELS = 64;

/** What the decoder makes step by step. */
export type SpadeSteps = { fc: Tensor; middle: Tensor[]; up: Tensor[]; prediction: Tensor };

/** Features [N, C, h, w], which also steer every normalisation -> picture [N, 3, 4 h, 4 w] in [0, 1]. */
export class VolumeSpadeDecoder extends nn.Module {
  readonly fc: nn.Conv2d;
  readonly middle: nn.ModuleList<SpadeBlock>;
  readonly up: nn.ModuleList<SpadeBlock>;
  readonly image: nn.Conv2d;

  constructor(channels: number, numBlocks: number) {
    super();
    const block = (from: number, to: number): SpadeBlock => new SpadeBlock(from, to, channels);
    this.fc = new nn.Conv2d(channels, 2 * channels, 3, { padding: 1 });
    this.middle = new nn.ModuleList(Array.from({ length: numBlocks }, () => block(2 * channels, 2 * channels)));
    this.up = new nn.ModuleList([block(2 * channels, channels), block(channels, OUT_CHANNELS)]);
    this.image = new nn.Conv2d(OUT_CHANNELS, 3, 3, { padding: 1 });
  }

  forward(features: Tensor): Tensor {
    return this.steps(features).prediction;
  }

  /** The same with what is seen on the way, for `dagan inspect`. */
  steps(features: Tensor): SpadeSteps {
    const fc = this.fc.forward(features); // [N, 2 C, h, w]
    let x = fc;
    const through = (block: SpadeBlock, input: Tensor): Tensor => {
      x = block.forward(input, features);
      return x;
    };
    const middle = [...this.middle].map((block) => through(block, x));
    const up = [...this.up].map((block) => through(block, F.upsampleNearest(x, [2 * x.size(2), 2 * x.size(3)])));
    return { fc, middle, up, prediction: this.image.forward(F.leakyRelu(x, SPADE_SLOPE)).sigmoid() };
  }
}
