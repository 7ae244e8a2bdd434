// Photometric error P_e (Eq. 5 of the paper): how far a frame that was rebuilt from another is from the real one.
import { type Tensor, tidy } from '@dagan/libtorch';
import { structuralSimilarity } from './ssim.js';

/** The structural term: `1 - SSIM` in the paper, `clamp((1 - SSIM) / 2, 0, 1)` in the published code and in monodepth2. */
export type PhotometricForm = 'paper' | 'published';

export type PhotometricOptions = {
  /** Weight of the structural term; the rest weighs the colours. 0.8 in the paper, 0.85 in the published code. */
  alpha?: number;
  form?: PhotometricForm;
};

/** `clamp((1 - SSIM) / 2, 0, 1)` of every pixel and channel, [N, C, H, W]. */
export function structuralError(reconstruction: Tensor, target: Tensor): Tensor {
  return tidy(() => structuralSimilarity(reconstruction, target).rsub(1).mul(0.5).clamp(0, 1));
}

/**
 * `P_e(I, I') = alpha (1 - SSIM(I, I')) + (1 - alpha) |I - I'|` of every pixel, the channels' mean.
 *
 * @param reconstruction I', [N, C, H, W] in [0, 1]
 * @param target I, likewise
 * @returns [N, 1, H, W]
 */
export function photometricError(
  reconstruction: Tensor,
  target: Tensor,
  { alpha = 0.8, form = 'published' }: PhotometricOptions = {},
): Tensor {
  return tidy(() => {
    const structure =
      form === 'paper' ? structuralSimilarity(reconstruction, target).rsub(1) : structuralError(reconstruction, target);
    const color = target.sub(reconstruction).abs();
    return structure
      .mul(alpha)
      .add(color.mul(1 - alpha))
      .mean([1], true);
  });
}
