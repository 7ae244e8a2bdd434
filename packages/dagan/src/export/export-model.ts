// A model as a folder of ONNX graphs with a manifest, for wherever LibTorch is not.
import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { computeInHalf, toOnnx } from '@dagan/libtorch';
import { encodeOnnx, type OnnxValue } from '@dagan/libtorch/onnx';
import { writeWhole } from '../media/files.js';
import { sizeMultiple } from '../models/config.js';
import type { DaGAN } from '../models/dagan.js';
import { prepareForInference } from '../models/inference.js';
import type { ModelMetadata } from '../models/model-file.js';
import { STEPS, traceSteps } from './graphs.js';
import { halfNodes } from './half.js';
import { type ExportPrecision, type GraphFile, MANIFEST_FORMAT, MANIFEST_NAME, type Manifest } from './manifest.js';

export type ExportOptions = {
  /** float16 halves the files; see docs/export.md for what it does to the frames. */
  precision?: ExportPrecision;
  /** Side of the pictures in pixels, where it shall be fixed; any multiple of the model's unit otherwise. */
  size?: number;
  /** What the model's file says of it; goes into the manifest. */
  metadata?: ModelMetadata;
  /** What exports, for the manifest: "dagan 0.1.0". */
  exportedBy?: string;
};

/** Metadata that describe a file and not the weights. */
const OF_THE_FILE = new Set(['format', 'architecture', 'config']);

/**
 * Writes `source.onnx`, `drive.onnx`, `generate.onnx` and then `manifest.json` into a folder, which is made if need be.
 * The model is changed (`prepareForInference`) and can afterwards be used, but neither trained nor saved.
 *
 * @throws RangeError if the model's networks cannot halve pictures of this size as often as they do; TraceError if an
 *   operator has no form in ONNX
 */
export async function exportModel(
  model: DaGAN,
  folder: string,
  { precision = 'float32', size, metadata = {}, exportedBy = 'dagan' }: ExportOptions = {},
): Promise<Manifest> {
  const multiple = sizeMultiple(model.config);
  if (size !== undefined && !(size > 0 && size % multiple === 0)) {
    throw new RangeError(`the size of this model's pictures must be a multiple of ${multiple}, not ${size}`);
  }
  const graphs = traceSteps(prepareForInference(model), { size });
  await mkdir(folder, { recursive: true });
  const files: Partial<Record<keyof Manifest['graphs'], GraphFile>> = {};
  let opset = 0;
  for (const step of STEPS) {
    const graph = precision === 'float16' ? computeInHalf(graphs[step], halfNodes(graphs[step])) : graphs[step];
    const onnx = toOnnx(graph, { name: `dagan ${step}` });
    const bytes = encodeOnnx(onnx);
    const file = `${step}.onnx`;
    await writeWhole(join(folder, file), bytes);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    files[step] = { file, bytes: bytes.length, sha256, inputs: describe(onnx.inputs), outputs: describe(onnx.outputs) };
    opset = onnx.opset;
  }
  const manifest: Manifest = {
    format: MANIFEST_FORMAT,
    architecture: 'dagan',
    config: model.config,
    keypoints: model.config.numKeypoints,
    precision,
    ...(size === undefined ? {} : { size }),
    multiple,
    opset,
    graphs: files as Manifest['graphs'],
    weights: Object.fromEntries(Object.entries(metadata).filter(([key]) => !OF_THE_FILE.has(key))),
    exported_by: exportedBy,
  };
  await writeWhole(join(folder, MANIFEST_NAME), new TextEncoder().encode(`${JSON.stringify(manifest, null, 2)}\n`));
  return manifest;
}

const describe = (values: readonly OnnxValue[]) => values.map(({ name, shape }) => ({ name, shape }));
