// SSIM: structural similarity (Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", 2004).
import { checkSameSize, type Picture } from './pictures.js';

/** How the local statistics are taken. */
export type SsimSettings = {
  /** Weights of the pixels of a window along one axis; they add up to 1. */
  window: readonly number[];
  /** Whether variances are those of a sample (divided by n - 1) rather than of all there is. */
  sample: boolean;
  /** The range of colours that the constants assume: C1 = (0.01 range)^2, C2 = (0.03 range)^2. */
  range: number;
};

/** Gaussian of 11 taps and sigma 1.5, range 1: the settings of the paper. */
export const SSIM_STANDARD: SsimSettings = { window: gaussian(11, 1.5), sample: false, range: 1 };

/**
 * The settings that scikit-image 0.16 takes when told nothing, as the published scripts call it: 7 x 7 pixels of equal
 * weight, sample variances, and for pictures of real numbers a range of 2 (-1 to 1) though theirs is 1. The constants are
 * four times too large, and so the result is too.
 */
export const SSIM_PUBLISHED: SsimSettings = { window: new Array<number>(7).fill(1 / 7), sample: true, range: 2 };

/**
 * Mean over channels and over all windows that lie inside the picture of
 * `(2 mu_a mu_b + C1) (2 cov_ab + C2) / ((mu_a^2 + mu_b^2 + C1) (var_a + var_b + C2))`, colours in [0, 1]: 1 for identical
 * pictures, -1 at the least.
 *
 * @throws RangeError for pictures of different sizes, or smaller than the window
 */
export function ssim(a: Picture, b: Picture, { window, sample, range }: SsimSettings = SSIM_STANDARD): number {
  checkSameSize(a, b);
  const { width, height } = a;
  const taps = window.length;
  if (width < taps || height < taps) {
    throw new RangeError(`SSIM needs pictures of ${taps} x ${taps} pixels at least, not ${width} x ${height}`);
  }
  const length = a.data.length;
  const [first, second] = [new Float64Array(length), new Float64Array(length)];
  const [squares, products] = [new Float64Array(length), new Float64Array(length)];
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.data[i]! / 255, b.data[i]! / 255];
    first[i] = x;
    second[i] = y;
    squares[i] = x * x + y * y;
    products[i] = x * y;
  }
  const filtered = [first, second, squares, products].map((values) => filterInside(values, width, height, window));
  const [meansA, meansB, meanSquares, meanProducts] = filtered as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const correction = sample ? taps ** 2 / (taps ** 2 - 1) : 1;
  const [c1, c2] = [(0.01 * range) ** 2, (0.03 * range) ** 2];
  let sum = 0;
  for (let i = 0; i < meansA.length; i++) {
    const [x, y] = [meansA[i]!, meansB[i]!];
    const covariance = correction * (meanProducts[i]! - x * y);
    const variances = correction * (meanSquares[i]! - x * x - y * y);
    sum += ((2 * x * y + c1) * (2 * covariance + c2)) / ((x * x + y * y + c1) * (variances + c2));
  }
  return sum / meansA.length;
}

function gaussian(taps: number, sigma: number): number[] {
  const weights = Array.from({ length: taps }, (_, i) => Math.exp(-((i - (taps - 1) / 2) ** 2) / (2 * sigma ** 2)));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

/** Weighted means of all windows inside, of interleaved channels: [H, W, 3] -> [H - taps + 1, W - taps + 1, 3]. */
function filterInside(values: Float64Array, width: number, height: number, window: readonly number[]): Float64Array {
  const taps = window.length;
  const [stride, narrow] = [width * 3, (width - taps + 1) * 3];
  const result = new Float64Array(narrow * (height - taps + 1));
  const line = new Float64Array(stride);
  for (let y = 0; y <= height - taps; y++) {
    line.fill(0);
    for (let k = 0; k < taps; k++) {
      const [weight, start] = [window[k]!, (y + k) * stride];
      for (let i = 0; i < stride; i++) line[i]! += weight * values[start + i]!;
    }
    const start = y * narrow;
    for (let k = 0; k < taps; k++) {
      const weight = window[k]!;
      for (let i = 0; i < narrow; i++) result[start + i]! += weight * line[i + k * 3]!;
    }
  }
  return result;
}
