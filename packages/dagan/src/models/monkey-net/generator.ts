// The generator of Monkey-Net (Section 3.4): a U-Net whose every skip is warped by the motion field and joined with the
// difference of the heatmaps; a few residual blocks paint.
import { cat, F, nn, type Tensor } from '@dagan/libtorch';
import { matching, widened } from '../../tensors/precision.js';
import { resizeField } from '../../tensors/warp.js';
import { ResidualBlock } from '../blocks.js';
import { type HourglassConfig, HourglassDecoder, HourglassEncoder, hourglassChannels } from '../hourglass.js';
import { MonkeyDenseMotion, type MonkeyMotion, movementOf } from './dense-motion.js';
import { everyFourthPixel, type GaussianKeypoints } from './keypoints.js';

export type MonkeyGeneratorConfig = HourglassConfig & {
  /** Residual blocks at the picture's size. */
  numRefinementBlocks: number;
  denseMotion: HourglassConfig;
};

/** What the generator needs of a source; computed once per portrait. */
export type MonkeyEncoded = {
  /** The picture, then what every block of the encoder makes of it, each half as large: [1, C_i, H / 2^i, W / 2^i]. */
  levels: Tensor[];
  /** The source by every fourth pixel, [1, 3, H / 4, W / 4]. */
  smallImage: Tensor;
};

/** A frame, and everything on the way to it. */
export type MonkeyFrame = MonkeyMotion & {
  occlusionMap: null;
  /** The source picture moved by the deformation, [N, 3, H, W]. */
  deformed: Tensor;
  /** Differences of the heatmaps that the decoder sees, [N, K, H / 4, W / 4]. */
  movement: Tensor;
  /** Every level of the source, moved, and joined with the movement: [N, C_i + K, H / 2^i, W / 2^i]. */
  skips: Tensor[];
  /** What the decoder hands to the refinement, [N, C, H, W]. */
  decoded: Tensor;
  /** [N, 3, H, W] in (0, 1) */
  prediction: Tensor;
};

export class MonkeyGenerator extends nn.Module {
  readonly appearanceEncoder: HourglassEncoder;
  readonly denseMotion: MonkeyDenseMotion;
  readonly videoDecoder: HourglassDecoder;
  readonly refinement: nn.ModuleList<ResidualBlock>;
  readonly colours: nn.Conv2d;

  constructor(config: MonkeyGeneratorConfig, numKeypoints: number) {
    super();
    const channels = hourglassChannels(config);
    const decoded = config.blockExpansion + 3 + numKeypoints;
    this.appearanceEncoder = new HourglassEncoder(3, channels);
    this.denseMotion = new MonkeyDenseMotion(config.denseMotion, numKeypoints);
    this.videoDecoder = new HourglassDecoder(channels, numKeypoints);
    this.refinement = new nn.ModuleList(
      Array.from({ length: config.numRefinementBlocks }, () => new ResidualBlock(decoded)),
    );
    this.colours = new nn.Conv2d(decoded, 3, 1);
  }

  /** The part that depends on the source [N, 3, H, W] alone. */
  encodeSource(image: Tensor): MonkeyEncoded {
    return {
      levels: this.appearanceEncoder.forward(matching(image, this.colours)).map(widened),
      smallImage: everyFourthPixel(widened(image)),
    };
  }

  /** A frame per driving keypoint set; one source may serve a whole batch. */
  forward({ levels, smallImage }: MonkeyEncoded, driving: GaussianKeypoints, source: GaussianKeypoints): MonkeyFrame {
    const motion = this.denseMotion.forward(smallImage, driving, source);
    const movement = movementOf(driving, source, smallImage.size(2), smallImage.size(3));
    const skips = levels.map((level) => {
      const size = [level.size(2), level.size(3)] as const;
      return cat([moved(level, motion.deformation), F.upsampleBilinear(movement, size)], 1);
    });
    const decoded = this.videoDecoder.forward(skips.map((skip) => matching(skip, this.colours)));
    let x = decoded;
    for (const block of this.refinement) x = block.forward(x);
    const prediction = widened(this.colours.forward(x)).sigmoid();
    const deformed = skips[0]!.narrow(1, 0, 3);
    return { ...motion, movement, skips, deformed, decoded, prediction, occlusionMap: null };
  }
}

/**
 * Looks in a level [1 or N, C, H, W] where the motion field says. The field is resized as if its corners were pixels' outer edges
 * and sampled as if they were centres, as PyTorch 0.4.1 did by default.
 */
function moved(level: Tensor, deformation: Tensor): Tensor {
  const n = deformation.size(0);
  const [channels, height, width] = [level.size(1), level.size(2), level.size(3)];
  const batch = level.size(0) === n ? level : level.expand(n, channels, height, width);
  return F.gridSample(batch, resizeField(deformation, height, width), { alignCorners: true });
}
