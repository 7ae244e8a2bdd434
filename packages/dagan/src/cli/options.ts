// Options that several commands share, and how their values are read.
import { existsSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { MotionControls } from '../animation/controls.js';
import { MOTION_PARTS } from '../animation/face-parts.js';
import { INNER_MOUTHS } from '../animation/inner-mouth.js';
import type { EngineChoice } from '../pipelines/choose-engine.js';
import type { KeypointSource } from '../pipelines/choose-keypoints.js';
import type { ModelChoice, ModelFileChoice } from '../pipelines/choose-model.js';
import type { ReferenceFrame } from '../pipelines/driver.js';
import type { FaceSelection } from '../pipelines/find-faces.js';
import type { CropChoice } from '../pipelines/told-squares.js';
import { UsageError, UserError } from './errors.js';

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
export type CommonOptions = { quiet?: boolean; debug?: boolean; json?: boolean };

export function addCommonOptions(command: Command): Command {
  return command
    .option('-q, --quiet', 'say nothing but warnings and errors')
    .option('--json', 'say everything as lines of JSON on stdout, for programs (docs/machine.md)')
    .option('--debug', 'show where in the program an error came up');
}

/** Which model to run, and how. */
export type ModelOptions = ModelFileChoice &
  Required<Pick<ModelChoice, 'precision' | 'device'>> &
  Pick<ModelChoice, 'threads'>;

export function addDepthFileOptions(command: Command): Command {
  return command
    .option('--depth-encoder <file>', 'encoder of the face-depth network, where it is a file of its own (as published)')
    .option('--depth-decoder <file>', 'decoder of the face-depth network, likewise');
}

/** @param more arithmetic that is not LibTorch's */
export function addModelOptions(command: Command, more: readonly 'int8'[] = []): Command {
  command.option(
    '--checkpoint <file>',
    "model: a file of ours (.safetensors), a training's checkpoint (its averaged weights), or published weights as they are " +
      '(.pth, .pth.tar, .safetensors); default: the one in weights/',
  );
  return addComputeOptions(addDepthFileOptions(command), more);
}

/** How networks run: precision, device, threads. */
export function addComputeOptions(command: Command, more: readonly 'int8'[] = []): Command {
  const others = more.includes('int8') ? ', and int8 where an export has it and the processor VNNI' : '';
  return command
    .addOption(
      new Option(
        '--precision <kind>',
        `arithmetic; auto takes bfloat16 on a GPU and on processors with units for it${others}`,
      )
        .choices(['float32', 'bfloat16', ...more, 'auto'])
        .default('auto'),
    )
    .option('--device <name>', 'cpu, cuda, cuda:1, ...; auto takes the first GPU there is', 'auto')
    .option('--threads <n>', 'threads of the processor to use (default: one per processor)', wholeNumber(1, 1024));
}

/** Which model to run, how, and by what. */
export type EngineOptions = Omit<ModelOptions, 'precision'> & Required<Pick<EngineChoice, 'engine' | 'precision'>>;

export function addEngineOption(
  command: Command,
  others = 'for an exported ' +
    'model ONNX Runtime, for another LibTorch, for the default model the faster that is there, on cuda what has it',
): Command {
  return command.addOption(
    new Option(
      '--engine <name>',
      'what runs the networks; onnx: ONNX Runtime, which needs no LibTorch but an exported model (a folder as ' +
        `--checkpoint) and takes dml, coreml and webgpu as --device too, where they are there; auto: ${others}`,
    )
      .choices(['auto', 'libtorch', 'onnx'])
      .default('auto'),
  );
}

/** The same for commands that make figures. */
export const addFigureEngineOption = (command: Command): Command =>
  addEngineOption(command, 'LibTorch where it has been set up, which shows more, else ONNX Runtime');

/** What finds keypoints. */
export type KeypointOptions = { keypoints: KeypointSource };

export const keypointsOption = (): Option =>
  new Option(
    '--keypoints <source>',
    "what finds named keypoints: mesh, the face's mesh; network, the model's own; auto: the mesh where keypoints have names",
  )
    .choices(['auto', 'mesh', 'network'])
    .default('auto');

export const innerMouthOption = (): Option =>
  new Option(
    '--inner-mouth <source>',
    "what a mouth shows that the portrait has shut: the inside of the driver's, or a drawn one where what drives has no pictures (auto); drawn; painted by the networks",
  )
    .choices(INNER_MOUTHS)
    .default('auto');

/** Which part of the inputs is shown, and how large. */
export type SquareCommandOptions = {
  crop: CropChoice;
  face?: number;
  frame?: number;
  start?: number;
  end?: number;
  size: number;
};

export function addSquareOptions(command: Command, { least, size }: { least: number; size: number }): Command {
  return command
    .addOption(
      new Option(
        '--crop <square>',
        'the square that is shown: auto finds the face, none takes the centre, x,y,side is a square in pixels',
      )
        .argParser(cropChoice)
        .default({ kind: 'auto' }, 'auto'),
    )
    .option('--face <n>', 'which face, counted from the left (default: the largest)', wholeNumber(1))
    .option('--frame <n>', 'of a clip, this frame alone, counted from 0', wholeNumber(0))
    .option('--start <n>', 'first frame of a clip', wholeNumber(0))
    .option('--end <n>', 'frame of a clip before which to stop', wholeNumber(1))
    .option('--size <n>', 'side of each square in pixels', wholeNumber(least, 2048), size);
}

/** Puts the number of a face to the choice that looks for one. Throws a UsageError for another choice. */
export function withFace(
  crop: CropChoice,
  face: number | undefined,
  { crop: cropOption, face: faceOption } = { crop: '--crop', face: '--face' },
): CropChoice {
  if (face === undefined) return crop;
  if (crop.kind !== 'auto') throw new UsageError(`${faceOption} ${face} goes with ${cropOption} auto`);
  return { kind: 'auto', face };
}

/** Reads `auto`, `none` or `x,y,side`. */
export function cropChoice(text: string): CropChoice {
  if (text === 'auto' || text === 'none') return { kind: text };
  const [left, top, side] = text.split(',').map(Number);
  const whole = /^-?\d+,-?\d+,\d+$/.test(text) && left !== undefined && top !== undefined && side !== undefined;
  if (!whole || side < 16) {
    throw new InvalidArgumentError('It must be auto, none, or x,y,side in whole pixels, the side at least 16.');
  }
  return { kind: 'square', square: { left, top, side } };
}

/** Reads `all` or `1,3`. */
export function faceSelection(text: string): FaceSelection {
  if (text === 'all') return text;
  const numbers = text.split(',').map(Number);
  if (!/^\d+(,\d+)*$/.test(text) || numbers.includes(0) || new Set(numbers).size < numbers.length) {
    throw new InvalidArgumentError('It must be all, or different numbers from 1 on, such as 1,3.');
  }
  return numbers;
}

/** Reads `2`, or `1,2`. */
export function faceNumbers(text: string): number[] {
  return text.split(',').map(wholeNumber(1));
}

/** Reads `pose=1,mouth=1.2`. */
export function motionParts(text: string): NonNullable<MotionControls['parts']> {
  const parts = text.split(',').map((item) => {
    const [name, value = ''] = item.split('=').map((word) => word.trim());
    const part = MOTION_PARTS.find((known) => known === name);
    if (!part) throw new InvalidArgumentError(`It must name parts with their strengths: ${MOTION_PARTS.join(', ')}.`);
    return [part, amount(0, 4)(value)] as const;
  });
  return Object.fromEntries(parts);
}

/** Reads `auto`, `first` or the number of a frame. */
export function referenceFrame(text: string): ReferenceFrame {
  if (text === 'auto' || text === 'first') return text;
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It must be auto, first, or a whole number from 0 on.');
  return Number(text);
}

/** Reads a number from `least` to `most`. */
export function amount(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= least && value <= most)) {
      throw new InvalidArgumentError(`It must be a number from ${least} to ${most}.`);
    }
    return value;
  };
}

/** Which part of a driving clip or template is used. */
export const addRangeOptions = (command: Command): Command =>
  command
    .option('--start <n>', 'first driving frame, counted from 0', wholeNumber(0))
    .option('--end <n>', 'driving frame before which to stop', wholeNumber(1));
