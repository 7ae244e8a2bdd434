// Structural similarity (Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", 2004) in
// 3 x 3 windows, as view synthesis uses it (Eq. 5 of the paper).
import { F, type Tensor, tidy } from '@dagan/libtorch';

/** Keeps the ratios finite in dark (C1) and flat (C2) windows; for pictures in [0, 1]. */
const C1 = 0.01 ** 2;
const C2 = 0.03 ** 2;

/**
 * Structural similarity around every pixel, in [-1, 1], 1 where the windows are equal. Mirrored at the border.
 *
 * @param x [N, C, H, W] in [0, 1]
 * @param y likewise
 * @returns [N, C, H, W]
 */
export function structuralSimilarity(x: Tensor, y: Tensor): Tensor {
  return tidy(() => {
    const [a, b] = [x, y].map((image) => F.pad(image, [1, 1, 1, 1], 'reflect')) as [Tensor, Tensor];
    const mean = (image: Tensor) => F.avgPool2d(image, 3, { stride: 1 });
    const [meanA, meanB] = [mean(a), mean(b)];
    const product = meanA.mul(meanB);
    const squares = meanA.square().add(meanB.square());
    const covariance = mean(a.mul(b)).sub(product);
    const variances = mean(a.square().add(b.square())).sub(squares);
    const similarity = product.mul(2).add(C1).mul(covariance.mul(2).add(C2));
    return similarity.div(squares.add(C1).mul(variances.add(C2)));
  });
}
