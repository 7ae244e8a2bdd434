// What the networks see for one pair of pictures, under the names of the reference data.
import type { Tensor } from '@dagan/libtorch';
import type { DaGAN } from '../src/models/index.js';

const every = (tensor: Tensor, dim: number, step: number): Tensor => tensor.slice(dim, 0, undefined, step);

/** A tensor, and whether it is judged by its range (features, colours) or absolutely (coordinates, disparity, masks). */
export type Seen = { actual: Tensor; relative: boolean };

/** Everything that the reference data of a whole pass may hold besides its inputs, computed by the model's parts. */
export function everythingSeen(model: DaGAN, source: Tensor, driving: Tensor): Map<string, Seen> {
  const s = model.source(source);
  const d = model.driving(driving);
  const generated = model.generate(s, d.keypoints);
  const pyramid = model.depthNetwork!.pyramid(source);
  const rows = every(model.generator.attention!.weights(s.query!, generated.warpedFeatures), 1, 256);
  const exact: [string, Tensor][] = [
    ...pyramid.map((disparity, scale): [string, Tensor] => [`source_disp${scale}`, disparity]),
    ['driving_disp0', d.disparity!],
    ['kp_source.value', s.keypoints.value],
    ['kp_source.jacobian', s.keypoints.jacobian!],
    ['kp_driving.value', d.keypoints.value],
    ['kp_driving.jacobian', d.keypoints.jacobian!],
    ['mask', generated.mask],
    ['deformation', generated.deformation],
    ['occlusion_map', generated.occlusionMap!],
  ];
  const relative: [string, Tensor][] = [
    ['sparse_deformed', generated.sparseDeformed],
    ['source_feature_every8', every(s.features, 1, 8)],
    ['warped_feature_every8', every(generated.warpedFeatures, 1, 8)],
    ['refined_feature_every8', every(generated.refinedFeatures, 1, 8)],
    ['attention_rows_every256', rows],
    ['deformed', generated.deformed],
    ['prediction', generated.prediction],
  ];
  const seen = new Map<string, Seen>();
  for (const [name, actual] of exact) seen.set(name, { actual, relative: false });
  for (const [name, actual] of relative) seen.set(name, { actual, relative: true });
  return seen;
}
