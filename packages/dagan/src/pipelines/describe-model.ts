// What a model is, in words.
import { isDeepStrictEqual } from 'node:util';
import type { Manifest } from '../export/manifest.js';
import { keepsPixels, MODEL_PRESETS, type ModelConfig } from '../models/config/config.js';

/** "dagan: 15 keypoints with jacobians; ResNet-18 face depth for keypoints and attention; residual decoder" */
export function describeModel(config: ModelConfig): string {
  const preset = Object.entries(MODEL_PRESETS).find(([, each]) => isDeepStrictEqual({ ...each }, { ...config }));
  const { depth, depthGuidedKeypoints, generator, semanticKeypoints = {} } = config;
  const named = Object.keys(semanticKeypoints).length;
  const attends = generator.attention !== 'none';
  const uses = [...(depthGuidedKeypoints ? ['keypoints'] : []), ...(attends ? ['attention'] : [])].join(' and ');
  const parts = [
    `${config.numKeypoints} keypoints ${config.estimateJacobian ? 'with jacobians' : 'without jacobians'}`,
    ...(named > 0 ? [`${named} of them on landmarks of the face`] : []),
    depth ? `ResNet-${depth.layers} face depth for ${uses}` : 'no face depth',
    `${generator.decoder === 'spade' ? 'SPADE' : generator.decoder} decoder`,
    ...(keepsPixels(generator) ? ['pixels of the source kept'] : []),
    ...(generator.estimateOcclusionMap ? [] : ['no occlusion map']),
    ...(generator.attention === 'literal' ? ['attention as in Eq. 9'] : []),
  ];
  const widths = `widths ${generator.blockExpansion} to ${generator.maxFeatures}`;
  return `${preset?.[0] ?? `custom (${widths})`}: ${parts.join('; ')}`;
}

/** "float32, weights in float16; pictures of any multiple of 128" */
export function describeExport({ precision, weights, size, multiple }: Manifest): string {
  const stored = weights.type === precision ? precision : `${precision}, weights in ${weights.type}`;
  return `${stored}; pictures of ${size === undefined ? `any multiple of ${multiple}` : `${size} x ${size}`}`;
}
