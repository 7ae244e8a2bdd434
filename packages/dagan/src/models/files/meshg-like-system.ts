// Models like MeshG as a system: ours alone, so that their files say their configuration.
import { fields, hourglassChecks, oneOf, RANGES, unitFraction, wholeNumber } from '../config/config-check.js';
import { MeshGLike, type MeshGLikeConfig } from '../meshg-like/meshg-like.js';
import { MESHG_LIKE_NAMES } from '../meshg-like/names.js';
import { hourglassWidths, type ModelSize, type System } from '../system.js';
import { ArchitectureError } from './located.js';

const numbers = wholeNumber(1, 4096);

const check = fields<MeshGLikeConfig>({
  system: oneOf('meshg-like'),
  numVertices: numbers,
  fitter: fields({ ...hourglassChecks, scaleFactor: unitFraction, numIdentities: numbers, numExpressions: numbers }),
  motion: fields({ graphChannels: numbers, latent: numbers, blockExpansion: RANGES.blockExpansion }),
  generator: fields({
    blockExpansion: RANGES.blockExpansion,
    maxFeatures: RANGES.maxFeatures,
    numDownBlocks: RANGES.numDownBlocks,
    numBottleneckBlocks: RANGES.numBottleneckBlocks,
  }),
});

export const MESHG_LIKE: System = {
  name: 'meshg-like',
  owns: (name) => name.startsWith('face_fitter.') || name.startsWith('motion_network.graph.'),
  names: MESHG_LIKE_NAMES,
  checkConfig: (value) => check(value, ''),
  inferConfig: () => {
    throw new ArchitectureError('holds a model like MeshG without its configuration, which its tensors do not tell');
  },
  build: (config) => new MeshGLike(config as MeshGLikeConfig),
  describe: (config) => describe(config as MeshGLikeConfig),
  sized: (config, wanted) => sized(config as MeshGLikeConfig, wanted),
};

/** The side at which the fitter sees pictures. */
const FITTER_SIDE = 64;

function sized(config: MeshGLikeConfig, wanted: ModelSize): MeshGLikeConfig {
  const { channels, size } = wanted;
  return {
    ...config,
    fitter: { ...config.fitter, ...hourglassWidths(wanted), scaleFactor: Math.min(1, FITTER_SIDE / size) },
    motion: { graphChannels: 4 * channels, latent: 16 * channels, blockExpansion: channels },
    generator: { ...config.generator, blockExpansion: channels, maxFeatures: 4 * channels },
  };
}

/** "like MeshG (ours): a mesh of 148 vertices; generator of 64 to 256 channels" */
function describe({ numVertices, generator: { blockExpansion, maxFeatures } }: MeshGLikeConfig): string {
  return `like MeshG (ours): a mesh of ${numVertices} vertices; generator of ${blockExpansion} to ${maxFeatures} channels`;
}
