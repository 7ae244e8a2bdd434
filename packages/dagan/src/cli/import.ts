// `dagan import`: published files into one self-describing model file.
import { existsSync } from 'node:fs';
import { basename, extname } from 'node:path';
import { openCheckpoint } from '@dagan/libtorch/checkpoint';
import { Command, Option } from 'commander';
import { loadModel, type ModelMetadata, saveModel } from '../models/files/model-file.js';
import type { ModelFileChoice } from '../pipelines/choose-model.js';
import { describeModel } from '../pipelines/describe-model.js';
import { checkWritable, guardInputs } from '../pipelines/pairs.js';
import { VERSION } from '../version.js';
import { UsageError, UserError } from './errors.js';
import { addCommonOptions, addDepthFileOptions, type CommonOptions } from './options.js';
import { Reporter } from './report.js';

type ImportOptions = CommonOptions &
  ModelFileChoice & {
    output: string;
    dtype: 'float32' | 'bfloat16' | 'float16';
    name?: string;
    license?: string;
  };

const EXAMPLES = `
The architecture (plain or SPADE decoder, ResNet-18 or -50, number of keypoints, widths) is read off the tensors. What
training alone needs, discriminator and optimisers, is left out. 16-bit files are half as large; computation in float32
then starts from rounded weights.

Examples:
  dagan import vox-adv.pth.tar --depth-encoder encoder.pth --depth-decoder depth.pth -o model.safetensors
  dagan import vox-adv.safetensors -o model.safetensors --name vox-adv-256 --license "CC BY-NC 4.0" --dtype bfloat16`;

export function importCommand(): Command {
  const command = new Command('import')
    .description('turn published weights into one self-describing .safetensors file')
    .argument('<checkpoint>', 'published weights (.pth, .pth.tar, .safetensors), or a file of ours')
    .requiredOption('-o, --output <file>', 'the model file to write, .safetensors');
  addDepthFileOptions(command)
    .addOption(
      new Option('--dtype <kind>', 'how numbers are stored')
        .choices(['float32', 'bfloat16', 'float16'])
        .default('float32'),
    )
    .option('--name <text>', "the model's name, kept in the file and in the outputs' comments")
    .option('--license <text>', "the weights' licence, kept in the file");
  return addCommonOptions(command).addHelpText('after', EXAMPLES).action(runImport);
}

async function runImport(checkpoint: string, options: ImportOptions): Promise<void> {
  const { output, depthEncoder, depthDecoder, dtype, name, license } = options;
  if (extname(output).toLowerCase() !== '.safetensors') {
    throw new UsageError(`${output}: models are written as .safetensors; end the name after -o with it`);
  }
  const inputs = [checkpoint, depthEncoder, depthDecoder].filter((file) => file !== undefined);
  for (const input of inputs) if (!existsSync(input)) throw new UserError(`${input}: no such file`);
  guardInputs(output, inputs);
  await checkWritable(output);
  const reporter = new Reporter(options);
  const { model, metadata, unused } = loadModel({ checkpoint, depthEncoder, depthDecoder });
  const about: ModelMetadata = {
    imported_from: inputs.map((input) => basename(input)).join(', '),
    imported_by: `dagan ${VERSION}`,
    ...metadata,
    ...(name === undefined ? {} : { name }),
    ...(license === undefined ? {} : { license }),
  };
  saveModel(output, model.to({ dtype }), about);
  using written = openCheckpoint(output);
  reporter.result(`${output}: ${describeModel(model.config)}`);
  reporter.result(`sha256 of the weights: ${written.metadata.sha256}`);
  if (unused.length > 0) reporter.notice(`${unused.length} tensors are left out, such as ${unused[0]}`);
}
