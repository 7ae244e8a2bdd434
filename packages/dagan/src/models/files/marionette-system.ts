// MarioNETte as a system, with and without its landmark transformer.
import { ConfigError, fields, nullable, oneOf, RANGES, wholeNumber } from '../config/config-check.js';
import { LANDMARK_POINTS } from '../drawn-landmarks.js';
import type { LandmarkTransformerConfig, MarionetteConfig } from '../marionette/config.js';
import { Marionette } from '../marionette/marionette.js';
import { MARIONETTE_NAMES } from '../marionette/names.js';
import { hourglassWidths, type System } from '../system.js';
import { ArchitectureError } from './located.js';

const check = fields<MarionetteConfig>({
  system: oneOf('marionette'),
  blockExpansion: RANGES.blockExpansion,
  maxFeatures: RANGES.maxFeatures,
  numDownBlocks: RANGES.numDownBlocks,
  numAttentionBlocks: RANGES.numBottleneckBlocks,
  landmarkTransformer: nullable(
    fields<LandmarkTransformerConfig>({ numExpressions: wholeNumber(1, 136), hidden: wholeNumber(1, 4096) }),
  ),
});

export const MARIONETTE: System = {
  name: 'marionette',
  meshPoints: LANDMARK_POINTS,
  owns: (name) => MARIONETTE_NAMES.parts.some((part) => name.startsWith(part)),
  names: MARIONETTE_NAMES,
  checkConfig,
  inferConfig: () => {
    throw new ArchitectureError('has tensors of MarioNETte but not its configuration, which our files bring along');
  },
  build: (config) => new Marionette(config as MarionetteConfig),
  describe: (config) => describe(config as MarionetteConfig),
  // Drawings shrink to 16 x 16, as the paper's do.
  sized: (config, wanted): MarionetteConfig => {
    const numDownBlocks = Math.max(1, Math.log2(wanted.size) - 4);
    return { ...(config as MarionetteConfig), ...hourglassWidths(wanted), numDownBlocks };
  },
};

function checkConfig(value: unknown): MarionetteConfig {
  const config = check(value, '');
  const { blockExpansion, maxFeatures } = config;
  if (maxFeatures < blockExpansion) {
    throw new ConfigError(`maxFeatures is ${maxFeatures}, less than the blockExpansion of ${blockExpansion}`);
  }
  for (const [name, channels] of Object.entries({ blockExpansion, maxFeatures })) {
    if (channels % 4 === 0) continue;
    throw new ConfigError(`${name} must be a multiple of 4, for sines and cosines of two coordinates, not ${channels}`);
  }
  return config;
}

/** "MarioNETte+LT: 68 landmarks of the face mesh, drawn; 3 attention blocks, widths 64 to 512" */
function describe(config: MarionetteConfig): string {
  const { blockExpansion, maxFeatures, numAttentionBlocks, landmarkTransformer } = config;
  const name = landmarkTransformer ? 'MarioNETte+LT' : 'MarioNETte';
  const drawn = `${LANDMARK_POINTS.length} landmarks of the face mesh, drawn`;
  return `${name}: ${drawn}; ${numAttentionBlocks} attention blocks, widths ${blockExpansion} to ${maxFeatures}`;
}
