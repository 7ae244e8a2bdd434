// Heatmaps of keypoints, and distances from them.
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
  keypoints: Pick<Keypoints, 'value'>,
  size: readonly [number, number],
  variance: number,
): Tensor {
  return tidy(() => {
    // The Gaussian of a place is that of its column times that of its row.
    const [rows, columns] = squaredOffsets(keypoints, size).map((squares) => squares.mul(-0.5 / variance).exp());
    return rows!.mul(columns!); // [N, K, h, w]
  });
}

/** Squares of the distances of all pixels from keypoints -> [N, K, height, width]; as `keypointsToGaussian`. */
export function squaredDistances(keypoints: Pick<Keypoints, 'value'>, size: readonly [number, number]): Tensor {
  return tidy(() => {
    const [rows, columns] = squaredOffsets(keypoints, size);
    return rows.add(columns); // [N, K, h, w]
  });
}

/** Squares of how far rows and columns of pixels are from keypoints: [N, K, h, 1] and [N, K, 1, w]. */
function squaredOffsets(
  { value }: Pick<Keypoints, 'value'>,
  [height, width]: readonly [number, number],
): [rows: Tensor, columns: Tensor] {
  const [batch, count] = [value.size(0), value.size(1)];
  const { dtype, device } = value;
  const grid = coordinateGrid(height, width, { dtype, device });
  const along = (places: Tensor, axis: 0 | 1): Tensor =>
    places
      .reshape(1, 1, -1)
      .sub(value.narrow(2, axis, 1))
      .square(); // [N, K, width or height]
  return [
    along(grid.select(1, 0).select(1, 1), 1).view(batch, count, height, 1),
    along(grid.select(0, 0).select(1, 0), 0).view(batch, count, 1, width),
  ];
}

/** The keypoints after the first ones: [N, K, ..] -> [N, K - first, ..]. */
export function keypointsAfter({ value, jacobian }: Keypoints, first: number): Keypoints {
  const after = (all: Tensor): Tensor => all.narrow(1, first, all.size(1) - first);
  return { value: after(value), jacobian: jacobian && after(jacobian) };
}
