// A model as a folder: three ONNX graphs, one file of weights that they share, and a manifest.
import { createHash } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { computeInHalf, type Graph, storedAs, toOnnx } from '@dagan/libtorch';
import { CheckpointError, openCheckpoint } from '@dagan/libtorch/checkpoint';
import { encodeOnnx, type OnnxExternalData, type OnnxModel, type OnnxValue } from '@dagan/libtorch/onnx';
import { DaganError } from '../errors.js';
import { WholeFiles } from '../media/files.js';
import type { AnimationModel } from '../models/animation-model.js';
import { DaGAN } from '../models/dagan.js';
import { type ModelMetadata, saveModel, trainedSize } from '../models/files/model-file.js';
import { systemOf } from '../models/files/systems.js';
import { digestOf } from './exported-folder.js';
import { STEPS, type Step, traceDagan, traceSystem } from './graphs.js';
import { halfNodes } from './half.js';
import {
  type BySteps,
  type ExportPrecision,
  type GraphFile,
  INT8_NAME,
  MANIFEST_FORMAT,
  MANIFEST_NAME,
  type Manifest,
  WEIGHTS_NAME,
  type WeightType,
} from './manifest.js';

export type ExportOptions = {
  /** Arithmetic: see docs/export.md for what float16 does to the frames. */
  precision?: ExportPrecision;
  /** How the weights are stored; float16 halves the folder. That of the precision if not given. */
  weights?: WeightType;
  /** Side of the pictures in pixels, where it shall be fixed; any multiple of the model's unit otherwise. */
  size?: number;
  /** What the model's file says of it; goes into the new one and the manifest. */
  metadata?: ModelMetadata;
  /** What exports, for the manifest: "dagan 0.1.0". */
  exportedBy?: string;
};

/**
 * Side of the pictures of other systems than DaGAN, whose graphs are for one size, where none is asked for and the model does not say
 * which it was trained for.
 */
const USUAL_SIZE = 256;

/** Metadata that describe a file and not the weights. */
const OF_THE_FILE = new Set(['format', 'architecture', 'config']);

/**
 * Writes `model.safetensors`, `source.onnx`, `drive.onnx` (but of models that points of the face mesh move),
 * `generate.onnx` and then `manifest.json` into a folder, which is made if need be. The model is changed
 * (`prepareForInference`) and can afterwards be used, but neither trained nor saved.
 *
 * @throws RangeError if the model's networks cannot halve pictures of this size as often as they do; TraceError if an
 *   operator has no form in ONNX; DaganError if the model's system has none; CheckpointError if float16 cannot hold the weights;
 *   CheckpointError or MediaError if there is no room. Then no file is changed
 */
export async function exportModel(
  model: AnimationModel,
  folder: string,
  { precision = 'float32', weights: type = precision, size, metadata = {}, exportedBy = 'dagan' }: ExportOptions = {},
): Promise<Manifest> {
  const system = systemOf(model.config).name;
  if (!(model instanceof DaGAN || model.sourceTensors)) {
    throw new DaganError('not-exportable', `models of the system ${system} cannot be exported`, { system });
  }
  const multiple = model.sizeMultiple;
  const usual = trainedSize(metadata) ?? USUAL_SIZE;
  const fixed = model instanceof DaGAN ? size : (size ?? Math.ceil(usual / multiple) * multiple);
  if (size !== undefined && !(size > 0 && size % multiple === 0)) {
    throw new RangeError(`the size of this model's pictures must be a multiple of ${multiple}, not ${size}`);
  }
  const made = await mkdir(folder, { recursive: true });
  try {
    return await writeExport(model, folder, { precision, weights: type, size: fixed, metadata, exportedBy });
  } catch (error) {
    if (made !== undefined) await rm(made, { recursive: true, force: true });
    throw error;
  }
}

/** All files of the folder, or none. */
async function writeExport(
  model: AnimationModel,
  folder: string,
  { precision, weights: type, size, metadata, exportedBy }: Required<Omit<ExportOptions, 'size'>> & { size?: number },
): Promise<Manifest> {
  await using whole = new WholeFiles();
  const target = join(folder, WEIGHTS_NAME);
  const part = await whole.begin(target);
  const about = saveWeights(target, part, () => saveModel(part, model, metadata, { kernels: type }));
  const weights = { file: WEIGHTS_NAME, ...digestOf(part) };
  const graphs = encodableSteps(model, part, { precision, size });
  const files: Partial<Record<Step, GraphFile>> = {};
  for (const step of STEPS) {
    const graph = graphs[step];
    if (!graph) continue;
    const { inputs, outputs } = graph;
    const bytes = encodeOnnx(graph);
    const file = nameOf(step);
    await whole.write(join(folder, file), bytes);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    files[step] = { file, bytes: bytes.length, sha256, inputs: describe(inputs), outputs: describe(outputs) };
  }
  const manifest: Manifest = {
    format: MANIFEST_FORMAT,
    architecture: systemOf(model.config).name,
    config: model.config as Manifest['config'],
    ...(model instanceof DaGAN ? {} : { motion: model.motion }),
    keypoints: keypointsIn(graphs.generate.inputs),
    precision,
    ...(size === undefined ? {} : { size }),
    multiple: model.sizeMultiple,
    opset: graphs.generate.opset,
    graphs: files as Manifest['graphs'],
    weights: { ...weights, type },
    metadata: Object.fromEntries(Object.entries(about).filter(([key]) => !OF_THE_FILE.has(key))),
    exported_by: exportedBy,
  };
  await whole.write(join(folder, MANIFEST_NAME), new TextEncoder().encode(`${JSON.stringify(manifest, null, 2)}\n`));
  await whole.commit();
  for (const step of STEPS) if (!graphs[step]) await rm(join(folder, nameOf(step)), { force: true }); // of another model
  await rm(join(folder, INT8_NAME), { force: true }); // likewise
  return manifest;
}

/** Saves the weights; what goes wrong is told by the final name. */
function saveWeights(target: string, part: string, save: () => ModelMetadata): ModelMetadata {
  try {
    return save();
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    throw new CheckpointError(target, error.message.slice(`${part}: `.length), { cause: error });
  }
}

/** The model's steps, which take their weights from the file at `path`. */
function encodableSteps(
  model: AnimationModel,
  path: string,
  { precision, size }: { precision: ExportPrecision; size?: number },
): BySteps<OnnxModel> {
  using file = openCheckpoint(path);
  const external = new Map<string, OnnxExternalData>();
  for (const { name, offset, byteLength } of file.tensors.values()) {
    external.set(name, { file: WEIGHTS_NAME, offset: offset!, length: byteLength });
  }
  const { source, drive, generate } =
    model instanceof DaGAN ? traceDagan(model, { size }) : traceSystem(model, model.sourceTensors!, size!);
  const encodable = (recorded: Graph, step: Step): OnnxModel => {
    const graph = precision === 'float16' ? computeInHalf(recorded, halfNodes(recorded)) : recorded;
    return toOnnx(storedAs(graph, file.tensors), { name: `dagan ${step}`, external });
  };
  return {
    source: encodable(source, 'source'),
    ...(drive && { drive: encodable(drive, 'drive') }),
    generate: encodable(generate, 'generate'),
  };
}

const nameOf = (step: Step): string => `${step}.onnx`;

/** K of the inputs of the step `generate`. */
function keypointsIn(inputs: readonly OnnxValue[]): number {
  return Number(inputs.find(({ name }) => name === 'keypoints')!.shape[1]);
}

const describe = (values: readonly OnnxValue[]) => values.map(({ name, shape }) => ({ name, shape }));
