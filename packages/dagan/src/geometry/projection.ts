// Pinhole camera: pixels with depth to points in space, and points to pixels (Eq. 3 of the paper).
import { arange, cat, onesLike, type Tensor, tidy } from '@dagan/libtorch';
import { exactly } from '../tensors/precision.js';

/** Keeps points off the camera's own plane. */
const EPSILON = 1e-7;

/**
 * Points in the camera's coordinates: `P = depth K^-1 (u, v, 1)` for every pixel.
 *
 * @param depth [N, 1, H, W]
 * @param intrinsics K in pixels, [N, 3, 3]
 * @returns [N, 3, H W]
 */
export function backproject(depth: Tensor, intrinsics: Tensor): Tensor {
  return tidy(() => {
    const [batch, height, width] = [depth.size(0), depth.size(2), depth.size(3)];
    const where = { dtype: depth.dtype, device: depth.device };
    const u = arange(width, where).view(1, width).expand(height, width).reshape(1, -1);
    const v = arange(height, where).view(height, 1).expand(height, width).reshape(1, -1);
    const pixels = cat([u, v, onesLike(u)]); // [3, H W]
    const rays = exactly(depth, () => intrinsics.inverse().matmul(pixels)); // [N, 3, H W]
    return rays.mul(depth.reshape(batch, 1, -1));
  });
}

/**
 * Where the camera of another frame sees points: `q ~ K (R P + t)` in that frame's pixels, as a grid for sampling.
 *
 * @param points [N, 3, H W]
 * @param intrinsics K in pixels, [N, 3, 3]
 * @param pose matrix [R t; 0 1] to the other camera, [N, 4, 4]
 * @param size [H, W]
 * @returns (x, y) with -1 and 1 at the centres of the outermost pixels, [N, H, W, 2]
 */
export function project(
  points: Tensor,
  intrinsics: Tensor,
  pose: Tensor,
  [height, width]: readonly [number, number],
): Tensor {
  return tidy(() => {
    const rotation = pose.slice(1, 0, 3).slice(2, 0, 3); // [N, 3, 3]
    const translation = pose.slice(1, 0, 3).slice(2, 3, 4); // [N, 3, 1]
    // [N, 3, H W]
    const moved = exactly(points, () => intrinsics.matmul(rotation.matmul(points).add(translation)));
    const depth = moved.slice(1, 2, 3).add(EPSILON); // [N, 1, H W]
    const normalized = (row: number, size: number) =>
      moved
        .slice(1, row, row + 1)
        .div(depth)
        .mul(2 / (size - 1))
        .sub(1);
    const grid = cat([normalized(0, width), normalized(1, height)], 1); // [N, 2, H W]
    return grid.permute(0, 2, 1).reshape(-1, height, width, 2);
  });
}
