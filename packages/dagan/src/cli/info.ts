// `dagan info`: what a checkpoint or exported model is, or what a picture or clip says of its origin.
import { Command } from 'commander';
import { describeFile } from '../pipelines/describe-file.js';
import { textOf } from './errors.js';
import { addCommonOptions, type CommonOptions } from './options.js';
import { printJson } from './report.js';

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
    .action(async (path: string, { tensors, json }: CommonOptions & { tensors?: boolean }) => {
      // What a file says cannot begin further lines, nor command the terminal.
      const lines = (await describeFile(path, { tensors, words: textOf })).map((line) =>
        line.replace(/\p{Cc}+/gu, ' '),
      );
      if (json) printJson({ type: 'result', facts: lines.map((line) => [line.slice(0, 10).trim(), line.slice(10)]) });
      else print(lines);
    });
}

function print(lines: readonly string[]): void {
  for (const line of lines) process.stdout.write(`${line}\n`);
}
