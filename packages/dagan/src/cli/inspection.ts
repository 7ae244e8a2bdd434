// Everything the networks see for one pair of pictures, under the names of the published tensors.
import { autocast, noGrad, type Tensor, tidy } from '@dagan/libtorch';
import type { Picture } from '../media/index.js';
import type { DaGAN } from '../models/index.js';
import { pictureToTensor } from '../tensors/pictures.js';

/** Channels of features, and rows of the attention, that are kept: the whole is too large to look at. */
const FEATURE_STEP = 8;
const ATTENTION_STEP = 256;

export type InspectionOptions = { precision: 'float32' | 'bfloat16'; device: string };

/**
 * Runs the model on one pair; the driving keypoints are taken as they are (absolute motion).
 *
 * In the shapes, K is the number of keypoints, `h` and `w` are the motion field's height and width (64 at 256):
 * `source`, `driving`, `deformed`, `prediction` [1, 3, H, W]; `source_disp0` to `3` [1, 1, H / 2^s, W / 2^s],
 * `driving_disp0`; `kp_source.value` [1, K, 2], `kp_source.jacobian` [1, K, 2, 2], `kp_driving.*`; `mask`
 * [1, K + 1, h, w]; `sparse_deformed` [1, K + 1, 3, h, w]; `deformation` [1, h, w, 2]; `occlusion_map` [1, 1, h, w];
 * `kept_pixels` [1, 1, H, W]; `source_feature_every8`, `warped_feature_every8`, `refined_feature_every8` [1, C / 8, h, w];
 * `attention_rows_every256` [1, h w / 256, h w]. What a model does not have is not there.
 *
 * @returns float32 tensors on the CPU, which belong to the caller
 */
export function inspectPair(
  model: DaGAN,
  { source, driving }: { source: Picture; driving: Picture },
  { precision, device }: InspectionOptions,
): Map<string, Tensor> {
  const compute = (): Map<string, Tensor | null> => {
    const image = pictureToTensor(source).to({ device });
    const frame = pictureToTensor(driving).to({ device });
    const pyramid = model.depthNetwork?.pyramid(image) ?? [];
    const portrait = model.source(image);
    const { keypoints } = model.driving(frame);
    const generated = model.generate(portrait, keypoints);
    const attention =
      model.generator.attention && portrait.query
        ? model.generator.attention.weights(portrait.query, generated.warpedFeatures)
        : null;
    return new Map([
      ['source', image],
      ['driving', frame],
      ...pyramid.map((disparity, scale) => [`source_disp${scale}`, disparity] as const),
      ['driving_disp0', model.depthNetwork?.forward(frame) ?? null],
      ['kp_source.value', portrait.keypoints.value],
      ['kp_source.jacobian', portrait.keypoints.jacobian],
      ['kp_driving.value', keypoints.value],
      ['kp_driving.jacobian', keypoints.jacobian],
      ['mask', generated.mask],
      ['sparse_deformed', generated.sparseDeformed],
      ['deformation', generated.deformation],
      ['occlusion_map', generated.occlusionMap],
      ['source_feature_every8', every(FEATURE_STEP, portrait.features)],
      ['warped_feature_every8', every(FEATURE_STEP, generated.warpedFeatures)],
      ['refined_feature_every8', every(FEATURE_STEP, generated.refinedFeatures)],
      ['attention_rows_every256', attention && every(ATTENTION_STEP, attention)],
      ['deformed', generated.deformed],
      ['kept_pixels', generated.keptPixels],
      ['prediction', generated.prediction],
    ]);
  };
  return noGrad(() =>
    tidy(() => {
      const found = precision === 'float32' ? compute() : autocast({ device, dtype: precision }, compute);
      const kept = [...found].flatMap(([name, value]) => (value ? [[name, value] as const] : []));
      return new Map(
        kept.map(([name, value]) => [name, value.to({ dtype: 'float32', device: 'cpu' }).clone().contiguous()]),
      );
    }),
  );
}

/** Every n-th entry along dimension 1. */
function every(step: number, value: Tensor): Tensor {
  return value.slice(1, undefined, undefined, step);
}
