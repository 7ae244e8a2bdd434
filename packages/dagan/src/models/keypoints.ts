// Heatmaps of keypoints.
import { type Tensor, tidy } from '@dagan/libtorch';
import { coordinateGrid } from '../tensors/grid.js';
import type { Keypoints } from '../tensors/keypoint-set.js';

/**
 * Heatmaps of keypoints: `exp(-|z - x_k|^2 / (2 variance))` at every pixel z -> [N, K, height, width].
 *
 * @param keypoints positions [N, K, 2]
 * @param size of the heatmaps, [height, width]
 * @param variance in the units of `coordinateGrid`
 */
export function keypointsToGaussian(
  { value }: Pick<Keypoints, 'value'>,
  [height, width]: readonly [number, number],
  variance: number,
): Tensor {
  return tidy(() => {
    const [batch, count] = [value.size(0), value.size(1)];
    const grid = coordinateGrid(height, width, { dtype: value.dtype, device: value.device });
    const offset = grid.view(1, 1, height, width, 2).sub(value.view(batch, count, 1, 1, 2));
    return offset
      .square()
      .sum([-1])
      .mul(-0.5 / variance)
      .exp(); // [N, K, h, w]
  });
}
