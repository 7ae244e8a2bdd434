// `dagan motion`: the motion of a clip as a template that drives portraits without the clip.
import { Command } from 'commander';
import { motionNames } from '../pipelines/motion-file.js';
import { type RecordMotionOptions, recordMotion } from '../pipelines/record-motion.js';
import {
  addCommonOptions,
  addEngineOption,
  addModelOptions,
  addRangeOptions,
  type CommonOptions,
  cropChoice,
  type EngineOptions,
  keypointsOption,
  referenceFrame,
  wholeNumber,
  withFace,
} from './options.js';
import { Reporter } from './report.js';

type MotionOptions = CommonOptions &
  EngineOptions &
  Pick<RecordMotionOptions, 'output' | 'portrait' | 'crop' | 'referenceFrame' | 'keypoints' | 'start' | 'end'> & {
    face?: number;
  };

const EXAMPLES = `
A template holds keypoints and times and no picture, in a few kilobytes. It drives every model whose keypoints all have
names that it knows, as the default model's have, and of others the one that it was made with.

These come with dagan: ${motionNames().join(', ')}.

Examples:
  dagan motion grin.mp4 -o grin.motion.safetensors --start 20 --end 60
  dagan animate portrait.jpg grin.motion.safetensors -o out.mp4 --direction both --speed 0.5
  dagan animate portrait.jpg nod -o out.mp4 --loop 3
  dagan motion portrait.png -o portrait.motion.safetensors --crop none
  dagan motion grin.mp4 --portrait portrait.motion.safetensors -o moved.motion.safetensors`;

export function motionCommand(): Command {
  const command = new Command('motion')
    .description('keep the motion of a clip as a template that drives portraits without the clip')
    .argument('<clip>', 'the clip, or a folder of frames')
    .requiredOption('-o, --output <file>', 'the template to write, such as smile.motion.safetensors')
    .option(
      '--portrait <template>',
      "write what this portrait's keypoints are to do, for use outside of dagan, instead of the driver's; its template is " +
        'made of its picture',
    )
    .option(
      '--reference-frame <which>',
      'frame from which motion is measured: auto looks for a face at rest that looks ahead, first takes the first of the ' +
        'range, a number counts from 0 (default: auto)',
      referenceFrame,
    )
    .option('--crop <square>', 'the square that is looked at: auto, none or x,y,side', cropChoice)
    .option('--face <n>', 'which face, counted from the left (default: the largest)', wholeNumber(1));
  addRangeOptions(command).addOption(keypointsOption());
  addEngineOption(addModelOptions(command, ['int8']));
  return addCommonOptions(command)
    .addHelpText('after', EXAMPLES)
    .action(async (driving: string, { crop = { kind: 'auto' }, face, ...options }: MotionOptions) => {
      const reporter = new Reporter(options);
      const onEvent = reporter.listen.bind(reporter);
      const { output } = options;
      const { frames, duration } = await recordMotion({ ...options, driving, crop: withFace(crop, face), onEvent });
      reporter.result(`${output}: ${frames.length} frames, ${duration.toFixed(1)} s`, {
        output,
        frames: frames.length,
        duration,
      });
    });
}
