// `dagan info`: what a checkpoint is.
import { statSync } from 'node:fs';
import { type CheckpointFile, openCheckpoint } from '@dagan/libtorch/checkpoint';
import { Command } from 'commander';
import { ArchitectureError, configOf } from '../models/index.js';
import { describeModel } from './describe-model.js';
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
  dagan info model.safetensors --tensors`;

export function infoCommand(): Command {
  const command = new Command('info')
    .description('tell what a checkpoint holds: format, architecture, tensors, metadata')
    .argument('<file>', 'a checkpoint (.safetensors, .pth, .pth.tar)')
    .option('--tensors', 'list every tensor with its type and shape');
  return addCommonOptions(command)
    .addHelpText('after', EXAMPLES)
    .action((path: string, { tensors = false }: CommonOptions & { tensors?: boolean }) => {
      using file = openCheckpoint(path);
      process.stdout.write(`${infoLines(file, { tensors }).join('\n')}\n`);
    });
}

function infoLines(file: CheckpointFile, { tensors }: { tensors: boolean }): string[] {
  const records = [...file.tensors.values()];
  const numbers = (part: typeof records): number =>
    part.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
  const parts = groups(records, partOf);
  const types = groups(records, ({ dtype }) => dtype);
  return [
    `file      ${file.path}: ${FORMATS[file.format]}, ${(statSync(file.path).size / 1e6).toFixed(1)} MB`,
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
      return `no complete model for animation: ${error.message}`;
    throw error;
  }
}
