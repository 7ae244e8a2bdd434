// Options that several commands share, and how their values are read.
import { existsSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { UserError } from './errors.js';

/** Reads a whole number of at least `least` and at most `most`. */
export function wholeNumber(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isInteger(value) || value < least || value > most) {
      const range = most === Number.MAX_SAFE_INTEGER ? `from ${least} on` : `from ${least} to ${most}`;
      throw new InvalidArgumentError(`It must be a whole number ${range}.`);
    }
    return value;
  };
}

/** Reads a frame rate. */
export function frameRate(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0.1 && value <= 1000)) {
    throw new InvalidArgumentError('It must be a number of frames per second from 0.1 to 1000.');
  }
  return value;
}

/**
 * Checks that named files are there, before work begins that takes time.
 * @throws UserError naming the first that is not
 */
export function checkFiles(files: readonly (string | undefined)[]): void {
  for (const file of files)
    if (file !== undefined && !existsSync(file)) throw new UserError(`${file}: no such file or folder`);
}

/** Options that every command takes. */
export type CommonOptions = { quiet?: boolean; debug?: boolean };

export function addCommonOptions(command: Command): Command {
  return command
    .option('-q, --quiet', 'say nothing but warnings and errors')
    .option('--debug', 'show where in the program an error came up');
}

/** The model's files, as named on the command line. */
export type ModelFileOptions = { checkpoint?: string; depthEncoder?: string; depthDecoder?: string };

/** Which model to run, and how. */
export type ModelOptions = ModelFileOptions & {
  precision: 'float32' | 'bfloat16' | 'auto';
  device: string;
  threads?: number;
};

export function addDepthFileOptions(command: Command): Command {
  return command
    .option('--depth-encoder <file>', 'encoder of the face-depth network, where it is a file of its own (as published)')
    .option('--depth-decoder <file>', 'decoder of the face-depth network, likewise');
}

export function addModelOptions(command: Command): Command {
  command.option(
    '--checkpoint <file>',
    "model: a file of ours (.safetensors), a training's checkpoint (its averaged weights), or published weights as they are " +
      '(.pth, .pth.tar, .safetensors); default: the one in weights/',
  );
  return addComputeOptions(addDepthFileOptions(command));
}

/** How networks run: precision, device, threads. */
export function addComputeOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--precision <kind>', 'arithmetic; auto takes bfloat16 on a GPU and on processors with units for it')
        .choices(['float32', 'bfloat16', 'auto'])
        .default('auto'),
    )
    .option('--device <name>', 'cpu, cuda, cuda:1, ...; auto takes the first GPU there is', 'auto')
    .option('--threads <n>', 'threads of the processor to use (default: one per processor)', wholeNumber(1, 1024));
}
