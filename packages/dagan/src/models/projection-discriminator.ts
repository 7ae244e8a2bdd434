// The discriminator of the systems that see drawn landmarks (Zakharov et al., 2019, Section 3.2): a projection discriminator (Miyato and
// Koyama, "cGANs with Projection Discriminator", 2018) that knows every person of the training by a vector of their own.
import { cat, nn, randn, run, type Tensor, tidy } from '@dagan/libtorch';
import type { Judgement } from './discriminator.js';
import { blockWidths, downBlocks, LandmarkBlock } from './landmark-blocks.js';

export type ProjectionDiscriminatorConfig = {
  /** Blocks that halve the size. */
  numBlocks: number;
  blockExpansion: number;
  maxFeatures: number;
  /** How many people it knows. */
  people: number;
};

export class ProjectionDiscriminator extends nn.Module {
  readonly blocks: nn.ModuleList<LandmarkBlock>;
  /** The vector of each person. */
  readonly identities: nn.Parameter; // [people, C]
  /** What is real whoever it shows. */
  readonly score: nn.SpectralNormConv2d;

  constructor({ numBlocks, people, ...widths }: ProjectionDiscriminatorConfig) {
    super();
    const channels = blockWidths(numBlocks, widths);
    const last = channels.at(-1)!;
    this.blocks = new nn.ModuleList([...downBlocks(6, channels, 'none'), new LandmarkBlock(last, last)]);
    this.identities = new nn.Parameter(tidy(() => randn([people, last]).mul(last ** -0.5)));
    this.score = new nn.SpectralNormConv2d(last, 1, 1);
  }

  /**
   * @param frames [N, 3, H, W] in [0, 1]
   * @param drawings of the landmarks that they should show, likewise
   * @param people whom they should show, [N], whole numbers; those beyond the known ones begin anew
   * @returns one number for each frame, [N, 1], and what every block gives
   */
  forward(frames: Tensor, drawings: Tensor, people: Tensor): Judgement {
    return tidy(() => {
      let x = cat([frames, drawings], 1).mul(2).sub(1); // [N, 6, H, W] in [-1, 1]
      const features: Tensor[] = [];
      for (const block of this.blocks) {
        x = block.forward(x);
        features.push(x);
      }
      const summed = x.relu().sum([2, 3], true); // [N, C, 1, 1]
      const known = run('aten::remainder.Scalar', [people, this.identities.size(0)]);
      const vectors = this.identities.indexSelect(0, known.to({ dtype: 'int64' })); // [N, C]
      const projected = summed.flatten(1).mul(vectors).sum([1], true); // [N, 1]
      return { prediction: projected.add(this.score.forward(summed).flatten(1)), features };
    });
  }
}
