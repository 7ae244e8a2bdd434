// Edge-aware smoothness: disparity may jump only where the picture does (Godard et al., "Digging Into Self-Supervised
// Monocular Depth Estimation", 2019; not in the paper, but in the published training of the depth network).
import { type Tensor, tidy } from '@dagan/libtorch';
import { widened } from '../tensors/precision.js';

const EPSILON = 1e-7;

/** Neighbour minus neighbour along a dimension. */
const difference = (map: Tensor, dim: number): Tensor => {
  const last = map.size(dim) - 1;
  return map.narrow(dim, 0, last).sub(map.narrow(dim, 1, last));
};

/**
 * `mean |dx d| exp(-|dx I|) + mean |dy d| exp(-|dy I|)` -> [], where d is the disparity divided by its mean over the
 * picture, so that shrinking all of it gains nothing, and |dx I| the channels' mean.
 *
 * @param disparity [N, 1, H, W]
 * @param image [N, C, H, W], of the same size
 */
export function edgeAwareSmoothness(disparity: Tensor, image: Tensor): Tensor {
  return tidy(() => {
    const wide = widened(disparity);
    const normalized = wide.div(wide.mean([2, 3], true).add(EPSILON));
    const along = (dim: number) => {
      const edges = difference(image, dim).abs().mean([1], true);
      return difference(normalized, dim).abs().mul(edges.neg().exp()).mean();
    };
    return along(3).add(along(2));
  });
}
