// `dagan depth`: face depth as pictures, clips, point clouds and turning surfaces (Fig. 1, 8 and 10 of the paper).
import { basename, extname } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { writeWhole } from '../media/files.js';
import { writeGrey16 } from '../media/pictures/grey16.js';
import { writePicture } from '../media/pictures/images.js';
import type { Picture } from '../media/pictures/picture.js';
import { NETWORK_SIZE } from '../pipelines/choose-model.js';
import { DepthFigure, type DepthFigureOptions } from '../pipelines/draw-depth.js';
import { chooseDepth, type DepthChoice, FIELD_OF_VIEW } from '../pipelines/estimate-depth.js';
import { figureKind, figureMetadata, writeFigure } from '../pipelines/figure.js';
import { checkWritable, guardInputs, isClipInput } from '../pipelines/pairs.js';
import { SquareReader } from '../pipelines/squares.js';
import type { ValueRange } from '../visualization/maps.js';
import { UsageError } from './errors.js';
import {
  addCommonOptions,
  addFigureEngineOption,
  addModelOptions,
  addSquareOptions,
  type CommonOptions,
  type EngineOptions,
  frameRate,
  type SquareCommandOptions,
  withFace,
} from './options.js';
import { Reporter } from './report.js';

type DepthOptions = CommonOptions &
  EngineOptions &
  Pick<DepthChoice, 'depth' | 'fieldOfView'> &
  SquareCommandOptions &
  DepthFigureOptions & { output: string; raw?: boolean; mesh?: boolean };

const EXAMPLES = `
What comes out depends on the input and on the name after -o:
  .png .jpg .webp   disparity, bright is near; with --side-by-side, or of several inputs, a row for each with the picture,
                    its disparity, its shape in plaster, and the surface from either side
  .png and --raw    disparity as 16-bit grey: 65535 times the number between 0 (far) and 1 (near)
  .ply              points with colours (--mesh: and triangles): x right, y up, z towards the viewer, the face at the
                    origin, its distance from the camera as the unit
  .mp4 .gif folder/ and the like: of a picture, its surface before a camera that swings around the face; of a clip, its
                    disparity, or with --turntable its surface before such a camera

Of a clip, pictures and clouds show its first frame, or --frame.
Depth is known up to its scale, and its shape as far as the camera is known: the field of view is what the pose network
says where the file has one (--depth), else ${FIELD_OF_VIEW} degrees; --field-of-view overrules both.
Depth is computed in float32 whatever --precision says.

Examples:
  dagan depth portrait.jpg -o depth.png
  dagan depth a.jpg b.jpg c.jpg -o figure.png --depth depth.safetensors
  dagan depth portrait.jpg -o face.ply --size 512
  dagan depth portrait.jpg -o turntable.mp4 --plaster
  dagan depth talking.mp4 -o depth.mp4 --side-by-side`;

export function depthCommand(): Command {
  const command = new Command('depth')
    .description('show face depth: pictures, clips, point clouds, turning surfaces')
    .argument('<input...>', 'a picture, a clip or folder of frames; several for one figure')
    .requiredOption('-o, --output <path>', 'picture, clip, or .ply point cloud')
    .option('--depth <file>', 'the face-depth network alone, as stage 1 of the training gives it')
    .option('--field-of-view <degrees>', 'of the camera, across the square', angle)
    .option('--range <low,high>', 'disparities shown darkest and brightest (default: as they occur)', disparities)
    .option('--raw', 'write disparity as 16-bit grey')
    .option('--mesh', 'write the triangles between the points of a .ply')
    .option('--turntable', 'show a clip as a surface before a swinging camera')
    .option('--side-by-side', 'show picture, disparity and surface beside each other')
    .option('--plaster', 'show the surface in grey, under a lamp')
    .option('--yaw <degrees>', 'how far the camera swings to either side', angle, 30)
    .option('--seconds <s>', 'time of one swing', seconds, 4)
    .option('--fps <n>', 'frames per second of a turning picture', frameRate, 25);
  addSquareOptions(command, { least: 32, size: NETWORK_SIZE });
  addFigureEngineOption(addModelOptions(command));
  return addCommonOptions(command).addHelpText('after', EXAMPLES).action(runDepth);
}

function angle(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 1 && value <= 150)) {
    throw new InvalidArgumentError('It must be an angle from 1 to 150 degrees.');
  }
  return value;
}

function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0.1 && value <= 600)) {
    throw new InvalidArgumentError('It must be a time from 0.1 to 600 seconds.');
  }
  return value;
}

function disparities(text: string): ValueRange {
  const parts = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  const [low, high] = parts as [number, number];
  if (parts.length !== 2 || !(low >= 0 && high > low && high <= 1)) {
    throw new InvalidArgumentError('It must be two disparities from 0 to 1, the lower first, as 0.1,0.6.');
  }
  return [low, high];
}

async function runDepth(inputs: string[], options: DepthOptions): Promise<void> {
  const { output, size } = options;
  const purpose = purposeOf(inputs, options);
  const reporter = new Reporter(options);
  const files = [options.depth, options.checkpoint, options.depthEncoder, options.depthDecoder];
  guardInputs(output, [...inputs, ...files.filter((path) => path !== undefined)]);
  await checkWritable(output);
  await using reader = new SquareReader({ ...options, crop: withFace(options.crop, options.face) }, reporter.tell);
  if (purpose === 'clip') {
    await using squares = await reader.open(inputs);
    using estimator = await chooseDepth(options, reporter.tell);
    const { fps, seconds: round } = options;
    const count = await writeFigure(output, new DepthFigure(estimator, options).frames(squares), {
      frameRate: squares.moving ? squares.frameRate : fps,
      frameCount: squares.moving ? squares.frameCount : Math.round(fps * round),
      metadata: figureMetadata('Face depth', estimator.metadata),
      tell: reporter.tell,
    });
    reporter.result(`${output}: ${count} frames`);
    return;
  }
  const pictures: Picture[] = [];
  for (const input of inputs) {
    const { picture } = await reader.read(input, options.frame ?? (isClipInput(input) ? 0 : undefined));
    pictures.push(picture);
  }
  using estimator = await chooseDepth(options, reporter.tell);
  const figure = new DepthFigure(estimator, options);
  const [first] = pictures as [Picture];
  if (purpose === 'cloud') {
    const { bytes, points, triangles } = await figure.cloud(first, { withTriangles: options.mesh });
    await writeWhole(output, bytes);
    const and = options.mesh ? ` and ${triangles} triangles` : '';
    reporter.result(`${output}: ${points} points${and}; camera: ${estimator.cameraSource}`);
  } else if (purpose === 'raw') {
    const { data } = await estimator.disparity(first);
    const grey = Uint16Array.from(data, (value) => Math.round(65535 * value));
    await writeGrey16(output, size, size, grey);
    reporter.result(`${output}: disparity between 0 and 1 as 0 to 65535, ${size} x ${size}`);
  } else {
    const names = inputs.length > 1 ? inputs.map((input) => basename(input, extname(input))) : undefined;
    const picture = await figure.sheet(pictures, names);
    await writePicture(output, picture, { metadata: figureMetadata('Face depth', estimator.metadata) });
    reporter.result(`${output}: ${picture.width} x ${picture.height}`);
  }
}

/** What is to be made. Throws a UsageError where the options do not go together. */
function purposeOf(inputs: readonly string[], options: DepthOptions): 'picture' | 'raw' | 'cloud' | 'clip' {
  const { output, raw, mesh, turntable, start, end, frame } = options;
  const cloud = extname(output).toLowerCase() === '.ply';
  const kind = cloud ? 'cloud' : figureKind(output);
  if (inputs.length > 1 && kind !== 'picture') {
    throw new UsageError(`${output}: several inputs make one picture; end the name after -o with .png, .jpg or .webp`);
  }
  if (mesh && !cloud) throw new UsageError(`--mesh is for point clouds; end the name after -o with .ply`);
  if (raw) {
    if (inputs.length > 1 || extname(output).toLowerCase() !== '.png') {
      throw new UsageError('--raw makes a .png of one input');
    }
    return 'raw';
  }
  if (kind !== 'clip') {
    if (turntable) throw new UsageError(`--turntable makes a clip; end the name after -o with .mp4, .webm or .gif`);
    if (start !== undefined || end !== undefined) {
      throw new UsageError('--start and --end are for clips; --frame names the frame for a picture or point cloud');
    }
  }
  if (kind === 'clip' && frame !== undefined) {
    throw new UsageError('--frame is for pictures and point clouds; --start and --end name the part of a clip');
  }
  return kind;
}
