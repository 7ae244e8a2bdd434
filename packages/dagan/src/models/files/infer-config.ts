// The configuration of a model that does not bring it, read off the names and shapes of its tensors.
import { withCode } from '../../errors.js';
import type { ModelConfig } from '../config/config.js';
import { ConfigError, checkModelConfig } from '../config/config-check.js';
import type { DepthConfig } from '../depth-network.js';
import type { HourglassConfig } from '../hourglass.js';
import type { PoseConfig } from '../pose-network.js';
import { RESNET_WIDTHS } from '../resnet.js';
import type { NamedShapes } from '../system.js';
import { ArchitectureError } from './located.js';
import { missingTensor, nameAlike, strangers } from './names.js';

/** What no tensor tells; the published configuration's values. */
const TEMPERATURE = 0.1;
const KEYPOINT_VARIANCE = 0.01;
const GENERATOR_CAP = 512;
const HOURGLASS_CAP = 1024;
const BOTTLENECK_BLOCKS = 6;

/** The shape of a tensor that must be there. @param what is lacking without it, as a sentence begins */
export function need(tensors: NamedShapes, name: string, what: string): readonly number[] {
  const shape = tensors.get(name)?.shape;
  if (!shape) throw new ArchitectureError(`${what}: ${missingTensor(name, strangers(tensors))}`);
  return shape;
}

/** How many modules stand in a list: `prefix.0.suffix`, `prefix.1.suffix`, ... */
export function count(tensors: NamedShapes, prefix: string, suffix: string): number {
  let n = 0;
  while (tensors.has(`${prefix}${n}${suffix}`)) n += 1;
  return n;
}

/** The cap on channels that turns 2, 4, ... times `first` into the widths that are there; `usual` if it did not count. */
export function channelCap(first: number, widths: readonly number[], usual: number): number {
  const capped = widths.find((width, i) => width < first * 2 ** (i + 1));
  return capped ?? Math.max(usual, first, ...widths);
}

export function hourglass(tensors: NamedShapes, prefix: string, what: string): HourglassConfig {
  need(tensors, `${prefix}.encoder.down_blocks.0.conv.weight`, what);
  const numBlocks = count(tensors, `${prefix}.encoder.down_blocks.`, '.conv.weight');
  const width = (side: string, i: number) => need(tensors, `${prefix}.${side}.${i}.conv.weight`, what)[0]!;
  const blockExpansion = width('decoder.up_blocks', numBlocks - 1);
  const widths = Array.from({ length: numBlocks }, (_, i) => width('encoder.down_blocks', i));
  return { blockExpansion, maxFeatures: channelCap(blockExpansion, widths, HOURGLASS_CAP), numBlocks };
}

/** Scale of an anti-aliased downsampling: its kernel has 4 (1 / scale - 1) + 1 pixels. */
export function downScale(tensors: NamedShapes, name: string): number {
  const kernel = tensors.get(name)?.shape[2];
  return kernel === undefined ? 1 : 1 / ((kernel - 1) / 4 + 1);
}

/**
 * The configuration of the face-depth network, or null where there is none.
 *
 * @throws ArchitectureError for an encoder that is not known
 */
export function inferDepthConfig(tensors: NamedShapes): DepthConfig | null {
  const encoder = 'depth_network.encoder.encoder.';
  const stem = tensors.get(`${encoder}conv1.weight`)?.shape[0];
  if (stem === undefined) return null;
  const bottleneck = tensors.has(`${encoder}layer1.0.conv3.weight`);
  const layers = [1, 2, 3, 4].map((i) => `${encoder}layer${i}.`);
  for (const layer of layers) need(tensors, `${layer}0.conv1.weight`, 'the depth encoder is not whole');
  const blocks = layers.map((layer) => count(tensors, layer, '.conv1.weight')).join();
  const width = stem / RESNET_WIDTHS[0];
  const sized = width === 1 ? {} : { width };
  if (bottleneck && blocks === '3,4,6,3') return { layers: 50, ...sized };
  if (!bottleneck && blocks === '2,2,2,2') return { layers: 18, ...sized };
  throw new ArchitectureError(
    `the depth encoder has ${blocks} ${bottleneck ? 'bottleneck' : 'basic'} blocks; only ResNet-18 and ResNet-50 are known`,
  );
}

/** The configuration of the pose network, or null where there is none. How it scales motion, no tensor tells. */
export function inferPoseConfig(tensors: NamedShapes): PoseConfig | null {
  const encoder = 'pose_network.pose_encoder.encoder.';
  const stem = tensors.get(`${encoder}conv1.weight`)?.shape[0];
  if (stem === undefined || !tensors.has('pose_network.pose.net.0.weight')) return null;
  return { layers: tensors.has(`${encoder}layer1.0.conv3.weight`) ? 50 : 18, width: stem / RESNET_WIDTHS[0] };
}

/**
 * The configuration behind tensors: plain or SPADE decoder, ResNet-18 or -50, number of keypoints, widths.
 *
 * @throws ArchitectureError, naming what is missing, unknown or impossible
 */
export function inferConfig(tensors: NamedShapes): ModelConfig {
  const detector = 'keypoint_detector.predictor';
  const numKeypoints = need(tensors, 'keypoint_detector.kp.weight', 'no keypoint detector')[0]!;
  const detectorInput = need(tensors, `${detector}.encoder.down_blocks.0.conv.weight`, 'no keypoint detector')[1]!;
  if (detectorInput !== 3 && detectorInput !== 4) {
    throw new ArchitectureError(
      `the keypoint detector takes ${detectorInput} channels; 3 (picture) or 4 (and depth) are known`,
    );
  }
  const blockExpansion = need(tensors, 'generator.first.conv.weight', 'no generator')[0]!;
  const numDownBlocks = count(tensors, 'generator.down_blocks.', '.conv.weight');
  const widths = Array.from(
    { length: numDownBlocks },
    (_, i) => need(tensors, `generator.down_blocks.${i}.conv.weight`, 'no generator')[0]!,
  );
  const attends = tensors.has('generator.attention.query_conv.weight');
  const spade = tensors.has('generator.decoder.fc.weight');
  const depthGuidedKeypoints = detectorInput === 4;
  const depth = inferDepthConfig(tensors);
  if (depth === null && (attends || depthGuidedKeypoints)) {
    const alike = nameAlike('depth_network.encoder.encoder.conv1.weight', strangers(tensors));
    const there = alike === undefined ? '' : `; the file has ${alike}, below a prefix that is not known`;
    const message = `this model needs face depth, but there is no depth network: give its files too${there}`;
    throw withCode(new ArchitectureError(message), 'depth-files-missing', { missing: ['encoder', 'decoder'] });
  }
  if (depth !== null && !tensors.has('depth_network.decoder.levels.0.before.conv.weight')) {
    const message = 'there is a depth encoder but no depth decoder';
    throw withCode(new ArchitectureError(message), 'depth-files-missing', { missing: ['decoder'] });
  }
  return checked({
    numKeypoints,
    estimateJacobian: tensors.has('keypoint_detector.jacobian.weight'),
    depthGuidedKeypoints,
    depth: attends || depthGuidedKeypoints ? depth : null,
    keypointDetector: {
      ...hourglass(tensors, detector, 'no keypoint detector'),
      temperature: TEMPERATURE,
      scaleFactor: downScale(tensors, 'keypoint_detector.down.weight'),
    },
    generator: {
      blockExpansion,
      maxFeatures: channelCap(blockExpansion, widths, GENERATOR_CAP),
      numDownBlocks,
      numBottleneckBlocks: spade ? BOTTLENECK_BLOCKS : count(tensors, 'generator.decoder.bottleneck.', '.conv1.weight'),
      estimateOcclusionMap: tensors.has('generator.dense_motion_network.occlusion.weight'),
      attention: !attends ? 'none' : tensors.has('generator.attention.gamma') ? 'residual' : 'literal',
      decoder: spade ? 'spade' : 'residual',
      ...(tensors.has('generator.decoder.kept.weight') ? { keepsPixels: true } : {}),
      denseMotion: {
        ...hourglass(tensors, 'generator.dense_motion_network.hourglass', 'no dense motion network'),
        scaleFactor: downScale(tensors, 'generator.dense_motion_network.down.weight'),
        keypointVariance: KEYPOINT_VARIANCE,
      },
    },
  });
}

function checked(config: ModelConfig): ModelConfig {
  try {
    return checkModelConfig(config);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ArchitectureError(error.message, { cause: error });
  }
}
