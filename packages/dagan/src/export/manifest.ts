// What stands beside exported graphs: manifest.json. Needs neither LibTorch nor Node.
import { shown } from '../media/errors.js';
import type { SystemConfig } from '../models/animation-model.js';
import type { ModelConfig } from '../models/config/config.js';
import {
  type Check,
  checkModelConfig,
  fields,
  mapping,
  oneOf,
  optional,
  wholeNumber,
} from '../models/config/config-check.js';
import type { MotionSpace } from '../tensors/motion-space.js';

/** Value of `format` in manifests. */
export const MANIFEST_FORMAT = 'dagan-onnx-2';

/** Name of the manifest in an exported model's folder. */
export const MANIFEST_NAME = 'manifest.json';

/** Name of the step `generate` in 8 bits in an exported model's folder. */
export const INT8_NAME = 'generate-int8.onnx';

/** Name of the file of weights in an exported model's folder. */
export const WEIGHTS_NAME = 'model.safetensors';

/** `architecture` of DaGAN and the first-order model. */
const DAGAN = 'dagan';

/** Arithmetic of an exported model. */
export const EXPORT_PRECISIONS = ['float32', 'float16'] as const;

export type ExportPrecision = (typeof EXPORT_PRECISIONS)[number];

/** How an exported model's weights are stored, whatever the arithmetic. */
export const WEIGHT_TYPES = ['float32', 'float16'] as const;

export type WeightType = (typeof WEIGHT_TYPES)[number];

/** A step's tensor by name; a dimension given as text is free and tells its size, as 'height/4'. */
export type TensorDescription = { name: string; shape: readonly (number | string)[] };

/** A file beside the manifest. */
export type ExportedFile = {
  /** Name in the folder of the manifest. */
  file: string;
  bytes: number;
  /** SHA-256 of all its bytes. */
  sha256: string;
};

/**
 * The file that all graphs take their weights from, under this name: ONNX Runtime is given it as external data. It is a
 * whole model file of ours too (safetensors), which LibTorch loads.
 */
export type WeightsFile = ExportedFile & { type: WeightType };

/** One graph's file, which holds no weights. */
export type GraphFile = ExportedFile & {
  inputs: readonly TensorDescription[];
  outputs: readonly TensorDescription[];
};

/** Something for each step; models that points of the face mesh move have no step `drive`. */
export type BySteps<T> = { source: T; drive?: T; generate: T };

/** The steps' graphs and what they are. */
export type Manifest = {
  format: typeof MANIFEST_FORMAT;
  /** Name of the system. */
  architecture: string;
  /** A `ModelConfig` of DaGAN (`daganConfig`), or what another system has. */
  config: SystemConfig;
  /** What moves; keypoints in the plane if not given. */
  motion?: MotionSpace;
  /** Keypoints, or numbers of a code. */
  keypoints: number;
  precision: ExportPrecision;
  /** Side of the pictures that the model takes, in pixels, where it is fixed. */
  size?: number;
  /** Height and width must be multiples of this. */
  multiple: number;
  /** Version of the ONNX operators. */
  opset: number;
  graphs: BySteps<GraphFile>;
  /** The step `generate` once more, with convolutions of 8 bits; not every export has it. */
  int8?: GraphFile;
  weights: WeightsFile;
  /** What the file of weights says of them: name, licence, training, and as `sha256` a hash of names and values. */
  metadata: Readonly<Record<string, string>>;
  exported_by: string;
};

const MOST_BYTES = 2 ** 31 - 1;

const text: Check<string> = (value, path) => {
  if (typeof value === 'string') return value;
  throw new TypeError(`${path} must be a text`);
};

/** A name in the same folder, so that a manifest cannot lead elsewhere. */
const fileName =
  (ending: '.onnx' | '.safetensors'): Check<string> =>
  (value, path) => {
    if (typeof value === 'string' && /^[\w-][\w.-]*$/.test(value) && value.endsWith(ending)) return value;
    throw new TypeError(`${path} must be the name of a file beside the manifest, ending in ${ending}`);
  };

const sha256: Check<string> = (value, path) => {
  if (typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)) return value;
  throw new TypeError(`${path} must be a SHA-256 in hexadecimal`);
};

const listOf =
  <T>(check: Check<T>): Check<readonly T[]> =>
  (value, path) => {
    if (Array.isArray(value)) return value.map((entry, i) => check(entry, `${path}[${i}]`));
    throw new TypeError(`${path} must be a list`);
  };

const dimension: Check<number | string> = (value, path) =>
  typeof value === 'string' ? value : wholeNumber(0, Number.MAX_SAFE_INTEGER)(value, path);

const texts: Check<Readonly<Record<string, string>>> = (value, path) =>
  Object.fromEntries(Object.entries(mapping(value, path)).map(([key, entry]) => [key, text(entry, `${path}.${key}`)]));

const tensors = listOf(fields<TensorDescription>({ name: text, shape: listOf(dimension) }));

const graphFile = fields<GraphFile>({
  file: fileName('.onnx'),
  bytes: wholeNumber(1, MOST_BYTES),
  sha256,
  inputs: tensors,
  outputs: tensors,
});

const manifest = fields<Manifest>({
  format: oneOf(MANIFEST_FORMAT),
  architecture: text,
  config: (value, path) => mapping(value, path),
  motion: optional(
    fields<MotionSpace>({
      dimensions: oneOf(1, 2, 3),
      matrices: oneOf('jacobians', 'covariances'),
      meshPoints: optional(listOf(wholeNumber(0, 477))),
    }),
  ),
  keypoints: wholeNumber(1, 2 ** 20),
  precision: oneOf(...EXPORT_PRECISIONS),
  size: optional(wholeNumber(1, 16384)),
  multiple: wholeNumber(1, 16384),
  opset: wholeNumber(16, 1000),
  graphs: fields<Manifest['graphs']>({ source: graphFile, drive: optional(graphFile), generate: graphFile }),
  int8: optional(graphFile),
  weights: fields<WeightsFile>({
    file: fileName('.safetensors'),
    bytes: wholeNumber(1, MOST_BYTES),
    sha256,
    type: oneOf(...WEIGHT_TYPES),
  }),
  metadata: texts,
  exported_by: text,
});

/**
 * A manifest from a value of unknown origin, such as parsed JSON.
 *
 * @throws Error naming the first entry that is missing, unknown or impossible
 */
export function checkManifest(value: unknown): Manifest {
  const checked = manifest(value, '');
  if (!checked.graphs.drive && !checked.motion?.meshPoints) {
    throw new TypeError('graphs.drive is missing, though no points of the face mesh move this model');
  }
  if (checked.architecture === DAGAN) return { ...checked, config: checkModelConfig(checked.config) };
  const { system } = checked.config;
  if (system === checked.architecture) return checked;
  throw new TypeError(
    `config.system must be ${shown(checked.architecture)}, as architecture says, not ${shown(system)}`,
  );
}

/** The configuration of a DaGAN or first-order model; null for other systems. */
export function daganConfig({ architecture, config }: Manifest): ModelConfig | null {
  return architecture === DAGAN ? (config as ModelConfig) : null;
}
