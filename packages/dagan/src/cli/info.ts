// `dagan info`: what a checkpoint or exported model is, or what a picture or clip says of its origin.
import { existsSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type CheckpointFile, openCheckpoint } from '@dagan/libtorch/checkpoint';
import { Command } from 'commander';
import {
  exportedFiles,
  MANIFEST_NAME,
  readExportedFile,
  readManifest,
  type TensorDescription,
} from '../export/index.js';
import {
  type ContentCredentials,
  DIGITAL_SOURCE_TYPES,
  MediaError,
  type MediaMetadata,
  readCredentials,
  readMetadata,
} from '../media/index.js';
import { ArchitectureError, configOf } from '../models/index.js';
import { describeExport, describeModel } from '../pipelines/describe-model.js';
import { isMediaName } from '../pipelines/pairs.js';
import { textOf } from './errors.js';
import { addCommonOptions, type CommonOptions } from './options.js';

const FORMATS = {
  safetensors: 'safetensors',
  'pytorch-zip': 'PyTorch, zip',
  'pytorch-legacy': 'PyTorch, legacy',
} as const;

const EXAMPLES = `
Nothing in the file is run: PyTorch's pickles are read by a reader that builds tensors and containers alone.

Examples:
  dagan info vox-adv.pth.tar
  dagan info model.safetensors --tensors
  dagan info exported/
  dagan info out.mp4`;

export function infoCommand(): Command {
  const command = new Command('info')
    .description('tell what a checkpoint holds, or what an animation says of its origin')
    .argument(
      '<file>',
      "a checkpoint (.safetensors, .pth, .pth.tar), an exported model's folder, a picture, a clip, or a folder of frames",
    )
    .option('--tensors', 'list every tensor of a checkpoint with its type and shape');
  return addCommonOptions(command)
    .addHelpText('after', EXAMPLES)
    .action(async (path: string, { tensors = false }: CommonOptions & { tensors?: boolean }) => {
      if (existsSync(join(path, MANIFEST_NAME))) {
        print(await exportLines(path, { tensors }));
        return;
      }
      if (isMediaName(path)) {
        print(mediaLines(path, await readMetadata(path), await signature(path)));
        return;
      }
      using file = openCheckpoint(path);
      print(infoLines(file, { tensors }));
    });
}

/** Prints lines. What a file says cannot begin further ones, nor command the terminal. */
function print(lines: readonly string[]): void {
  for (const line of lines) process.stdout.write(`${line.replace(/\p{Cc}+/gu, ' ')}\n`);
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

function mediaLines(path: string, { title, comment, origin }: MediaMetadata, credentials?: string): string[] {
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
async function exportLines(folder: string, { tensors }: { tensors: boolean }): Promise<string[]> {
  const manifest = readManifest(folder);
  const files = exportedFiles(manifest);
  for (const file of files) await readExportedFile(folder, file);
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
    ...infoLines(weights, { tensors }),
  ];
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

function infoLines(file: CheckpointFile, { tensors }: { tensors: boolean }): string[] {
  const records = [...file.tensors.values()];
  const numbers = (part: typeof records): number =>
    part.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
  const parts = groups(records, partOf);
  const types = groups(records, ({ dtype }) => dtype);
  return [
    `file      ${file.path}: ${FORMATS[file.format]}, ${megabytes(statSync(file.path).size)}`,
    `model     ${architecture(file)}`,
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
function architecture(file: CheckpointFile): string {
  try {
    return describeModel(configOf(file));
  } catch (error) {
    if (error instanceof ArchitectureError || error instanceof SyntaxError)
      return `no complete model for animation: ${textOf(error)}`;
    throw error;
  }
}
