// `dagan export`: a model as ONNX graphs, for wherever LibTorch is not.
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { exportModel } from '../export/export-model.js';
import { exportedFiles } from '../export/exported-folder.js';
import { EXPORT_PRECISIONS, type ExportPrecision, WEIGHT_TYPES, type WeightType } from '../export/manifest.js';
import { addInt8 } from '../pipelines/calibrate.js';
import { chooseModel, type ModelFileChoice } from '../pipelines/choose-model.js';
import { defaultCheckpoint } from '../pipelines/default-model.js';
import { describeExport, describeModel } from '../pipelines/describe-model.js';
import { VERSION } from '../version.js';
import { UsageError, UserError } from './errors.js';
import { addCommonOptions, addDepthFileOptions, type CommonOptions, checkFiles, wholeNumber } from './options.js';
import { Reporter } from './report.js';

type ExportCommandOptions = CommonOptions &
  ModelFileChoice & {
    output: string;
    precision: ExportPrecision | 'int8';
    calibrate?: string[];
    weights?: WeightType;
    size?: number;
  };

const EXAMPLES = `
The folder gets model.safetensors with all weights, the graphs source.onnx, drive.onnx (but of models that the face mesh
moves) and generate.onnx, and manifest.json. ONNX Runtime runs it where LibTorch is not, also in browsers, as
\`dagan animate --checkpoint FOLDER\` does. Commands that need LibTorch take the folder too, and run the weights in it.
What goes in and comes out: docs/export.md.

Examples:
  dagan export --checkpoint model.safetensors -o exported/
  dagan export --checkpoint model.safetensors -o small/ --weights float16
  dagan export -o fast/ --precision int8 --calibrate portraits/*.jpg
  dagan animate portrait.jpg talking.mp4 -o out.mp4 --checkpoint exported/`;

export function exportCommand(): Command {
  const command = new Command('export')
    .description('write a model as ONNX graphs that run without LibTorch')
    .requiredOption('-o, --output <folder>', 'the folder to write; files of an earlier export are replaced')
    .option('--checkpoint <file>', 'the model, as `animate` takes it; default: the one in weights/');
  addDepthFileOptions(command)
    .addOption(
      new Option(
        '--precision <kind>',
        'arithmetic; float16 suits GPUs, int8 processors with VNNI: a second graph of the frames beside that in float32',
      )
        .choices([...EXPORT_PRECISIONS, 'int8'])
        .default('float32'),
    )
    .option(
      '--calibrate <portrait...>',
      'for int8: pictures of some faces, unlike each other, on which ranges of numbers are measured',
    )
    .addOption(
      new Option(
        '--weights <kind>',
        'how weights are stored, whatever the arithmetic; float16 halves the folder (default: as --precision)',
      ).choices(WEIGHT_TYPES),
    )
    .option(
      '--size <n>',
      'fix the side of the pictures, in pixels (default: any that fits the model)',
      wholeNumber(1, 4096),
    );
  return addCommonOptions(command).addHelpText('after', EXAMPLES).action(runExport);
}

async function runExport(options: ExportCommandOptions): Promise<void> {
  const { output, precision, calibrate: portraits, weights, size } = options;
  if ((precision === 'int8') !== (portraits !== undefined)) {
    throw new UsageError('--precision int8 and --calibrate PORTRAIT... go together');
  }
  checkFiles(portraits ?? []);
  if (options.checkpoint === undefined && defaultCheckpoint() === undefined) {
    throw new UserError('there is no model to export: name one with --checkpoint');
  }
  if (existsSync(output) && !statSync(output).isDirectory()) {
    throw new UserError(`${output}: is a file; an exported model is a folder`);
  }
  const reporter = new Reporter(options);
  const { model, metadata } = chooseModel(options, reporter.tell);
  const multiple = model.sizeMultiple;
  if (size !== undefined && size % multiple !== 0) {
    throw new UsageError(`--size ${size}: the pictures of this model must be a multiple of ${multiple} wide`);
  }
  reporter.notice(`${describeModel(model.config)}; recording its networks`);
  const exported = await exportModel(model, output, {
    precision: precision === 'int8' ? 'float32' : precision,
    weights,
    size,
    metadata,
    exportedBy: `dagan ${VERSION}`,
  });
  const manifest = portraits ? await addInt8(output, { portraits }, reporter.tell) : exported;
  for (const { file, bytes } of exportedFiles(manifest)) {
    reporter.result(`${join(output, file)}: ${(bytes / 1e6).toFixed(1)} MB`);
  }
  reporter.result(`${output}: ${describeExport(manifest)}`);
}
