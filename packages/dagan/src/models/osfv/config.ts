// The configuration of OSFV, and the published one.
import {
  type Check,
  fields,
  flag,
  oneOf,
  positive,
  RANGES,
  unitFraction,
  wholeNumber,
} from '../config/config-check.js';
import type { HourglassConfig } from '../hourglass.js';

export type OsfvConfig = {
  system: 'osfv';
  /** Keypoints in space. */
  numKeypoints: number;
  /** Whether keypoints have 3x3 jacobians; the published models have none. */
  estimateJacobian: boolean;
  /** Slices of all volumes, along the line of sight. */
  depth: number;
  /** The detector of canonical keypoints; its deepest features become a volume by a 1x1 convolution. */
  keypointDetector: HourglassConfig & {
    /** Of the softmax over the volume; lower is sharper. */
    temperature: number;
    /** The detector sees the picture at this scale. */
    scaleFactor: number;
  };
  headEstimator: {
    /** Channels of its stem; a ResNet-50 has 64. */
    width: number;
    /** Classes of each angle, three degrees each. */
    numBins: number;
  };
  generator: {
    /** Channels at the picture's size; every halving doubles them. */
    blockExpansion: number;
    maxFeatures: number;
    numDownBlocks: number;
    /** Channels of the feature volume. */
    volumeChannels: number;
    /** Residual blocks on the feature volume. */
    numVolumeBlocks: number;
    /** Residual blocks of the `residual` decoder, and SPADE blocks in the middle of the `spade` one. */
    numBottleneckBlocks: number;
    decoder: 'residual' | 'spade';
    denseMotion: HourglassConfig & {
      /** Channels to which the feature volume is compressed for the motion network. */
      compress: number;
      /** Variance of the keypoints' heatmaps, in units of the [-1, 1] cube. */
      keypointVariance: number;
    };
  };
};

/** The published `vox-256`: residual decoder, no jacobians. */
export const OSFV_VOX_256: OsfvConfig = {
  system: 'osfv',
  numKeypoints: 15,
  estimateJacobian: false,
  depth: 16,
  keypointDetector: { blockExpansion: 32, maxFeatures: 1024, numBlocks: 5, temperature: 0.1, scaleFactor: 0.25 },
  headEstimator: { width: 64, numBins: 66 },
  generator: {
    blockExpansion: 64,
    maxFeatures: 512,
    numDownBlocks: 2,
    volumeChannels: 32,
    numVolumeBlocks: 6,
    numBottleneckBlocks: 6,
    decoder: 'residual',
    denseMotion: { blockExpansion: 32, maxFeatures: 1024, numBlocks: 5, compress: 4, keypointVariance: 0.01 },
  },
};

/** OSFV models by name. */
export const OSFV_PRESETS = {
  osfv: OSFV_VOX_256,
  'osfv-spade': { ...OSFV_VOX_256, generator: { ...OSFV_VOX_256.generator, decoder: 'spade' } },
} as const satisfies Record<string, OsfvConfig>;

const hourglass = {
  blockExpansion: RANGES.blockExpansion,
  maxFeatures: RANGES.maxFeatures,
  numBlocks: RANGES.numBlocks,
};

const osfvConfig = fields<OsfvConfig>({
  system: oneOf('osfv'),
  numKeypoints: RANGES.numKeypoints,
  estimateJacobian: flag,
  depth: wholeNumber(2, 64),
  keypointDetector: fields({ ...hourglass, temperature: positive, scaleFactor: unitFraction }),
  headEstimator: fields({ width: wholeNumber(4, 256), numBins: wholeNumber(2, 360) }),
  generator: fields({
    blockExpansion: RANGES.blockExpansion,
    maxFeatures: RANGES.maxFeatures,
    numDownBlocks: RANGES.numDownBlocks,
    volumeChannels: wholeNumber(1, 256),
    numVolumeBlocks: RANGES.numBottleneckBlocks,
    numBottleneckBlocks: RANGES.numBottleneckBlocks,
    decoder: oneOf('residual', 'spade'),
    denseMotion: fields({ ...hourglass, compress: wholeNumber(1, 64), keypointVariance: positive }),
  }),
});

/** A configuration from a value of unknown origin. @throws ConfigError */
export const checkOsfvConfig: Check<OsfvConfig> = (value, path) => osfvConfig(value, path);

/** What sides of pictures must be multiples of: the networks halve them as often as they do. */
export function osfvSizeMultiple({ keypointDetector, generator }: OsfvConfig): number {
  const detector = Math.round(2 ** keypointDetector.numBlocks / keypointDetector.scaleFactor);
  const motion = 2 ** (generator.numDownBlocks + generator.denseMotion.numBlocks);
  return Math.max(detector, motion, 32); // all are powers of two but for odd scale factors
}
