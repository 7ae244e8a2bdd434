// X2Face as a system.
import { fields, oneOf, RANGES, wholeNumber } from '../config/config-check.js';
import { hourglassWidths, type NamedShapes, type System } from '../system.js';
import { X2FACE_NAMES } from '../x2face/names.js';
import { X2Face, type X2FaceConfig } from '../x2face/x2face.js';
import { count, need } from './infer-config.js';

const check = fields<X2FaceConfig>({
  system: oneOf('x2face'),
  numLevels: wholeNumber(2, 12),
  blockExpansion: RANGES.blockExpansion,
  maxFeatures: RANGES.maxFeatures,
  codeChannels: wholeNumber(1, 4096),
});

export const X2FACE: System = {
  name: 'x2face',
  owns: (name) => X2FACE_NAMES.parts.some((part) => name.startsWith(part)),
  names: X2FACE_NAMES,
  checkConfig: (value) => check(value, ''),
  inferConfig,
  build: (config) => new X2Face(config as X2FaceConfig),
  describe: (config) => describe(config as X2FaceConfig),
  // Pictures are halved down to one place; the published one has eight levels for 256 x 256.
  sized: (config, wanted): X2FaceConfig => ({
    ...(config as X2FaceConfig),
    ...{ ...hourglassWidths(wanted), codeChannels: 4 * wanted.channels, numLevels: Math.log2(wanted.size) },
  }),
};

function inferConfig(tensors: NamedShapes): X2FaceConfig {
  const numLevels = count(tensors, 'driving_network.down.', '.conv.weight');
  const width = (network: string, level: number): number =>
    need(tensors, `${network}.down.${level}.conv.weight`, `no ${network.replace('_', ' ')}`)[0]!;
  return {
    system: 'x2face',
    numLevels,
    blockExpansion: width('driving_network', 0),
    maxFeatures: width('embedding_network', numLevels - 1),
    codeChannels: width('driving_network', numLevels - 1),
  };
}

/** "X2Face: a code of 128 numbers, 8 levels of 64 to 512 channels, for pictures of 256 x 256" */
function describe({ numLevels, blockExpansion, maxFeatures, codeChannels }: X2FaceConfig): string {
  const side = 2 ** numLevels;
  const levels = `${numLevels} levels of ${blockExpansion} to ${maxFeatures} channels`;
  return `X2Face: a code of ${codeChannels} numbers, ${levels}, for pictures of ${side} x ${side}`;
}
