// Warping by a motion field (Section 3.3): features and pictures of the source, moved to where the driving face is.
import { F, type Tensor } from '@dagan/libtorch';

/** Whether a grid's corners are the centres of the outermost pixels, or their outer edges. */
export type WarpOptions = { alignCorners?: boolean };

/**
 * Resizes a motion field [N, h, w, 2] to another size -> [N, height, width, 2].
 */
export function resizeField(field: Tensor, height: number, width: number, options: WarpOptions = {}): Tensor {
  if (field.size(1) === height && field.size(2) === width) return field;
  return F.upsampleBilinear(field.permute(0, 3, 1, 2), [height, width], options).permute(0, 2, 3, 1);
}

/**
 * Samples [N, C, H, W] (or [1, C, H, W] for a whole batch) where the motion field says. The field was built on a grid
 * whose corners are pixel centres; without `alignCorners` it is sampled as if they were pixel edges, which the published
 * weights have learned.
 */
export function warp(input: Tensor, deformation: Tensor, options: WarpOptions = {}): Tensor {
  const [n, height, width] = [deformation.size(0), input.size(2), input.size(3)];
  const batch = input.size(0) === n ? input : input.expand(n, input.size(1), height, width);
  return F.gridSample(batch, resizeField(deformation, height, width, options), options);
}

/** Multiplies features [N, C, H, W] by an occlusion map of any size [N, 1, h, w]. */
export function occlude(features: Tensor, occlusionMap: Tensor): Tensor {
  const [height, width] = [features.size(2), features.size(3)];
  const fits = occlusionMap.size(2) === height && occlusionMap.size(3) === width;
  return features.mul(fits ? occlusionMap : F.upsampleBilinear(occlusionMap, [height, width]));
}
