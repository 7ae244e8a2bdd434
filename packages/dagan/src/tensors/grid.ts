// The coordinates that keypoints, motion and splines live in.
import { arange, cat, type Tensor, type TensorOptions, tidy } from '@dagan/libtorch';

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

/** The (x, y, z) of every cell of a volume -> [depth, height, width, 3], as `coordinateGrid` has them along each side. */
export function coordinateVolume(depth: number, height: number, width: number, options: TensorOptions = {}): Tensor {
  return tidy(() => {
    const plane = coordinateGrid(height, width, options).unsqueeze(0).expand(depth, height, width, 2);
    const z = arange(depth, options)
      .div(depth - 1)
      .mul(2)
      .sub(1);
    return cat([plane, z.view(depth, 1, 1, 1).expand(depth, height, width, 1)], -1);
  });
}
