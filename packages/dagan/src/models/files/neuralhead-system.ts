// NeuralHead-FF as a system.
import { ConfigError, fields, oneOf, RANGES } from '../config/config-check.js';
import { LANDMARK_POINTS } from '../drawn-landmarks.js';
import { blockWidths } from '../landmark-blocks.js';
import type { NeuralHeadConfig } from '../neuralhead/config.js';
import { NEURALHEAD_NAMES } from '../neuralhead/names.js';
import { NeuralHead } from '../neuralhead/neuralhead.js';
import { hourglassWidths, type System } from '../system.js';
import { ArchitectureError } from './located.js';

const check = fields<NeuralHeadConfig>({
  system: oneOf('neuralhead-ff'),
  blockExpansion: RANGES.blockExpansion,
  maxFeatures: RANGES.maxFeatures,
  numEmbedderBlocks: RANGES.numBlocks,
  numDownBlocks: RANGES.numDownBlocks,
  numBottleneckBlocks: RANGES.numBottleneckBlocks,
});

export const NEURALHEAD: System = {
  name: 'neuralhead-ff',
  meshPoints: LANDMARK_POINTS,
  owns: (name) => NEURALHEAD_NAMES.parts.some((part) => name.startsWith(part)),
  names: NEURALHEAD_NAMES,
  checkConfig(value) {
    const config = check(value, '');
    const { blockExpansion, maxFeatures } = config;
    if (maxFeatures >= blockExpansion) return config;
    throw new ConfigError(`maxFeatures is ${maxFeatures}, less than the blockExpansion of ${blockExpansion}`);
  },
  inferConfig: () => {
    throw new ArchitectureError('has tensors of NeuralHead-FF but not its configuration, which our files bring along');
  },
  build: (config) => new NeuralHead(config as NeuralHeadConfig),
  describe: (config) => describe(config as NeuralHeadConfig),
  // Drawings shrink to 16 x 16, as the paper's do, and portraits to 4 x 4.
  sized: (config, wanted): NeuralHeadConfig => {
    const halvings = Math.log2(wanted.size);
    const blocks = { numEmbedderBlocks: halvings - 2, numDownBlocks: Math.max(1, halvings - 4) };
    return { ...(config as NeuralHeadConfig), ...hourglassWidths(wanted), ...blocks };
  },
};

/** "NeuralHead-FF: 68 landmarks of the face mesh, drawn; an embedding of 512 numbers, widths 64 to 512" */
function describe({ blockExpansion, maxFeatures, numEmbedderBlocks }: NeuralHeadConfig): string {
  const drawn = `${LANDMARK_POINTS.length} landmarks of the face mesh, drawn`;
  const length = blockWidths(numEmbedderBlocks, { blockExpansion, maxFeatures }).at(-1)!;
  return `NeuralHead-FF: ${drawn}; an embedding of ${length} numbers, widths ${blockExpansion} to ${maxFeatures}`;
}
