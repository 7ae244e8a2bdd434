// Configurations in the layout of the published YAML files (`vox-adv-256.yaml`; the first-order motion model's are alike).
import { readFileSync, statSync } from 'node:fs';
import { parseDocument } from 'yaml';
import type { ModelConfig } from '../config/config.js';
import {
  ConfigError,
  checkModelConfig,
  fields,
  flag,
  mapping,
  oneOf,
  optional,
  positive,
  RANGES,
  unitFraction,
} from '../config/config-check.js';
import type { DepthConfig } from '../depth-network.js';
import type { GeneratorConfig } from '../generator.js';

/** What the published programs take from their command lines and classes, because their files do not say it. */
export type PublishedConfigOptions = {
  /** Replaces the file's number of keypoints, as the published flag `--kp_num` does. */
  numKeypoints?: number;
  /** The face-depth network, ResNet-18 by default; null for the first-order model. */
  depth?: DepthConfig | null;
  /** By default where there is a depth network. */
  depthGuidedKeypoints?: boolean;
  /** By default `residual` where there is a depth network, else `none`. */
  attention?: GeneratorConfig['attention'];
  /** `spade` for the published class `SPADEDepthAwareGenerator`; `residual` by default. */
  decoder?: GeneratorConfig['decoder'];
};

/** A whole file is a few kilobytes; what is much larger is something else. */
const MAX_BYTES = 2 ** 20;

/** Values that aliases may stand for, times their number. */
const MAX_ALIASES = 100;

/** Checks of a published hourglass. Here and below, defaults are those of the published constructors. */
const hourglass = {
  block_expansion: RANGES.blockExpansion,
  max_features: RANGES.maxFeatures,
  num_blocks: RANGES.numBlocks,
  scale_factor: optional(unitFraction, 1),
};

const section = optional(mapping, {});

const modelParams = fields({
  common_params: fields({
    num_kp: RANGES.numKeypoints,
    num_channels: oneOf(3),
    estimate_jacobian: optional(flag, false),
  }),
  kp_detector_params: fields({ ...hourglass, temperature: positive }),
  generator_params: fields({
    block_expansion: RANGES.blockExpansion,
    max_features: RANGES.maxFeatures,
    num_down_blocks: RANGES.numDownBlocks,
    num_bottleneck_blocks: RANGES.numBottleneckBlocks,
    estimate_occlusion_map: optional(flag, false),
    dense_motion_params: fields({ ...hourglass, kp_variance: optional(positive, 0.01) }),
  }),
  discriminator_params: section,
});

const published = fields({
  dataset_params: section,
  model_params: modelParams,
  train_params: section,
  reconstruction_params: section,
  animate_params: section,
  visualizer_params: section,
});

/** A published hourglass in our names. */
const hourglassOf = (params: {
  block_expansion: number;
  max_features: number;
  num_blocks: number;
  scale_factor: number;
}) => ({
  blockExpansion: params.block_expansion,
  maxFeatures: params.max_features,
  numBlocks: params.num_blocks,
  scaleFactor: params.scale_factor,
});

/**
 * The model that a YAML text of the published layout describes. Sections about data and training may be there; they are
 * not looked into. Nothing in the text is run: unknown tags, duplicate keys and expanding aliases are refused.
 *
 * @throws ConfigError, naming the path of the first value that is missing, unknown or impossible
 */
export function configFromYaml(text: string, options: PublishedConfigOptions = {}): ModelConfig {
  const { model_params: params } = published(parseYaml(text), '');
  const { common_params: common, kp_detector_params: detector, generator_params: generator } = params;
  const { depth = { layers: 18 }, decoder = 'residual' } = options;
  return checkModelConfig({
    numKeypoints: options.numKeypoints ?? common.num_kp,
    estimateJacobian: common.estimate_jacobian,
    depthGuidedKeypoints: options.depthGuidedKeypoints ?? depth !== null,
    depth,
    keypointDetector: { ...hourglassOf(detector), temperature: detector.temperature },
    generator: {
      blockExpansion: generator.block_expansion,
      maxFeatures: generator.max_features,
      numDownBlocks: generator.num_down_blocks,
      numBottleneckBlocks: generator.num_bottleneck_blocks,
      estimateOcclusionMap: generator.estimate_occlusion_map,
      attention: options.attention ?? (depth === null ? 'none' : 'residual'),
      decoder,
      denseMotion: {
        ...hourglassOf(generator.dense_motion_params),
        keypointVariance: generator.dense_motion_params.kp_variance,
      },
    },
  });
}

/**
 * The same from a file.
 *
 * @throws ConfigError, naming the file
 */
export function readYamlConfig(path: string, options: PublishedConfigOptions = {}): ModelConfig {
  try {
    const { size } = statSync(path);
    if (size > MAX_BYTES) throw new ConfigError(`has ${size} bytes; a configuration has at most ${MAX_BYTES}`);
    return configFromYaml(readFileSync(path, 'utf8'), options);
  } catch (error) {
    throw new ConfigError(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

function parseYaml(text: string): unknown {
  const document = parseDocument(text, { resolveKnownTags: false });
  const [problem] = [...document.errors, ...document.warnings];
  if (problem) throw new ConfigError(`is not a YAML text that can be read: ${problem.message.split('\n', 1)[0]}`);
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    throw new ConfigError(`is not a YAML text that can be read: ${(error as Error).message}`);
  }
}
