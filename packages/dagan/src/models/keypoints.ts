// Keypoints: positions with local affine frames, the coordinates they live in, and their heatmaps.
import { arange, cat, type Tensor, type TensorOptions, tidy } from '@dagan/libtorch';

/**
 * K keypoints of N pictures.
 *
 * Positions are (x, y) with -1 and 1 at the centres of the outermost pixels. A keypoint's jacobian maps small offsets in
 * the reference frame to offsets in the picture (the published code's first-order motion); it is null where motion is made
 * of offsets alone (Eq. 7 of the paper).
 */
export type Keypoints = {
  value: Tensor; // [N, K, 2]
  jacobian: Tensor | null; // [N, K, 2, 2]
};

/**
 * The (x, y) of every pixel -> [height, width, 2], `2 i / (n - 1) - 1` along each side: -1 and 1 are the centres of the
 * outermost pixels.
 */
export function coordinateGrid(height: number, width: number, options: TensorOptions = {}): Tensor {
  return tidy(() => {
    const axis = (length: number) =>
      arange(length, options)
        .div(length - 1)
        .mul(2)
        .sub(1);
    const x = axis(width).view(1, width, 1).expand(height, width, 1);
    const y = axis(height).view(height, 1, 1).expand(height, width, 1);
    return cat([x, y], -1);
  });
}

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
