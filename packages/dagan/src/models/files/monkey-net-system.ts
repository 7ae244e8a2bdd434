// Monkey-Net as a system.
import { ConfigError, fields, hourglassChecks, oneOf, RANGES } from '../config/config-check.js';
import { MonkeyNet, type MonkeyNetConfig } from '../monkey-net/monkey-net.js';
import { MONKEY_NET_NAMES } from '../monkey-net/names.js';
import { hourglassWidths, type ModelSize, type NamedShapes, type System } from '../system.js';
import { channelCap, count, hourglass, need } from './infer-config.js';

/** Of the published configuration, where too few levels tell it. */
const USUAL_CAP = 1024;

const check = fields<MonkeyNetConfig>({
  system: oneOf('monkey-net'),
  numKeypoints: RANGES.numKeypoints,
  keypointDetector: fields(hourglassChecks),
  generator: fields({
    ...hourglassChecks,
    numRefinementBlocks: RANGES.numBottleneckBlocks,
    denseMotion: fields(hourglassChecks),
  }),
});

export const MONKEY_NET: System = {
  name: 'monkey-net',
  owns: (name) => name.startsWith('generator.dense_motion.parts.') || name.startsWith('keypoint_detector.heatmap.'),
  names: MONKEY_NET_NAMES,
  checkConfig,
  inferConfig,
  build: (config) => new MonkeyNet(config as MonkeyNetConfig),
  describe: (config) => describe(config as MonkeyNetConfig),
  sized: (config, wanted) => sized(config as MonkeyNetConfig, wanted),
};

function sized(config: MonkeyNetConfig, wanted: ModelSize): MonkeyNetConfig {
  const { keypointDetector, generator } = config;
  const widths = hourglassWidths(wanted);
  return {
    ...config,
    keypointDetector: { ...keypointDetector, ...widths },
    generator: { ...generator, ...widths, denseMotion: { ...generator.denseMotion, ...widths } },
  };
}

function checkConfig(value: unknown): MonkeyNetConfig {
  const config = check(value, '');
  const { keypointDetector, generator } = config;
  const parts = { keypointDetector, generator, 'generator.denseMotion': generator.denseMotion };
  for (const [path, { blockExpansion, maxFeatures }] of Object.entries(parts)) {
    if (maxFeatures >= blockExpansion) continue;
    throw new ConfigError(`${path}.maxFeatures is ${maxFeatures}, less than its blockExpansion of ${blockExpansion}`);
  }
  return config;
}

function inferConfig(tensors: NamedShapes): MonkeyNetConfig {
  const what = 'no Monkey-Net';
  const numBlocks = count(tensors, 'generator.appearance_encoder.down_blocks.', '.conv.weight');
  const width = (side: string, i: number): number => need(tensors, `generator.${side}.${i}.conv.weight`, what)[0]!;
  const widths = Array.from({ length: numBlocks }, (_, i) => width('appearance_encoder.down_blocks', i));
  const blockExpansion = width('video_decoder.up_blocks', numBlocks - 1);
  return {
    system: 'monkey-net',
    numKeypoints: need(tensors, 'keypoint_detector.heatmap.weight', what)[0]!,
    keypointDetector: hourglass(tensors, 'keypoint_detector.predictor', what),
    generator: {
      blockExpansion,
      maxFeatures: channelCap(blockExpansion, widths, USUAL_CAP),
      numBlocks,
      numRefinementBlocks: count(tensors, 'generator.refinement.', '.conv1.weight'),
      denseMotion: hourglass(tensors, 'generator.dense_motion.hourglass', what),
    },
  };
}

/** "Monkey-Net: 10 keypoints with covariances; a U-Net of 7 blocks, widths 32 to 1024" */
function describe({ numKeypoints, generator: { numBlocks, blockExpansion, maxFeatures } }: MonkeyNetConfig): string {
  const net = `a U-Net of ${numBlocks} blocks, widths ${blockExpansion} to ${maxFeatures}`;
  return `Monkey-Net: ${numKeypoints} keypoints with covariances; ${net}`;
}
