// The configuration of a published model, read off the names and shapes of its tensors.
import type { ModelConfig } from '../config/config.js';
import type { DepthConfig } from '../depth-network.js';
import type { HourglassConfig } from '../hourglass.js';
import { RESNET_WIDTHS } from '../resnet.js';

/** Shapes by published name. */
export type Shapes = ReadonlyMap<string, readonly number[]>;

/** The tensors are not those of a model that this package can build. */
export class ArchitectureError extends Error {
  override readonly name = 'ArchitectureError';

  /** @param part of the model that it is about, where that may stand in a file of its own */
  constructor(
    message: string,
    readonly part?: 'depth_encoder' | 'depth_decoder',
  ) {
    super(message);
  }
}

/** What no tensor tells; the published configuration's values. */
const TEMPERATURE = 0.1;
const KEYPOINT_VARIANCE = 0.01;
const GENERATOR_CAP = 512;
const HOURGLASS_CAP = 1024;
const BOTTLENECK_BLOCKS = 6;

function need(shapes: Shapes, name: string, what: string): readonly number[] {
  const shape = shapes.get(name);
  if (!shape) throw new ArchitectureError(`${what}: there is no tensor '${name}'`);
  return shape;
}

/** How many modules stand in a list: `prefix.0.suffix`, `prefix.1.suffix`, ... */
function count(shapes: Shapes, prefix: string, suffix: string): number {
  let n = 0;
  while (shapes.has(`${prefix}${n}${suffix}`)) n += 1;
  return n;
}

/** The cap on channels that turns 2, 4, ... times `first` into the widths that are there; `usual` if it did not count. */
function channelCap(first: number, widths: readonly number[], usual: number): number {
  const capped = widths.find((width, i) => width < first * 2 ** (i + 1));
  return capped ?? Math.max(usual, first, ...widths);
}

function hourglass(shapes: Shapes, prefix: string, what: string): HourglassConfig {
  const numBlocks = count(shapes, `${prefix}.encoder.down_blocks.`, '.conv.weight');
  if (numBlocks === 0) throw new ArchitectureError(`${what}: there is no hourglass '${prefix}'`);
  const width = (side: string, i: number) => need(shapes, `${prefix}.${side}.${i}.conv.weight`, what)[0]!;
  const blockExpansion = width('decoder.up_blocks', numBlocks - 1);
  const widths = Array.from({ length: numBlocks }, (_, i) => width('encoder.down_blocks', i));
  return { blockExpansion, maxFeatures: channelCap(blockExpansion, widths, HOURGLASS_CAP), numBlocks };
}

/** Scale of an anti-aliased downsampling: its kernel has 4 (1 / scale - 1) + 1 pixels. */
function downScale(shapes: Shapes, name: string): number {
  const kernel = shapes.get(name)?.[2];
  return kernel === undefined ? 1 : 1 / ((kernel - 1) / 4 + 1);
}

/** The configuration of the face-depth network, or null where there is none. */
export function depthConfig(shapes: Shapes): DepthConfig | null {
  const stem = shapes.get('depth_encoder.encoder.conv1.weight')?.[0];
  if (stem === undefined) return null;
  const width = stem / RESNET_WIDTHS[0];
  const sized = width === 1 ? {} : { width };
  const bottleneck = shapes.has('depth_encoder.encoder.layer1.0.conv3.weight');
  const blocks = [1, 2, 3, 4].map((i) => count(shapes, `depth_encoder.encoder.layer${i}.`, '.conv1.weight')).join();
  if (bottleneck && blocks === '3,4,6,3') return { layers: 50, ...sized };
  if (!bottleneck && blocks === '2,2,2,2') return { layers: 18, ...sized };
  throw new ArchitectureError(
    `the depth encoder has ${blocks} ${bottleneck ? 'bottleneck' : 'basic'} blocks; only ResNet-18 and ResNet-50 are known`,
    'depth_encoder',
  );
}

/**
 * The configuration behind published tensors: plain or SPADE decoder, ResNet-18 or -50, number of keypoints, widths.
 *
 * @throws ArchitectureError, naming what is missing or unknown
 */
export function inferConfig(shapes: Shapes): ModelConfig {
  const detector = 'kp_detector.predictor';
  const numKeypoints = need(shapes, 'kp_detector.kp.weight', 'no keypoint detector')[0]!;
  const detectorInput = need(shapes, `${detector}.encoder.down_blocks.0.conv.weight`, 'no keypoint detector')[1]!;
  if (detectorInput !== 3 && detectorInput !== 4) {
    throw new ArchitectureError(
      `the keypoint detector takes ${detectorInput} channels; 3 (picture) or 4 (and depth) are known`,
    );
  }
  const blockExpansion = need(shapes, 'generator.first.conv.weight', 'no generator')[0]!;
  const numDownBlocks = count(shapes, 'generator.down_blocks.', '.conv.weight');
  const widths = Array.from(
    { length: numDownBlocks },
    (_, i) => need(shapes, `generator.down_blocks.${i}.conv.weight`, 'no generator')[0]!,
  );
  const attends = shapes.has('generator.AttnModule.query_conv.weight');
  const spade = shapes.has('generator.decoder.fc.weight');
  const depthGuidedKeypoints = detectorInput === 4;
  const depth = depthConfig(shapes);
  if (depth === null && (attends || depthGuidedKeypoints)) {
    throw new ArchitectureError(
      'this model needs face depth, but there is no depth network: give its files too (--depth-encoder, --depth-decoder)',
    );
  }
  if (depth !== null && !shapes.has('depth_decoder.decoder.0.conv.conv.weight')) {
    throw new ArchitectureError('there is a depth encoder but no depth decoder (--depth-decoder)');
  }
  return {
    numKeypoints,
    estimateJacobian: shapes.has('kp_detector.jacobian.weight'),
    depthGuidedKeypoints,
    depth: attends || depthGuidedKeypoints ? depth : null,
    keypointDetector: {
      ...hourglass(shapes, detector, 'no keypoint detector'),
      temperature: TEMPERATURE,
      scaleFactor: downScale(shapes, 'kp_detector.down.weight'),
    },
    generator: {
      blockExpansion,
      maxFeatures: channelCap(blockExpansion, widths, GENERATOR_CAP),
      numDownBlocks,
      numBottleneckBlocks: spade ? BOTTLENECK_BLOCKS : count(shapes, 'generator.bottleneck.r', '.conv1.weight'),
      estimateOcclusionMap: shapes.has('generator.dense_motion_network.occlusion.weight'),
      attention: !attends ? 'none' : shapes.has('generator.AttnModule.gamma') ? 'residual' : 'literal',
      decoder: spade ? 'spade' : 'residual',
      denseMotion: {
        ...hourglass(shapes, 'generator.dense_motion_network.hourglass', 'no dense motion network'),
        scaleFactor: downScale(shapes, 'generator.dense_motion_network.down.weight'),
        keypointVariance: KEYPOINT_VARIANCE,
      },
    },
  };
}
