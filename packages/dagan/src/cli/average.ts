// `dagan average`: one model that is the mean of several.
import { extname } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { averageModels } from '../pipelines/average-models.js';
import { UsageError } from './errors.js';
import { addCommonOptions, type CommonOptions, checkFiles } from './options.js';
import { Reporter } from './report.js';

type AverageOptions = CommonOptions & { output: string; shares?: number[]; name?: string };

const EXAMPLES = `
The files are models, checkpoints of a training (their averaged weights) or exported folders, or all of them face depth
alone (depth.safetensors, checkpoints of stage 1). They must descend from the same weights: the mean of networks that were
trained independently is of no use. Judge the result as you would any model, by "dagan evaluate".

Examples:
  dagan average runs/a/checkpoints/step-00000560.safetensors runs/a/model.safetensors -o mean.safetensors
  dagan average old.safetensors new.safetensors --shares 0.2,0.8 -o mean.safetensors
  dagan average runs/depth/checkpoints/*.safetensors -o depth.safetensors`;

export function averageCommand(): Command {
  const command = new Command('average')
    .description('write the mean of the weights of several models')
    .argument('<models...>', 'two files at least, of the same architecture')
    .requiredOption('-o, --output <file>', 'the model file to write, .safetensors')
    .option('--shares <numbers>', 'how much each counts, such as 0.2,0.8 (default: all the same)', readShares)
    .option('--name <text>', "the model's name, kept in the file and in the outputs' comments");
  return addCommonOptions(command).addHelpText('after', EXAMPLES).action(runAverage);
}

function readShares(text: string): number[] {
  const shares = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (shares.every((share) => share > 0 && Number.isFinite(share))) return shares;
  throw new InvalidArgumentError('They must be positive numbers, with commas between them.');
}

async function runAverage(inputs: string[], options: AverageOptions): Promise<void> {
  const { output, name, shares = inputs.map(() => 1) } = options;
  if (inputs.length < 2) throw new UsageError(`${inputs[0]}: a mean takes two models at least`);
  if (shares.length !== inputs.length) {
    throw new UsageError(`--shares has ${shares.length} numbers for ${inputs.length} models`);
  }
  if (extname(output).toLowerCase() !== '.safetensors') {
    throw new UsageError(`${output}: models are written as .safetensors; end the name after -o with it`);
  }
  checkFiles(inputs);
  const { holds, sha256 } = await averageModels({ inputs, shares, output, name });
  const reporter = new Reporter(options);
  reporter.result(`${output}: the mean of ${inputs.length} files that hold ${holds}`, { output, sha256 });
  reporter.result(`sha256 of the weights: ${sha256}`);
}
