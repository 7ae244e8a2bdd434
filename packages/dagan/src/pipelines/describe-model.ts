// What a model is, in words.
import type { Manifest } from '../export/manifest.js';
import type { SystemConfig } from '../models/animation-model.js';
import { systemOf } from '../models/files/systems.js';

/** "dagan: 15 keypoints with jacobians; ResNet-18 face depth for keypoints and attention; residual decoder" */
export const describeModel = (config: SystemConfig): string => systemOf(config).describe(config);

/** "float32 and int8, weights in float16; pictures of any multiple of 128" */
export function describeExport({ precision, int8, weights, size, multiple }: Manifest): string {
  const computed = int8 ? `${precision} and int8` : precision;
  const stored = weights.type === precision ? computed : `${computed}, weights in ${weights.type}`;
  return `${stored}; pictures of ${size === undefined ? `any multiple of ${multiple}` : `${size} x ${size}`}`;
}
