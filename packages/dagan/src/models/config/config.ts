// The one configuration of every model of the paper, and the presets by name.
import type { DepthConfig } from '../depth-network.js';
import type { GeneratorConfig } from '../generator.js';
import type { KeypointDetectorConfig } from '../keypoint-detector.js';

export type ModelConfig = {
  /** The system, left out in files. */
  system?: 'dagan';
  /** Keypoints per face: 15 in the paper, 10 in the first-order model. */
  numKeypoints: number;
  /** First-order motion (2x2 jacobians) or, if false, the paper's offsets alone (Eq. 7). */
  estimateJacobian: boolean;
  /**
   * The keypoints that training has led to landmarks of the face (`FACE_LANDMARKS`), by the landmark's name; none if not given.
   * They can be moved by name.
   */
  semanticKeypoints?: Readonly<Record<string, number>>;
  /** Whether the keypoint detector sees the disparity (the paper's "FDN" module, Eq. 6). */
  depthGuidedKeypoints: boolean;
  /** The face-depth network; null for models that use no depth. */
  depth: DepthConfig | null;
  keypointDetector: KeypointDetectorConfig;
  generator: GeneratorConfig;
};

/** The published `vox-adv-256` model with the paper's 15 keypoints. */
const vox256: ModelConfig = {
  numKeypoints: 15,
  estimateJacobian: true,
  depthGuidedKeypoints: true,
  depth: { layers: 18 },
  keypointDetector: { blockExpansion: 32, maxFeatures: 1024, numBlocks: 5, temperature: 0.1, scaleFactor: 0.25 },
  generator: {
    blockExpansion: 64,
    maxFeatures: 512,
    numDownBlocks: 2,
    numBottleneckBlocks: 6,
    estimateOcclusionMap: true,
    attention: 'residual',
    decoder: 'residual',
    denseMotion: {
      blockExpansion: 64,
      maxFeatures: 1024,
      numBlocks: 5,
      scaleFactor: 0.25,
      keypointVariance: 0.01,
    },
  },
};

/** The paper's two modules, to be plugged into any host: depth-guided keypoints and cross-modal attention. */
function withModules(host: ModelConfig, { fdn, cam }: { fdn: boolean; cam: boolean }): ModelConfig {
  return {
    ...host,
    depthGuidedKeypoints: fdn,
    depth: fdn || cam ? vox256.depth : null,
    generator: { ...host.generator, attention: cam ? 'residual' : 'none' },
  };
}

/** The first-order motion model (Siarohin et al., 2019) as published: ten keypoints, no depth. */
const fomm = withModules({ ...vox256, numKeypoints: 10 }, { fdn: false, cam: false });

/**
 * Models by name. The eight rows of the paper's Table 4 are `baseline` (DaGAN without its two modules), `baseline-fdn`
 * (+ face depth guiding the keypoints), `baseline-cam` (+ cross-modal attention), `dagan` (both), and the same
 * four with the first-order motion model as host.
 */
export const MODEL_PRESETS = {
  dagan: vox256,
  'dagan-spade': { ...vox256, generator: { ...vox256.generator, decoder: 'spade' } },
  'dagan-resnet50': { ...vox256, depth: { layers: 50 } },
  baseline: withModules(vox256, { fdn: false, cam: false }),
  'baseline-fdn': withModules(vox256, { fdn: true, cam: false }),
  'baseline-cam': withModules(vox256, { fdn: false, cam: true }),
  fomm,
  'fomm-fdn': withModules(fomm, { fdn: true, cam: false }),
  'fomm-cam': withModules(fomm, { fdn: false, cam: true }),
  'fomm-fdn-cam': withModules(fomm, { fdn: true, cam: true }),
} as const satisfies Record<string, ModelConfig>;

export type ModelName = keyof typeof MODEL_PRESETS;

/** A preset by name. Throws, naming the ones there are. */
export function modelPreset(name: string): ModelConfig {
  const preset = Object.hasOwn(MODEL_PRESETS, name) ? MODEL_PRESETS[name as ModelName] : undefined;
  if (!preset) throw new RangeError(`there is no model '${name}'; known are ${Object.keys(MODEL_PRESETS).join(', ')}`);
  return preset;
}

/** How many keypoints, the first ones, refine the motion field by what is known of landmarks, instead of being seen by the network. */
export function refiningKeypoints({ semanticKeypoints = {}, generator }: ModelConfig): number {
  return generator.denseMotion.landmarkReach === undefined ? 0 : Object.keys(semanticKeypoints).length;
}

/** Whether frames take over pixels of the moved source. */
export function keepsPixels({ decoder, keepsPixels: kept = false }: GeneratorConfig): boolean {
  return decoder === 'shuffle' || kept;
}

/** What the sides of a model's pictures must be multiples of, in pixels: its networks halve them as often as they do. */
export function sizeMultiple({ depth, generator, keypointDetector }: ModelConfig): number {
  const hourglasses = [keypointDetector, generator.denseMotion].map(({ numBlocks, scaleFactor }) =>
    Math.round(2 ** numBlocks / scaleFactor),
  );
  const pooled = 2 ** generator.numDownBlocks * (generator.attention === 'none' ? 1 : (generator.attentionPool ?? 1));
  const needed = [...hourglasses, pooled, ...(depth ? [Math.round(32 / (depth.scaleFactor ?? 1))] : [])];
  return needed.reduce(leastCommonMultiple);
}

const greatestCommonDivisor = (a: number, b: number): number => (b === 0 ? a : greatestCommonDivisor(b, a % b));

const leastCommonMultiple = (a: number, b: number): number => (a * b) / greatestCommonDivisor(a, b);
