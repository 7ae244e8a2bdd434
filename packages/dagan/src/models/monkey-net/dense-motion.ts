// Dense motion of Monkey-Net (Section 3.3): each keypoint shifts the picture as a whole; masks say which shift holds where, and
// a correction is added that no keypoint explains.
import { cat, F, nn, type Tensor, tidy, zeros } from '@dagan/libtorch';
import { coordinateGrid } from '../../tensors/grid.js';
import { exactly, matching } from '../../tensors/precision.js';
import { Hourglass, type HourglassConfig } from '../hourglass.js';
import { type GaussianKeypoints, gaussianHeatmaps } from './keypoints.js';

/** The motion field and what it was made of. */
export type MonkeyMotion = {
  /** Per part the difference of heatmaps and the shifted source's colours; the background first, [N, 4 (K + 1), h, w]. */
  embedding: Tensor;
  /** The same after the blocks that see each part by itself, [N, 4 (K + 1), h, w]. */
  grouped: Tensor;
  /** Which shift holds where; sums to 1, [N, K + 1, h, w]. */
  mask: Tensor;
  /** Added to the shifts, [N, 2, h, w]. */
  correction: Tensor;
  /** Where the frame looks in the source, [N, h, w, 2]. */
  deformation: Tensor;
};

/** Channels that the motion network sees of every part. */
const PER_PART = 4;
/** How much the background is preferred before anything is learned, in the softmax. */
const BACKGROUND_BIAS = 2;

/** A 1x1 convolution within each part, batch norm, ReLU. (The published leaky ReLU after it sees nothing below 0.) */
class GroupBlock extends nn.Module {
  readonly conv: nn.Conv2d;
  readonly norm: nn.BatchNorm2d;

  constructor(parts: number) {
    super();
    this.conv = new nn.Conv2d(PER_PART * parts, PER_PART * parts, 1, { groups: parts });
    this.norm = new nn.BatchNorm2d(PER_PART * parts);
  }

  /** Rearranges the block for use without training. */
  fuse(): void {
    this.norm.foldInto(this.conv);
  }

  forward(x: Tensor): Tensor {
    return this.norm.forward(this.conv.forward(x)).relu();
  }
}

export class MonkeyDenseMotion extends nn.Module {
  readonly groups: nn.ModuleList<GroupBlock>;
  readonly hourglass: Hourglass;
  /** Masks of the background and of every keypoint, then the correction in x and y. */
  readonly parts: nn.Conv2d;

  constructor(config: HourglassConfig, numKeypoints: number) {
    super();
    const count = numKeypoints + 1;
    this.groups = new nn.ModuleList([new GroupBlock(count), new GroupBlock(count)]);
    this.hourglass = new Hourglass(PER_PART * count, config);
    this.parts = new nn.Conv2d(this.hourglass.outChannels, count + 2, 3, { padding: 1 });
    startFromStillness(this.parts);
  }

  /**
   * @param smallSource the source by every fourth pixel, [1 or N, 3, h, w]
   * @param driving of N frames
   * @param source of 1 or N
   */
  forward(smallSource: Tensor, driving: GaussianKeypoints, source: GaussianKeypoints): MonkeyMotion {
    return exactly(smallSource, () => this.#move(smallSource, driving, source));
  }

  #move(smallSource: Tensor, driving: GaussianKeypoints, source: GaussianKeypoints): MonkeyMotion {
    const [n, k] = [driving.mean.size(0), driving.mean.size(1)];
    const [height, width] = [smallSource.size(2), smallSource.size(3)];
    const background = zeros([n, 1, 2], { dtype: driving.mean.dtype, device: driving.mean.device });
    const shifts = cat([background, source.mean.sub(driving.mean)], 1); // [N, K + 1, 2]

    const grid = coordinateGrid(height, width, { dtype: shifts.dtype, device: shifts.device });
    const places = grid.add(shifts.reshape(n * (k + 1), 1, 1, 2)); // [N (K + 1), h, w, 2]
    const repeated = smallSource
      .unsqueeze(1)
      .expand(n, k + 1, 3, height, width)
      .reshape(-1, 3, height, width);
    const shifted = F.gridSample(repeated, places, { alignCorners: true }).reshape(n, k + 1, 3, height, width);

    const movement = movementOf(driving, source, height, width); // [N, K, h, w]
    const heat = cat([movement.narrow(1, 0, 1).mul(0), movement], 1).unsqueeze(2); // [N, K + 1, 1, h, w]
    const embedding = cat([heat, shifted], 2).reshape(n, PER_PART * (k + 1), height, width);

    let grouped = matching(embedding, this.parts);
    for (const block of this.groups) grouped = block.forward(grouped);
    const parts = this.parts.forward(this.hourglass.forward(grouped)); // [N, K + 3, h, w]
    const mask = parts.narrow(1, 0, k + 1).softmax(1);
    const correction = parts.narrow(1, k + 1, 2);
    const explained = mask.flatten(2).transpose(1, 2).matmul(shifts); // [N, h w, 2]
    const flow = explained.reshape(n, height, width, 2).add(correction.permute(0, 2, 3, 1));
    return { embedding, grouped, mask, correction, deformation: flow.add(grid) };
  }
}

/** Heatmaps of the driving frames less those of the source, [N, K, height, width]. */
export function movementOf(
  driving: GaussianKeypoints,
  source: GaussianKeypoints,
  height: number,
  width: number,
): Tensor {
  return gaussianHeatmaps(driving, [height, width]).sub(gaussianHeatmaps(source, [height, width]));
}

/** Untrained motion is nearly none: the background's mask leads, and nothing is corrected. */
function startFromStillness(parts: nn.Conv2d): void {
  tidy(() => {
    parts.weight.detach().zero_();
    parts.bias!.detach().zero_().narrow(0, 0, 1).fill_(BACKGROUND_BIAS);
  });
}
