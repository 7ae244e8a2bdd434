// OSFV (face-vid2vid) as a system: published checkpoints of zhanglonghao1992 and SadTalker, and models trained here.
import { isDeepStrictEqual } from 'node:util';
import { ConfigError } from '../config/config-check.js';
import { checkOsfvConfig, OSFV_PRESETS, OSFV_VOX_256, type OsfvConfig } from '../osfv/config.js';
import { OSFV_NAMES } from '../osfv/names.js';
import { Osfv } from '../osfv/osfv.js';
import { hourglassWidths, type ModelSize, type NamedShapes, type System } from '../system.js';
import { channelCap, count, downScale, need } from './infer-config.js';
import { ArchitectureError } from './located.js';

export const OSFV: System = {
  name: 'osfv',
  owns: (name) => name.startsWith('head_estimator.') || name.startsWith('generator.volume_blocks.'),
  names: OSFV_NAMES,
  checkConfig: (value) => checkOsfvConfig(value, ''),
  inferConfig,
  build: (config) => new Osfv(config as OsfvConfig),
  describe: (config) => describe(config as OsfvConfig),
  sized: (config, wanted) => sized(config as OsfvConfig, wanted),
};

/** The side at which the published detector sees pictures. */
const DETECTOR_SIDE = 64;

function sized(config: OsfvConfig, wanted: ModelSize): OsfvConfig {
  const { keypointDetector, headEstimator, generator } = config;
  const { channels, size } = wanted;
  const widths = hourglassWidths(wanted);
  return {
    ...config,
    keypointDetector: { ...keypointDetector, ...widths, scaleFactor: Math.min(1, DETECTOR_SIDE / size) },
    headEstimator: { ...headEstimator, width: channels },
    generator: {
      ...generator,
      ...{ blockExpansion: channels, maxFeatures: 4 * channels, volumeChannels: channels / 2 },
      denseMotion: { ...generator.denseMotion, ...widths },
    },
  };
}

/** The usual caps on channels, which no tensor tells where they do not count. */
const CAPS = { detector: OSFV_VOX_256.keypointDetector.maxFeatures, generator: OSFV_VOX_256.generator.maxFeatures };

function inferConfig(tensors: NamedShapes): OsfvConfig {
  const shapeOf = (name: string, what: string): readonly number[] => need(tensors, name, what);
  const detector = 'keypoint_detector.predictor';
  const noDetector = 'no canonical keypoint detector';
  const noHead = 'no head pose estimator';
  const noGenerator = 'no generator';
  const numBlocks = count(tensors, `${detector}.down_blocks.`, '.conv.weight');
  const down = Array.from(
    { length: numBlocks },
    (_, i) => shapeOf(`${detector}.down_blocks.${i}.conv.weight`, noDetector)[0]!,
  );
  const kp = shapeOf('keypoint_detector.kp.weight', noDetector); // [K, C, 3, 3, 3]
  const [risen, deepest] = shapeOf(`${detector}.conv.weight`, noDetector) as [number, number];
  const motion = 'generator.dense_motion_network';
  const motionBlocks = count(tensors, `${motion}.hourglass.encoder.down_blocks.`, '.conv.weight');
  const motionWidths = Array.from(
    { length: motionBlocks },
    (_, i) => shapeOf(`${motion}.hourglass.encoder.down_blocks.${i}.conv.weight`, noGenerator)[0]!,
  );
  const narrowest = shapeOf(`${motion}.hourglass.decoder.up_blocks.${motionBlocks - 1}.conv.weight`, noGenerator)[0]!;
  const [compress, volumeChannels] = shapeOf(`${motion}.compress.weight`, noGenerator) as [number, number];
  const blockExpansion = shapeOf('generator.first.conv.weight', noGenerator)[0]!;
  const numDownBlocks = count(tensors, 'generator.down_blocks.', '.conv.weight');
  const widths = Array.from(
    { length: numDownBlocks },
    (_, i) => shapeOf(`generator.down_blocks.${i}.conv.weight`, noGenerator)[0]!,
  );
  const spade = tensors.has('generator.decoder.fc.weight');
  const [numBins] = shapeOf('head_estimator.fc_yaw.weight', noHead) as [number, number];
  try {
    return checkOsfvConfig(
      {
        system: 'osfv',
        numKeypoints: kp[0]!,
        estimateJacobian: tensors.has('keypoint_detector.jacobian.weight'),
        depth: risen / deepest,
        keypointDetector: {
          blockExpansion: kp[1]!,
          maxFeatures: channelCap(kp[1]!, down, CAPS.detector),
          numBlocks,
          temperature: OSFV_VOX_256.keypointDetector.temperature,
          scaleFactor: downScale(tensors, 'keypoint_detector.down.weight'),
        },
        headEstimator: { width: shapeOf('head_estimator.conv1.weight', noHead)[0]!, numBins },
        generator: {
          blockExpansion,
          maxFeatures: channelCap(blockExpansion, widths, CAPS.generator),
          numDownBlocks,
          volumeChannels,
          numVolumeBlocks: count(tensors, 'generator.volume_blocks.', '.conv1.weight'),
          numBottleneckBlocks: spade
            ? count(tensors, 'generator.decoder.middle.', '.conv0.weight_orig')
            : count(tensors, 'generator.decoder.bottleneck.', '.conv1.weight'),
          decoder: spade ? 'spade' : 'residual',
          denseMotion: {
            blockExpansion: narrowest,
            maxFeatures: channelCap(narrowest, motionWidths, CAPS.detector),
            numBlocks: motionBlocks,
            compress,
            keypointVariance: OSFV_VOX_256.generator.denseMotion.keypointVariance,
          },
        },
      },
      '',
    );
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ArchitectureError(error.message, { cause: error });
  }
}

/** "osfv: 15 keypoints in space without jacobians; head pose in 66 classes; volume of 32 x 16; residual decoder" */
function describe(config: OsfvConfig): string {
  const preset = Object.entries(OSFV_PRESETS).find(([, each]) => isDeepStrictEqual({ ...each }, { ...config }));
  const { numKeypoints, estimateJacobian, depth, headEstimator, keypointDetector, generator } = config;
  const parts = [
    `${numKeypoints} keypoints in space ${estimateJacobian ? 'with' : 'without'} jacobians`,
    `head pose in ${headEstimator.numBins} classes`,
    `volume of ${generator.volumeChannels} channels, ${depth} deep`,
    `${generator.decoder === 'spade' ? 'SPADE' : generator.decoder} decoder`,
    ...(keypointDetector.scaleFactor === 1 ? ['detector at full size'] : []),
  ];
  const widths = `widths ${generator.blockExpansion} to ${generator.maxFeatures}`;
  return `${preset?.[0] ?? `custom osfv (${widths})`}: ${parts.join('; ')}`;
}
