// DaGAN and the first-order model as a system: one configuration covers both.
import { isDeepStrictEqual } from 'node:util';
import { keepsPixels, MODEL_PRESETS, type ModelConfig } from '../config/config.js';
import { checkModelConfig } from '../config/config-check.js';
import { DaGAN } from '../dagan.js';
import type { System } from '../system.js';
import { inferConfig } from './infer-config.js';

export const DAGAN: System = {
  name: 'dagan',
  owns: (name) => name.startsWith('generator.') || name.startsWith('keypoint_detector.'),
  names: {
    parts: ['generator.', 'keypoint_detector.', 'depth_network.encoder.', 'depth_network.decoder.'],
    rows: [],
  },
  checkConfig: checkModelConfig,
  inferConfig,
  build: (config) => new DaGAN(config as ModelConfig),
  describe: (config) => describe(config as ModelConfig),
};

/** "dagan: 15 keypoints with jacobians; ResNet-18 face depth for keypoints and attention; residual decoder" */
function describe(config: ModelConfig): string {
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
