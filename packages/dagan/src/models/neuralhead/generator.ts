// The two networks of NeuralHead-FF: an embedder, which sees portraits with their landmarks, and a generator, which turns a drawing of
// landmarks into a picture in the style that comes from the embedding.
import { cat, nn, type Tensor } from '@dagan/libtorch';
import { adaptiveNorm, blockWidths, downBlocks, LandmarkBlock } from '../landmark-blocks.js';
import type { NeuralHeadConfig } from './config.js';

/** A picture [N, 3, H, W] in [0, 1] as networks take it, in [-1, 1]. */
const centred = (picture: Tensor): Tensor => picture.mul(2).sub(1);

/** Portraits and drawings of their landmarks, [N, 3, H, W] in [0, 1] each -> embeddings [N, E]. */
export class Embedder extends nn.Module {
  readonly blocks: nn.ModuleList<LandmarkBlock>;

  constructor({ numEmbedderBlocks, ...widths }: NeuralHeadConfig) {
    super();
    this.blocks = new nn.ModuleList(downBlocks(6, blockWidths(numEmbedderBlocks, widths), 'none'));
  }

  forward(portraits: Tensor, drawings: Tensor): Tensor {
    let x = centred(cat([drawings, portraits], 1)); // [N, 6, H, W]
    for (const block of this.blocks) x = block.forward(x);
    return x.relu().sum([2, 3]); // [N, E]
  }
}

/** Drawings of landmarks and a style -> pictures. */
export class LandmarkGenerator extends nn.Module {
  readonly down: nn.ModuleList<LandmarkBlock>;
  readonly bottleneck: nn.ModuleList<LandmarkBlock>;
  readonly up: nn.ModuleList<LandmarkBlock>;
  readonly colours: nn.SpectralNormConv2d;
  /** From the embedding to all numbers of the style. */
  readonly projection: nn.SpectralNormConv2d;
  readonly #lastWidth: number;

  constructor({ numEmbedderBlocks, numDownBlocks, numBottleneckBlocks, ...widths }: NeuralHeadConfig) {
    super();
    const channels = blockWidths(numDownBlocks, widths);
    const widest = channels.at(-1)!;
    this.down = new nn.ModuleList(downBlocks(3, channels, 'instance'));
    this.bottleneck = new nn.ModuleList(
      Array.from({ length: numBottleneckBlocks }, () => new LandmarkBlock(widest, widest, { norm: 'style' })),
    );
    const back = channels.toReversed(); // 512, 256, 128, 64
    this.up = new nn.ModuleList(
      back.map((to, i) => new LandmarkBlock(back[i - 1] ?? widest, to, { norm: 'style', resize: 'up' })),
    );
    this.#lastWidth = back.at(-1)!;
    this.colours = new nn.SpectralNormConv2d(this.#lastWidth, 3, 3, { padding: 1 });
    const embedding = blockWidths(numEmbedderBlocks, widths).at(-1)!;
    this.projection = new nn.SpectralNormConv2d(embedding, this.styleLength, 1);
  }

  /** Scales and shifts of all adaptive norms: 13,056 numbers in the paper's size. */
  get styleLength(): number {
    const blocks = [...this.bottleneck, ...this.up];
    return blocks.reduce((sum, { styleLength }) => sum + styleLength, 2 * this.#lastWidth);
  }

  /** The style of embeddings [N, E] -> [N, styleLength]. */
  style(embedding: Tensor): Tensor {
    return this.projection.forward(embedding.unsqueeze(2).unsqueeze(3)).flatten(1);
  }

  /** @param drawing [N, 3, H, W] in [0, 1] @param style [N or 1, styleLength] @returns [N, 3, H, W] in [0, 1] */
  forward(drawing: Tensor, style: Tensor): Tensor {
    let x = centred(drawing);
    for (const block of this.down) x = block.forward(x);
    let from = 0;
    for (const block of [...this.bottleneck, ...this.up]) {
      x = block.forward(x, style.narrow(1, from, block.styleLength));
      from += block.styleLength;
    }
    const last = adaptiveNorm(x, style.narrow(1, from, 2 * this.#lastWidth));
    return this.colours.forward(last.relu()).tanh().add(1).div(2);
  }
}
