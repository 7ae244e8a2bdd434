// What a file is, in lines for people: a checkpoint, an exported model, or a picture or clip and what it says of its origin.
import { existsSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type CheckpointFile, openCheckpoint } from '@dagan/libtorch/checkpoint';
import { checkExportedFile, exportedFiles, readManifest } from '../export/exported-folder.js';
import { MANIFEST_NAME, type TensorDescription } from '../export/manifest.js';
import { MediaError } from '../media/errors.js';
import { type ContentCredentials, readCredentials } from '../media/provenance/content-credentials.js';
import { DIGITAL_SOURCE_TYPES } from '../media/provenance/provenance.js';
import { readMetadata } from '../media/provenance/provenance-reader.js';
import { ArchitectureError } from '../models/files/located.js';
import { configOf } from '../models/files/model-file.js';
import { describeExport, describeModel } from './describe-model.js';
import { MOTION_FORMAT, motionIn } from './motion-format.js';
import { isMediaName } from './pairs.js';

export type DescribeOptions = {
  /** Lists every tensor of a checkpoint. */
  tensors?: boolean;
  /** What an error is called, where a caller adds to its message. */
  words?: (error: Error) => string;
};

const FORMATS = {
  safetensors: 'safetensors',
  'pytorch-zip': 'PyTorch, zip',
  'pytorch-legacy': 'PyTorch, legacy',
} as const;

/**
 * Describes a file or folder, a line each.
 *
 * @throws CheckpointError, MediaError or ExportedModelError, naming the file, if it is damaged or something else; DaganError
 *   if there is none
 */
export async function describeFile(path: string, options: DescribeOptions = {}): Promise<string[]> {
  if (existsSync(join(path, MANIFEST_NAME))) return exportLines(path, options);
  if (isMediaName(path)) return mediaLines(path);
  using file = openCheckpoint(path);
  return file.metadata.format === MOTION_FORMAT ? motionLines(file) : checkpointLines(file, options);
}

/** @throws CheckpointError if the template is damaged */
function motionLines(file: CheckpointFile): string[] {
  const { frames, duration, frameRate, reference, names, model } = motionIn(file);
  const count = reference.value.length / 2;
  const seen = frames.filter(({ hasFace }) => hasFace).length;
  return [
    `file      ${file.path}: motion template, ${(statSync(file.path).size / 1e3).toFixed(1)} kB, by ${file.metadata.made_by ?? 'another program'}`,
    `motion    ${frames.length} frames, ${duration.toFixed(2)} s, ${frameRate ? `${+frameRate.toFixed(3)} a second` : 'at times of their own'}; ${seen} show the face`,
    `keypoints ${count}${reference.jacobian ? ' with jacobians' : ''}; names: ${Object.keys(names).join(', ') || 'none'}`,
    `model     ${model === undefined ? 'none is needed: any whose keypoints have these names' : `sha256 ${model}`}`,
  ];
}

/** What the terms that outputs of this program carry mean. */
const SOURCES: Readonly<Record<string, string>> = {
  [DIGITAL_SOURCE_TYPES.trained]: 'synthetic, made by a trained network',
  [DIGITAL_SOURCE_TYPES.composite]: 'in part synthetic, made by a trained network; in part of another origin',
};

/** Who signed a file and whether it is as it was then, or why this is not known; undefined if nobody did. */
async function signature(path: string): Promise<string | undefined> {
  let credentials: ContentCredentials | undefined;
  try {
    credentials = await readCredentials(path);
  } catch (error) {
    if (error instanceof MediaError) return `not known: ${error.reason}`;
    throw error;
  }
  if (!credentials) return undefined;
  const { signer, intact } = credentials;
  const state = intact ? 'the file is as it was signed' : 'THE FILE WAS CHANGED SINCE, or the signature is damaged';
  return `${signer} (C2PA); ${state}; whether to trust the certificate is not checked`;
}

/** What a picture or clip says of its origin. */
async function mediaLines(path: string): Promise<string[]> {
  const [{ title, comment, origin }, credentials] = [await readMetadata(path), await signature(path)];
  const { digitalSourceType, creatorTool, system, systemVersion } = origin ?? {};
  const meaning = digitalSourceType && SOURCES[digitalSourceType];
  const source = [meaning, digitalSourceType && `IPTC ${basename(digitalSourceType)}`].filter((part) => part);
  const model = [system, systemVersion].filter((part) => part);
  return [
    `file      ${path}`,
    `origin    ${source.length > 0 ? source.join('; ') : 'not stated; what a file says of itself is lost when it is encoded anew'}`,
    ...(creatorTool ? [`made by   ${creatorTool}`] : []),
    ...(model.length > 0 ? [`model     ${model.join(', ')}`] : []),
    ...(credentials ? [`signed    ${credentials}`] : []),
    ...(title ? [`title     ${title}`] : []),
    ...(comment ? [`comment   ${comment}`] : []),
  ];
}

/** @throws ExportedModelError if files are missing or not those that the manifest was written for */
async function exportLines(folder: string, { tensors, words }: DescribeOptions): Promise<string[]> {
  const manifest = readManifest(folder);
  const files = exportedFiles(manifest);
  for (const file of files) checkExportedFile(folder, file);
  const whole = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const listed = (values: readonly TensorDescription[]): string =>
    values.map(({ name, shape }) => `${name} [${shape.join(', ')}]`).join(', ');
  using weights = openCheckpoint(join(folder, manifest.weights.file));
  return [
    `folder    ${folder}: exported by ${manifest.exported_by}, ONNX opset ${manifest.opset}, ${megabytes(whole)}; all files are as exported`,
    `runs      ${describeExport(manifest)}`,
    ...Object.values(manifest.graphs).flatMap(({ file, bytes, inputs, outputs }) => [
      `graph     ${file}, ${megabytes(bytes)}`,
      `          from ${listed(inputs)}`,
      `          to ${listed(outputs)}`,
    ]),
    ...checkpointLines(weights, { tensors, words }),
  ];
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

function checkpointLines(
  file: CheckpointFile,
  { tensors = false, words = ({ message }) => message }: DescribeOptions,
): string[] {
  const records = [...file.tensors.values()];
  const numbers = (part: typeof records): number =>
    part.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
  const parts = groups(records, partOf);
  const types = groups(records, ({ dtype }) => dtype);
  return [
    `file      ${file.path}: ${FORMATS[file.format]}, ${megabytes(statSync(file.path).size)}`,
    `model     ${architecture(file, words)}`,
    `tensors   ${records.length} with ${millions(numbers(records))} numbers; ${[...types].map(([type, of]) => `${of.length} ${type}`).join(', ')}`,
    ...[...parts].map(([part, of]) => `          ${part}: ${of.length} with ${millions(numbers(of))}`),
    ...Object.entries(file.metadata).map(([key, value]) => `metadata  ${key}: ${value}`),
    ...[...file.scalars].filter(([key]) => !key.includes('.')).map(([key, value]) => `value     ${key}: ${value}`),
    ...(tensors ? records.map(({ name, dtype, shape }) => `tensor    ${name} ${dtype} [${shape.join(', ')}]`) : []),
  ];
}

/** The first component of a tensor's name. */
const partOf = ({ name }: { name: string }): string => name.split('.', 1)[0]!;

function groups<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const found = new Map<string, T[]>();
  for (const item of items) {
    const group = found.get(keyOf(item));
    if (group) group.push(item);
    else found.set(keyOf(item), [item]);
  }
  return found;
}

const millions = (count: number): string => (count < 1e6 ? `${count}` : `${(count / 1e6).toFixed(2)} M`);

/** The architecture in words, or why it is no model for animation. */
function architecture(file: CheckpointFile, words: NonNullable<DescribeOptions['words']>): string {
  try {
    return describeModel(configOf(file));
  } catch (error) {
    if (error instanceof ArchitectureError || error instanceof SyntaxError)
      return `no complete model for animation: ${words(error)}`;
    throw error;
  }
}
