// What MarioNETte makes of portraits (Ha et al., 2020, "target encoder" and "target feature alignment"): features at every size, each
// warped by one flow that takes the portrait's pose out of them.
import { arange, cat, F, nn, type Tensor } from '@dagan/libtorch';
import { coordinateGrid } from '../../tensors/grid.js';
import { widened } from '../../tensors/precision.js';
import { blockWidths, downBlocks, LandmarkBlock } from '../landmark-blocks.js';
import type { MarionetteConfig } from './config.js';

/** A flow [N, 2, h, w] of changes of place as a grid to sample at, [N, h, w, 2]. */
function gridOf(flow: Tensor): Tensor {
  const grid = coordinateGrid(flow.size(2), flow.size(3), { dtype: flow.dtype, device: flow.device });
  return flow.permute(0, 2, 3, 1).add(grid);
}

/** Features [N or 1, C, h, w] at the places that a flow [N, 2, h, w] points to; beyond the border they are those of the border. */
export function displaced(features: Tensor, flow: Tensor): Tensor {
  const [, channels, height, width] = features.shape as [number, number, number, number];
  const batch = features.size(0) === flow.size(0) ? features : features.expand(flow.size(0), channels, height, width);
  return F.gridSample(widened(batch), gridOf(widened(flow)), { alignCorners: true, paddingMode: 'border' });
}

/** Sines and cosines of the places of a map -> [1, h w, C], half of them of rows and half of columns. @param channels a multiple of 4 */
export function placeCodes(height: number, width: number, channels: number, device: string): Tensor {
  const count = channels / 4;
  const rates = arange(count, { device })
    .mul(-Math.log(10_000) / count)
    .exp(); // [C / 4]
  const wavesOf = (length: number): Tensor => {
    const angles = arange(length, { device }).unsqueeze(1).mul(rates); // [length, C / 4]
    return cat([angles.sin(), angles.cos()], 1); // [length, C / 2]
  };
  const half = channels / 2;
  const rows = wavesOf(height).unsqueeze(1).expand(height, width, half);
  const columns = wavesOf(width).unsqueeze(0).expand(height, width, half);
  return cat([rows, columns], 2).reshape(1, height * width, channels);
}

/** What is seen in a portrait, with its pose taken out. */
export type TargetFeatures = {
  /** Half the portrait's size, a quarter, ..., [N, C_i, H / 2^(i + 1), W / 2^(i + 1)]; the smallest is for attention. */
  maps: readonly Tensor[];
  /** By which they were warped, [N, 2, H / 2, W / 2] in (-1, 1). */
  flow: Tensor;
};

/** A U-Net over a portrait and the drawing of its landmarks. */
export class TargetEncoder extends nn.Module {
  readonly down: nn.ModuleList<LandmarkBlock>;
  /** The smallest first. */
  readonly up: nn.ModuleList<LandmarkBlock>;
  readonly flow: nn.SpectralNormConv2d;

  constructor({ numDownBlocks, ...widths }: MarionetteConfig) {
    super();
    const channels = blockWidths(numDownBlocks + 1, widths);
    this.down = new nn.ModuleList(downBlocks(6, channels, 'instance'));
    this.up = new nn.ModuleList(
      Array.from({ length: numDownBlocks }, (_, i) => {
        const from = channels[numDownBlocks - i]!;
        const joined = i === 0 ? from : 2 * from;
        return new LandmarkBlock(joined, channels[numDownBlocks - i - 1]!, { norm: 'instance', resize: 'up' });
      }),
    );
    this.flow = new nn.SpectralNormConv2d(channels[0]!, 2, 3, { padding: 1 });
  }

  /** @param portraits and drawings of their landmarks, [N, 3, H, W] in [0, 1] each */
  forward(portraits: Tensor, drawings: Tensor): TargetFeatures {
    const seen: Tensor[] = [];
    for (const block of this.down) seen.push(block.forward(seen.at(-1) ?? cat([drawings, portraits], 1).mul(2).sub(1)));
    let x = seen.at(-1)!;
    for (const [i, block] of [...this.up].entries()) {
      x = block.forward(i === 0 ? x : cat([x, seen[seen.length - 1 - i]!], 1));
    }
    const flow = this.flow.forward(x).tanh(); // [N, 2, H / 2, W / 2]
    const maps = seen.map((map, i) => displaced(map, i === 0 ? flow : F.avgPool2d(flow, 2 ** i)));
    return { maps, flow };
  }
}
