// `dagan attention`: where places of the portrait's depth look for appearance (Eq. 9 and Fig. 9 of the paper).
import { Command, InvalidArgumentError, Option } from 'commander';
import { AttentionRows, type Place } from '../pipelines/attention-rows.js';
import { NETWORK_SIZE } from '../pipelines/choose-model.js';
import { drawAttention } from '../pipelines/draw-attention.js';
import { figureKind, figureMetadata, writeFigure } from '../pipelines/figure.js';
import { chooseFigureEngine } from '../pipelines/figure-engine.js';
import { checkWritable, guardInputs, isClipInput } from '../pipelines/pairs.js';
import { type FramedSquare, SquareReader } from '../pipelines/squares.js';
import type { CropChoice } from '../pipelines/told-squares.js';
import { UsageError } from './errors.js';
import {
  addCommonOptions,
  addFigureEngineOption,
  addModelOptions,
  addSquareOptions,
  type CommonOptions,
  cropChoice,
  type EngineOptions,
  type KeypointOptions,
  keypointsOption,
  type SquareCommandOptions,
  wholeNumber,
  withFace,
} from './options.js';
import { Reporter } from './report.js';

/** A pixel of the portrait's file, from its left and top edge. */
type Pixel = readonly [x: number, y: number];

type AttentionOptions = CommonOptions &
  EngineOptions &
  KeypointOptions &
  SquareCommandOptions & {
    output?: string;
    at: Pixel[];
    over: 'source' | 'warped';
    drivingCrop?: CropChoice;
    drivingFace?: number;
  };

const EXAMPLES = `
The query at x,y is made of the portrait's depth there; its row of the attention says from which of the warped features it
takes appearance. --over source shows each of these where in the portrait it comes from, --over warped where the driving
face has it. Heat grows from 0 to the largest weight of the row (of a clip, in all frames). The driving keypoints are used
as they are, as with --absolute.

Examples:
  dagan attention portrait.jpg frame.png --at 310,240 -o attention.png
  dagan attention portrait.jpg frame.png --at 310,240 --at 420,240 --at 365,400
  dagan attention portrait.jpg talking.mp4 --at 365,400 -o attention.mp4`;

export function attentionCommand(): Command {
  const command = new Command('attention')
    .description('show where places of the portrait look for appearance')
    .argument('<source>', 'the portrait')
    .argument('<driving>', 'a picture, a clip or folder of frames')
    .requiredOption('--at <x,y>', 'a place, in pixels of the portrait; may be given several times', addPixel)
    .option('-o, --output <path>', 'picture or clip (default: attention.png, of a driving clip attention.mp4)')
    .addOption(
      new Option('--over <picture>', 'what the heat lies over').choices(['source', 'warped']).default('source'),
    );
  addSquareOptions(command, { least: 64, size: NETWORK_SIZE })
    .option(
      '--driving-crop <square>',
      'the square of the driving picture or clip, likewise (default: auto)',
      cropChoice,
    )
    .option('--driving-face <n>', 'which face of it, likewise', wholeNumber(1));
  addFigureEngineOption(addModelOptions(command)).addOption(keypointsOption());
  return addCommonOptions(command).addHelpText('after', EXAMPLES).action(runAttention);
}

/** Reads a place and puts it to those before. */
function addPixel(text: string, before: Pixel[] = []): Pixel[] {
  const parts = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (parts.length !== 2 || !parts.every(Number.isFinite)) {
    throw new InvalidArgumentError('It must be two numbers of pixels, as 120,80.');
  }
  return [...before, parts as unknown as Pixel];
}

async function runAttention(source: string, driving: string, options: AttentionOptions): Promise<void> {
  const { at, frame, start } = options;
  const moving = isClipInput(driving) && frame === undefined;
  const output = options.output ?? `attention.${moving ? 'mp4' : 'png'}`;
  const clip = figureKind(output) === 'clip';
  if (clip && !moving) throw new UsageError(`${output}: one driving picture makes a picture; end the name with .png`);
  const reporter = new Reporter(options);
  const files = [options.checkpoint, options.depthEncoder, options.depthDecoder].filter((path) => path !== undefined);
  guardInputs(output, [source, driving, ...files]);
  await checkWritable(output);
  await using portraits = new SquareReader(
    { ...options, crop: withFace(options.crop, options.face), size: NETWORK_SIZE },
    reporter.tell,
  );
  const portrait = await portraits.read(source);
  const places = at.map((pixel) => placeOf(pixel, portrait, source));
  const first = clip ? undefined : (frame ?? (moving ? (start ?? 0) : undefined));
  const drivingCrop = options.drivingCrop ?? (options.crop.kind === 'none' ? options.crop : { kind: 'auto' });
  const names = { crop: '--driving-crop', face: '--driving-face' };
  const driven = {
    ...options,
    crop: withFace(drivingCrop, options.drivingFace, names),
    frame: first,
    size: NETWORK_SIZE,
  };
  await using reader = new SquareReader(driven, reporter.tell, 'driving');
  await using squares = await reader.open([driving]);

  await using figure = await chooseFigureEngine(options, reporter.tell, { use: 'figure' });
  const { engine, metadata } = figure;
  const rows = await AttentionRows.of(engine, portrait.picture);
  const labels = at.map(([x, y]) => `x${x} y${y}`);
  const frames = drawAttention(squares, { rows, portrait: portrait.picture, places, labels }, options);
  const count = await writeFigure(output, frames, {
    frameRate: squares.frameRate,
    frameCount: squares.frameCount,
    metadata: figureMetadata('Attention', metadata),
    tell: reporter.tell,
  });
  reporter.result(count === 1 ? output : `${output}: ${count} frames`);
}

/** A pixel as a place in the picture's square. Throws a UsageError for one that is not in there. */
function placeOf([x, y]: Pixel, { square, width, height }: FramedSquare, path: string): Place {
  const { left, top, side } = square;
  if (x < left || y < top || x >= left + side || y >= top + side) {
    const range = `x ${left} to ${left + side - 1}, y ${top} to ${top + side - 1}`;
    throw new UsageError(
      `--at ${x},${y} is outside of what the networks see of ${path} (${width} x ${height}): ${range}`,
    );
  }
  return [(x + 0.5 - left) / side, (y + 0.5 - top) / side];
}
