// Minimum reprojection and automasking (Godard et al., "Digging Into Self-Supervised Monocular Depth Estimation", 2019; not in
// the paper, but in the published training of the depth network).
import { cat, onesLike, randn, type Tensor, tidy } from '@dagan/libtorch';

/** Noise on the errors without motion: a pixel that nothing changes belongs to them or to the warps by chance. */
const TIE_BREAK = 1e-5;

export type Reprojection = {
  /** The smallest error of every pixel, [N, 1, H, W]; its mean is the loss. */
  error: Tensor;
  /** 1 where a warped source explains the pixel best and depth learns, 0 where an unmoved one does, [N, 1, H, W]. */
  mask: Tensor;
};

/**
 * Takes at every pixel the source that explains it best: what one source does not show, another may. If `still` is given,
 * pixels that look best without any warping (a still background, a frozen camera) drop out of learning.
 *
 * @param warped photometric errors of the sources seen through depth and motion, each [N, 1, H, W]
 * @param still photometric errors of the same sources as they are, each [N, 1, H, W]; empty for no automasking
 */
export function minimumReprojection(warped: readonly Tensor[], still: readonly Tensor[] = []): Reprojection {
  if (warped.length === 0) throw new RangeError('minimum reprojection needs the error of at least one source');
  return tidy(() => {
    const best = cat(warped, 1).amin([1], true); // [N, 1, H, W]
    if (still.length === 0) return { error: best, mask: onesLike(best) };
    const unmoved = cat(still, 1);
    const noise = randn(unmoved.shape, { dtype: unmoved.dtype, device: unmoved.device }).mul(TIE_BREAK);
    const bestUnmoved = unmoved.add(noise).amin([1], true);
    return { error: best.minimum(bestUnmoved), mask: best.lt(bestUnmoved).to({ dtype: best.dtype }) };
  });
}
