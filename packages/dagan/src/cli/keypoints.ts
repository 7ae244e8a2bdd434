// `dagan keypoints`: where the networks put the keypoints, and how the face around each is turned and stretched.
import { Command } from 'commander';
import { NETWORK_SIZE } from '../pipelines/choose-model.js';
import { drawKeypointFigure } from '../pipelines/draw-keypoints.js';
import { figureKind, figureMetadata, writeFigure } from '../pipelines/figure.js';
import { chooseFigureEngine } from '../pipelines/figure-engine.js';
import { checkWritable, guardInputs, isClipInput } from '../pipelines/pairs.js';
import { SquareReader } from '../pipelines/squares.js';
import { UsageError } from './errors.js';
import {
  addCommonOptions,
  addFigureEngineOption,
  addModelOptions,
  addSquareOptions,
  type CommonOptions,
  type EngineOptions,
  type KeypointOptions,
  keypointsOption,
  type SquareCommandOptions,
  withFace,
} from './options.js';
import { Reporter } from './report.js';

type KeypointsOptions = CommonOptions &
  EngineOptions &
  KeypointOptions &
  SquareCommandOptions & {
    output?: string;
    axes: boolean;
    legend: boolean;
  };

const EXAMPLES = `
Each keypoint keeps its colour and number in all pictures. The two short lines of a keypoint are the columns of its
jacobian: the directions that x and y have there. Several inputs are shown beside each other; pictures stand still while
clips run, until the first of them ends.

Examples:
  dagan keypoints portrait.jpg -o keypoints.png
  dagan keypoints portrait.jpg talking.mp4 -o keypoints.mp4
  dagan keypoints a.jpg b.jpg c.jpg --size 384`;

export function keypointsCommand(): Command {
  const command = new Command('keypoints')
    .description('show the keypoints of pictures and clips')
    .argument('<input...>', 'pictures, clips or folders of frames')
    .option('-o, --output <path>', 'picture or clip (default: keypoints.png, with a clip keypoints.mp4)')
    .option('--no-axes', 'leave out the jacobians')
    .option('--no-legend', 'leave out which colour is which keypoint');
  addSquareOptions(command, { least: 64, size: 2 * NETWORK_SIZE });
  addFigureEngineOption(addModelOptions(command)).addOption(keypointsOption());
  return addCommonOptions(command).addHelpText('after', EXAMPLES).action(runKeypoints);
}

async function runKeypoints(inputs: string[], options: KeypointsOptions): Promise<void> {
  const { frame, start } = options;
  const moving = inputs.some(isClipInput) && frame === undefined;
  const output = options.output ?? `keypoints.${moving ? 'mp4' : 'png'}`;
  const clip = figureKind(output) === 'clip';
  if (clip && !moving) throw new UsageError(`${output}: pictures alone make a picture; end the name with .png`);
  const reporter = new Reporter(options);
  const files = [options.checkpoint, options.depthEncoder, options.depthDecoder].filter((path) => path !== undefined);
  guardInputs(output, [...inputs, ...files]);
  await checkWritable(output);
  const first = clip ? undefined : (frame ?? (moving ? (start ?? 0) : undefined));
  await using reader = new SquareReader(
    { ...options, crop: withFace(options.crop, options.face), frame: first },
    reporter.tell,
  );
  await using squares = await reader.open(inputs);

  await using figure = await chooseFigureEngine(options, reporter.tell, { use: 'figure' });
  const { engine, metadata } = figure;
  const count = await writeFigure(output, drawKeypointFigure(squares, engine, options), {
    frameRate: squares.frameRate,
    frameCount: squares.frameCount,
    metadata: figureMetadata('Keypoints', metadata),
    tell: reporter.tell,
  });
  reporter.result(count === 1 ? output : `${output}: ${count} frames`);
}
