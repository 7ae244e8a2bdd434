// View synthesis: a frame rebuilt from another one through depth, camera motion and intrinsics (Eqs. 3 and 4 of the paper).
import { F, run, type Tensor } from '@dagan/libtorch';
import { backproject, project } from './projection.js';

/**
 * How the camera is applied.
 * - `exact`: as it was learned, sampled on the grid that it was projected to. No motion gives the source back.
 * - `published`: as the published code does: intrinsics cut to whole pixels, which leaves them without a gradient, and the
 *   grid of pixel centres sampled as if it were of pixel edges, which enlarges the picture by 1 / (size - 1).
 */
export type CameraModel = 'exact' | 'published';

/** The target frame as seen through the source. */
export type SynthesizedView = {
  /** The source, sampled where the target's pixels lie in it, [N, C, H, W]. */
  warped: Tensor;
  /** Those positions: (x, y) with -1 and 1 at the centres of the outermost pixels, [N, H, W, 2]. */
  grid: Tensor;
};

/**
 * Rebuilds the target frame from the source frame: every target pixel p is lifted by its depth, moved into the source's
 * camera, `q ~ K (R D(p) K^-1 p + t)`, and takes the source's colour at q by bilinear interpolation. Beyond the border the
 * border's colour counts.
 *
 * @param source frame to sample, [N, C, H, W]
 * @param depth of the target frame, [N, 1, H, W]
 * @param intrinsics K in pixels, [N, 3, 3]
 * @param pose from the target's camera to the source's, [N, 4, 4]
 */
export function synthesizeView(
  source: Tensor,
  { depth, intrinsics, pose }: { depth: Tensor; intrinsics: Tensor; pose: Tensor },
  { camera = 'exact' }: { camera?: CameraModel } = {},
): SynthesizedView {
  const published = camera === 'published';
  const K = published ? truncate(intrinsics) : intrinsics;
  const grid = project(backproject(depth, K), K, pose, [depth.size(2), depth.size(3)]);
  return { warped: F.gridSample(source, grid, { paddingMode: 'border', alignCorners: !published }), grid };
}

/** Cuts focal lengths and principal point to whole pixels; K's last row, 0 0 1, stays as it is. */
function truncate(intrinsics: Tensor): Tensor {
  return run('aten::trunc', [intrinsics]);
}
