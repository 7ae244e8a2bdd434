// Everything the networks see for one pair of pictures, under the names of the published tensors.

import { type AttentionFactors, attentionRow } from '../animation/attention-row.js';
import type { Analysis, Engine } from '../animation/engine.js';
import type { Picture } from '../media/pictures/picture.js';
import type { KeypointSet } from '../tensors/keypoint-set.js';
import { type MotionSpace, PLANE } from '../tensors/motion-space.js';
import { everyNth, picturesToValues, type ScalarMap, type TensorValues } from '../tensors/values.js';
import { requireMerging } from './merging.js';

/** Channels of features, and rows of the attention, that are kept: the whole is too large to look at. */
const FEATURE_STEP = 8;
const ATTENTION_STEP = 256;

/**
 * Runs the model on one pair; the driving keypoints are taken as they are (absolute motion).
 *
 * In the shapes, K is the number of keypoints, `h` and `w` are the motion field's height and width (64 at 256):
 * `source`, `driving`, `deformed`, `prediction` [1, 3, H, W]; `source_disp0` to `3` [1, 1, H / 2^s, W / 2^s],
 * `driving_disp0`; `kp_source.value` [1, K, 2], `kp_source.jacobian` [1, K, 2, 2], `kp_driving.*`; `mask`
 * [1, K + 1, h, w]; `sparse_deformed` [1, K + 1, 3, h, w]; `deformation` [1, h, w, 2]; `occlusion_map` [1, 1, h, w];
 * `kept_pixels` [1, 1, H, W]; `source_feature_every8`, `warped_feature_every8`, `refined_feature_every8` [1, C / 8, h, w];
 * `attention_rows_every256` [1, h w / 256, h w]. Other systems have tensors of other names, those of their own published code.
 * Landmarks that refine the field (`landmarkReach`) are in `mask`, but not in `sparse_deformed`: the network does not see them.
 * What a model does not have is not there; nor is what the engine does not
 * give (`Inspection.tensors`).
 *
 * @param engine gets the portrait; it stays the caller's
 * @param pictures of the engine's size; `others` are further portraits of the source's person, for models that merge several
 */
export async function inspectPair(
  engine: Engine,
  { source, driving, others = [] }: { source: Picture; driving: Picture; others?: readonly Picture[] },
): Promise<Map<string, TensorValues>> {
  if (others.length > 0) requireMerging(engine);
  const portrait = await engine.setSource(source, { others });
  const [frame] = (await engine.drive([driving], { withDisparity: true })) as [Analysis];
  const { attention, tensors } = await engine.inspect(frame.keypoints, { withTensors: true, driving });
  const found: [string, TensorValues | null][] = [
    ['source', picturesToValues([source])],
    ['driving', picturesToValues([driving])],
    ['source_disp0', portrait.disparity && mapValues(portrait.disparity)],
    ['driving_disp0', frame.disparity && mapValues(frame.disparity)],
    ...keypointValues('kp_source', portrait.keypoints, engine.motion),
    ...keypointValues('kp_driving', frame.keypoints, engine.motion),
    ...[...tensors!].map(([name, value]): [string, TensorValues] =>
      name.endsWith('_feature') ? [`${name}_every${FEATURE_STEP}`, everyNth(value, FEATURE_STEP)] : [name, value],
    ),
    ['attention_rows_every256', attention && rowsOf(attention)],
  ];
  return new Map(found.flatMap(([name, values]) => (values ? [[name, values] as const] : [])));
}

const mapValues = ({ width, height, data }: ScalarMap): TensorValues => ({ shape: [1, 1, height, width], data });

function keypointValues(
  name: string,
  { value, jacobian }: KeypointSet,
  { dimensions, matrices }: MotionSpace = PLANE,
): [string, TensorValues | null][] {
  const count = value.length / dimensions;
  const matrix = matrices === 'covariances' ? 'var' : 'jacobian';
  return [
    [`${name}.value`, { shape: [1, count, dimensions], data: value }],
    [`${name}.${matrix}`, jacobian && { shape: [1, count, dimensions, dimensions], data: jacobian }],
  ];
}

/** Every so many-th row: [1, R, h w]. */
function rowsOf(attention: AttentionFactors): TensorValues {
  const places = attention.width * attention.height;
  const rows = Math.ceil(places / ATTENTION_STEP);
  const data = new Float32Array(rows * places);
  for (let i = 0; i < rows; i++) data.set(attentionRow(attention, i * ATTENTION_STEP).data, i * places);
  return { shape: [1, rows, places], data };
}
