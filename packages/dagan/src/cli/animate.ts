// `dagan animate`: a portrait and a driving clip in, an animated clip out; or many of both; or a portrait whose head turns.
import { Command, Option } from 'commander';
import type { MotionControls } from '../animation/controls.js';
import { DIRECTIONS } from '../animation/motion-template.js';
import { animateClip, type ClipSettings } from '../pipelines/animate-clip.js';
import { animateClips, type PairOutcome } from '../pipelines/animate-clips.js';
import { animateFaces } from '../pipelines/animate-faces.js';
import { backgroundOf } from '../pipelines/background.js';
import type { EngineChoice } from '../pipelines/choose-engine.js';
import { NETWORK_SIZE } from '../pipelines/choose-model.js';
import type { FaceSelection } from '../pipelines/find-faces.js';
import { motionNames } from '../pipelines/motion-file.js';
import { BATCH_FORMATS, type BatchFormat, planPairs } from '../pipelines/pairs.js';
import type { CropChoice } from '../pipelines/told-squares.js';
import { summaryOf } from './animation-summary.js';
import { describeError, EXIT, UsageError } from './errors.js';
import {
  addCommonOptions,
  addEngineOption,
  addModelOptions,
  addRangeOptions,
  amount,
  type CommonOptions,
  checkFiles,
  cropChoice,
  type EngineOptions,
  faceNumbers,
  faceSelection,
  frameRate,
  innerMouthOption,
  keypointsOption,
  motionParts,
  referenceFrame,
  wholeNumber,
  withFace,
} from './options.js';
import { Reporter } from './report.js';
import { addSigningOptions, type SigningOptions, signingOf } from './signing.js';
import { addTurnOptions, anglesBesideDriver, type TurnOptions, turnAlone } from './turn-options.js';

type AnimateOptions = CommonOptions &
  EngineOptions &
  SigningOptions &
  TurnOptions &
  Pick<
    ClipSettings,
    | 'adaptScale'
    | 'keypoints'
    | 'portraits'
    | 'background'
    | 'innerMouth'
    | 'referenceFrame'
    | 'pasteBack'
    | 'start'
    | 'end'
    | 'size'
    | 'sideBySide'
    | 'direction'
    | 'speed'
  > & {
    output: string;
    relative?: boolean;
    absolute?: boolean;
    loop?: number;
    smooth?: number;
    strength?: number;
    motion?: MotionControls['parts'];
    mouth?: number;
    lids?: number;
    brows?: number;
    smile?: number;
    crop?: CropChoice;
    drivingCrop?: CropChoice;
    face?: number;
    faces?: FaceSelection;
    drivingFace?: number[];
    fps?: number;
    format?: BatchFormat;
    sound: boolean;
    provenance: boolean;
  };

const EXAMPLES = `
Inputs: a portrait (png, jpg, webp, ...) and a driving clip (mp4, mov, webm, mkv, gif, webp, or a folder of frames).
Instead of a clip a motion template drives (a file of \`dagan motion\`, or ${motionNames().join(', ')}), or a picture,
whose pose and expression the portrait takes over (then -o may be a .png or .jpg). The portrait may be a clip too: the
driver's motion is added to its own, frame by frame, until one of them ends.

Without a clip the head turns to angles of your choice (--yaw, --pitch, --roll), with models whose keypoints stand in space
(OSFV): a still, or between two angles a clip.

A folder of portraits, a folder of clips, or more than two inputs animate every portrait by every clip; of more than
two, the first is a portrait and the last a clip.

The networks take squares in which a face fills a bit more than half of the height. The face is found and such a square
cut out, one for all frames of a clip; pictures and clips that are framed so already are used as they are.

Output: .mp4 .mov .mkv .webm .gif .webp, or a folder/ of PNG frames. An existing output is replaced, an input never.

Examples:
  dagan animate portrait.jpg talking.mp4 -o out.mp4
  dagan animate portrait.jpg talking.mp4 -o whole.mp4 --paste-back
  dagan animate portrait.jpg smile -o out.mp4 --direction both
  dagan animate interview.mp4 smile -o out.mp4 --paste-back
  dagan animate group.jpg talking.mp4 -o out.mp4 --face 2 --smooth 0.5
  dagan animate group.jpg talking.mp4 -o out.mp4 --faces all
  dagan animate group.jpg left.mp4 right.mp4 -o out.mp4 --faces 1,3
  dagan animate group.jpg couple.mp4 -o out.mp4 --faces 1,3 --driving-face 1,2
  dagan animate portrait.jpg talking.mp4 -o out.mp4 --strength 0.8 --motion mouth=1.3,eyes=0 --smile 0.3
  dagan animate portrait.jpg talking.mp4 -o frames/ --start 50 --end 100 --crop 120,40,512
  dagan animate portrait.jpg talking.mp4 -o view.mp4 --side-by-side --reference-frame 12
  dagan animate portrait.jpg talking.mp4 -o out.mp4 --checkpoint vox-adv.pth.tar \\
      --depth-encoder encoder.pth --depth-decoder depth.pth
  dagan animate portrait.jpg --yaw 20 --checkpoint osfv.safetensors -o turned.png
  dagan animate portrait.jpg --yaw -20:20 --direction both --checkpoint osfv.safetensors -o sweep.mp4
  dagan animate portraits/ clips/ -o results/ --format gif --size 128`;

export function animateCommand(): Command {
  const command = new Command('animate')
    .description('animate portraits by clips, pictures or motion templates')
    .argument('<portrait>', 'the face to animate, a picture or a clip; or a folder of portraits')
    .argument(
      '[driving...]',
      'the clip, picture or template whose motion it gets; or a folder of them; or more portraits and clips; none where ' +
        'angles of the head are chosen',
    )
    .requiredOption('-o, --output <path>', 'the animation to write; for several, a folder')
    .addOption(
      new Option(
        '--relative',
        'repeat the change since the reference frame; keeps the face its shape (default)',
      ).conflicts('absolute'),
    )
    .addOption(
      new Option('--absolute', 'take over the driving pose as it is').conflicts(['adaptScale', 'referenceFrame']),
    )
    .option(
      '--adapt-scale',
      "scale relative movement by the sizes of the two faces; the head grows and shrinks with the driver's",
    )
    .option(
      '--reference-frame <which>',
      "frame of the driving clip from which motion is measured, as it has the portrait's pose and expression: auto looks " +
        'for the one most like the portrait, first takes the first of the range, a number counts from 0 (default: auto)',
      referenceFrame,
    )
    .option('--strength <n>', 'of all motion: 1 as the driver, 0 none, 2 twice as much (default: 1)', amount(0, 4))
    .option(
      '--motion <parts>',
      'strength by part of the face, such as pose=1,mouth=1.2,eyes=0,brows=1; parts other than pose need a model whose ' +
        'keypoints have names, as the default model has',
      motionParts,
    )
    .option('--mouth <n>', 'open the mouth by so much, all the time: 0 not at all, 1 wide, -1 shut', amount(-1, 1))
    .option('--lids <n>', 'open the eyes wider (1) or close them (-1)', amount(-1, 1))
    .option('--brows <n>', 'raise the brows (1) or lower them (-1)', amount(-1, 1))
    .option('--smile <n>', 'draw the corners of the mouth out and up (1) or in and down (-1)', amount(-1, 1))
    .addOption(keypointsOption())
    .addOption(innerMouthOption())
    .option(
      '--smooth <strength>',
      'take trembling out of the motion, from 0, hardly, to 1, a lot, at the price of some lag (0.5 is a good start; default: off)',
      amount(0, 1),
    )
    .option(
      '--crop <square>',
      "the portrait's square: auto finds the face (default); none takes the centre, of the clip too; x,y,side is a square in pixels",
      cropChoice,
    )
    .option(
      '--portraits <files...>',
      'more portraits of the same person, for models that merge several into one (X2Face); each at its face',
    )
    .option(
      '--driving-crop <square>',
      "the clip's square, likewise; one for all its frames (default: auto)",
      cropChoice,
    )
    .option('--face <n>', 'which face of the portrait, counted from the left (default: the largest)', wholeNumber(1))
    .addOption(
      new Option(
        '--faces <which>',
        'several faces at once, all back in the one picture: all, or numbers such as 1,3, counted from the left; all inputs ' +
          'after the portrait drive: one for all faces, or one for each, in that order (all: from left to right)',
      )
        .argParser(faceSelection)
        .conflicts(['face', 'crop', 'portraits', 'sideBySide', 'format']),
    )
    .option(
      '--driving-face <n>',
      'which face of the clip, counted likewise where it is first seen; with --faces also one for each driver, such as 2,1, or ' +
        'of one clip one for each face',
      faceNumbers,
    )
    .option(
      '--background <what>',
      'what stands behind the person: moving, as the networks make it (default); still, as in the portrait; a colour such as ' +
        'white or #00b140; a picture; transparent, into .webm or a folder/ of PNG frames',
      backgroundOf,
    )
    .option('--paste-back', 'put the animated square back into the whole portrait')
    .addOption(
      new Option('--direction <way>', 'of a motion template or a turn: forward, reverse, or both').choices(DIRECTIONS),
    )
    .option('--loop <n>', 'show a motion template or a turn so many times', wholeNumber(1, 1000))
    .option('--speed <n>', 'of a motion template or a turn: 0.5 takes twice the time (default: 1)', amount(0.05, 20))
    .option(
      '--size <n>',
      `side of the output in pixels (default: ${NETWORK_SIZE}, at which the networks work); ` +
        "with --paste-back the most for its longer side (default: the portrait's own size)",
      wholeNumber(16, 8192),
    )
    .option(
      '--fps <n>',
      'frames per second: frames are left out or repeated to keep the time; the rate of a folder of frames',
      frameRate,
    )
    .addOption(
      new Option(
        '--side-by-side',
        'show portrait, driving frame, depth, keypoints and result beside each other',
      ).conflicts(['pasteBack', 'background']),
    )
    .option('--config <file>', 'YAML file of further options, such as "smooth: 0.5"; those on the command line count')
    .addOption(
      new Option('--format <kind>', 'what several animations are written as (default: mp4)').choices(BATCH_FORMATS),
    )
    .option('--no-sound', "leave the driving clip's sound out")
    .option(
      '--no-provenance',
      'leave out the metadata (title, comment, XMP) that say the output is synthetic and by which model it was made',
    );
  addTurnOptions(command);
  addRangeOptions(command);
  addSigningOptions(command);
  addEngineOption(addModelOptions(command, ['int8']));
  return addCommonOptions(command)
    .addHelpText('after', EXAMPLES)
    .action(async (portrait: string, driving: string[], options: AnimateOptions) => {
      process.exitCode = await runAnimate([portrait, ...driving], options);
    });
}

/** Animates all that the inputs ask for and returns the exit code. */
async function runAnimate(inputs: readonly string[], options: AnimateOptions): Promise<number> {
  const { output, start = 0, end } = options;
  if (end !== undefined && end <= start) throw new UsageError(`--end ${end} must be after --start ${start}`);
  checkFiles([options.checkpoint, options.depthEncoder, options.depthDecoder, ...(options.portraits ?? [])]);
  const settings = settingsOf(options, inputs.length > 1);
  const reporter = new Reporter(options);
  if (options.faces) {
    const [portrait, ...drivings] = inputs as [string, ...string[]];
    const onEvent = reporter.listen.bind(reporter);
    const { crop: _, ...ways } = settings;
    const { faces, drivingFace } = options;
    const drivingFaces = drivingFace && drivingFace.length > 1 ? drivingFace : undefined; // one number is that of all drivers
    const result = await animateFaces({ ...ways, portrait, drivings, output, faces, drivingFaces, onEvent });
    reporter.result(summaryOf(output, result), { portrait, drivings, output, ...result });
    return 0;
  }
  const { pairs, batch, warnings } = await planPairs(inputs, output, options.format);
  for (const text of warnings) reporter.warn(text);
  const onEvent = reporter.listen.bind(reporter);
  if (batch && options.portraits) throw new UsageError('--portraits goes with one portrait and one clip');
  if (!batch) {
    const [pair] = pairs as [(typeof pairs)[0]];
    const result = await animateClip({ ...pair, ...settings, onEvent });
    reporter.result(summaryOf(pair.output, result), { ...pair, ...result });
    return 0;
  }
  const onOutcome = (outcome: PairOutcome): void => tellOutcome(outcome, reporter);
  const outcomes = await animateClips(pairs, { ...settings, onEvent, onOutcome });
  const failed = outcomes.filter((outcome) => 'error' in outcome);
  reporter.result(`${pairs.length - failed.length} of ${pairs.length} animations are in ${output}`);
  if (failed.length > 0) reporter.warn(`not made: ${failed.map(({ pair }) => pair.output).join(', ')}`);
  return failed.length > 0 ? EXIT.failure : 0;
}

/** @param hasDriver whether something drives; if not, the head turns */
function settingsOf(options: AnimateOptions, hasDriver: boolean): ClipSettings & EngineChoice {
  const { checkpoint, depthEncoder, depthDecoder, engine, precision, device, threads } = options;
  const { adaptScale, referenceFrame, pasteBack, start, end, size, sideBySide, sound, provenance } = options;
  const { direction, speed, loop: loops } = options;
  const { keypoints, strength, motion: parts, mouth, lids, brows, smile } = options;
  const { crop = { kind: 'auto' }, face } = options;
  const [drivingFace, ...others] = options.drivingFace ?? [];
  if (others.length > 0 && !options.faces) throw new UsageError('several numbers after --driving-face go with --faces');
  // Who wants no faces to be looked for means it of both.
  const drivingCrop = options.drivingCrop ?? (crop.kind === 'none' ? crop : { kind: 'auto' });
  return {
    ...{ checkpoint, depthEncoder, depthDecoder, engine, precision, device, threads },
    ...{ adaptScale, referenceFrame, pasteBack, start, end, size, sideBySide, sound, provenance },
    ...{ keypoints, direction, speed, loops, portraits: options.portraits, background: options.background },
    innerMouth: options.innerMouth,
    ...(hasDriver ? {} : { turn: turnAlone(options) }),
    controls: {
      ...{ strength, parts, retarget: { mouth, lids, brows, smile } },
      ...(hasDriver ? { angles: anglesBesideDriver(options) } : {}),
    },
    crop: withFace(crop, face),
    drivingCrop: withFace(drivingCrop, drivingFace, { crop: '--driving-crop', face: '--driving-face' }),
    motion: options.absolute ? 'absolute' : options.relative ? 'relative' : undefined,
    smoothing: options.smooth,
    frameRate: options.fps,
    signing: signingOf(options),
  };
}

/** Says what became of one of several pairs. */
function tellOutcome(outcome: PairOutcome, reporter: Reporter): void {
  const { pair, number, of } = outcome;
  const place = `[${number}/${of}]`;
  if ('result' in outcome) {
    reporter.result(`${place} ${summaryOf(pair.output, outcome.result)}`, { ...pair, ...outcome.result });
  } else {
    const driver = pair.driving === undefined ? '' : ` with ${pair.driving}`;
    reporter.warn(`${place} ${pair.portrait}${driver}: ${describeError(outcome.error)}`);
  }
}
