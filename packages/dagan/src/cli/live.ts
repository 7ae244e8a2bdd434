// `dagan live`: a camera drives a portrait, into a virtual camera that other programs see.
import { Command, Option } from 'commander';
import type { MotionControls } from '../animation/controls.js';
import { type AnimateLiveOptions, animateLive, LiveRemote, type LiveStatus } from '../pipelines/animate-live.js';
import type { CropChoice } from '../pipelines/told-squares.js';
import {
  addCommonOptions,
  addEngineOption,
  addModelOptions,
  amount,
  type CommonOptions,
  checkFiles,
  cropChoice,
  type EngineOptions,
  frameRate,
  innerMouthOption,
  keypointsOption,
  motionParts,
  wholeNumber,
  withFace,
} from './options.js';
import { Reporter } from './report.js';

type LiveOptions = CommonOptions &
  EngineOptions &
  Pick<
    AnimateLiveOptions,
    'camera' | 'to' | 'adaptScale' | 'keypoints' | 'innerMouth' | 'pasteBack' | 'size' | 'provenance'
  > & {
    absolute?: boolean;
    mirror?: boolean;
    fps?: number;
    duration?: number;
    smooth?: number;
    strength?: number;
    motion?: MotionControls['parts'];
    crop?: CropChoice;
    face?: number;
  };

const EXAMPLES = `
On Linux, with FFmpeg installed, cameras are /dev/video0 and the like, and v4l2loopback makes the virtual ones that
video calls and OBS see as cameras. A clip stands in for either. Always the newest picture of the camera is taken; those
that came meanwhile are left out, so nothing lags behind.

Keys: r takes the face of this moment for the portrait's own pose, m mirrors, q ends.

In a browser, on every system: dagan studio.

Examples:
  sudo modprobe v4l2loopback video_nr=10 exclusive_caps=1
  dagan live portrait.jpg --camera /dev/video0 --to /dev/video10 --mirror
  dagan live portrait.jpg --camera /dev/video0 --to recording.mp4 --duration 20
  dagan live portrait.jpg --camera talking.mp4 --to out.mp4 --fps 15 --paste-back`;

export function liveCommand(): Command {
  const command = new Command('live')
    .description('animate a portrait by a camera, into a virtual camera for other programs')
    .argument('<portrait>', 'the face to animate')
    .requiredOption('--camera <device>', 'the camera that drives, such as /dev/video0; or a clip in its place')
    .requiredOption('--to <device>', 'the virtual camera that is written, such as /dev/video10; or a clip')
    .option('--mirror', "see the camera's picture as in a mirror")
    .option('--fps <n>', 'frames per second at most (default: as many as there are)', frameRate)
    .option('--duration <seconds>', 'end after so many seconds (default: with the camera, or with q)', amount(0.1, 1e6))
    .addOption(new Option('--absolute', 'take over the driving pose as it is').conflicts('adaptScale'))
    .option('--adapt-scale', 'scale movement by the sizes of the two faces')
    .option('--strength <n>', 'of all motion: 1 as the driver, 0 none, 2 twice as much (default: 1)', amount(0, 4))
    .option('--motion <parts>', 'strength by part of the face, such as pose=1,mouth=1.2', motionParts)
    .option('--smooth <strength>', 'take trembling out of the motion, from 0 to 1 (default: off)', amount(0, 1))
    .option('--crop <square>', "the portrait's square: auto finds the face, none, or x,y,side", cropChoice)
    .option('--face <n>', 'which face of the portrait, counted from the left (default: the largest)', wholeNumber(1))
    .option('--paste-back', 'put the animated square back into the whole portrait')
    .option(
      '--size <n>',
      'side of the output in pixels; with --paste-back the most for its longer side',
      wholeNumber(16, 4096),
    )
    .option('--no-provenance', 'leave out of a clip that is written that it is synthetic')
    .addOption(keypointsOption())
    .addOption(innerMouthOption());
  addEngineOption(addModelOptions(command, ['int8']));
  return addCommonOptions(command).addHelpText('after', EXAMPLES).action(runLive);
}

async function runLive(portrait: string, options: LiveOptions): Promise<void> {
  const { checkpoint, depthEncoder, depthDecoder, engine, precision, device, threads } = options;
  const { camera, to, adaptScale, keypoints, innerMouth, strength, motion: parts } = options;
  const { pasteBack, size, provenance } = options;
  checkFiles([portrait, checkpoint, depthEncoder, depthDecoder]);
  const reporter = new Reporter(options);
  const remote = new LiveRemote(options);
  const forget = listenToKeys(remote, reporter);
  try {
    const result = await animateLive({
      ...{ checkpoint, depthEncoder, depthDecoder, engine, precision, device, threads },
      ...{ portrait, camera, to, adaptScale, keypoints, innerMouth, pasteBack, size, provenance, remote },
      controls: { strength, parts },
      crop: withFace(options.crop ?? { kind: 'auto' }, options.face),
      motion: options.absolute ? 'absolute' : 'relative',
      smoothing: options.smooth,
      mostFrames: options.fps,
      seconds: options.duration,
      onEvent: reporter.listen.bind(reporter),
      onFrame: (status) => reporter.status(wordsOf(status), status),
    });
    const { frames, dropped, latency, seconds } = result;
    const pace = `${(frames / seconds).toFixed(1)} fps, latency ${latency.toFixed(0)} ms`;
    const text = `${to}: ${frames} frames in ${seconds.toFixed(1)} s, ${pace}, ${dropped} pictures of the camera left out`;
    reporter.result(text, { portrait, camera, to, ...result });
  } finally {
    forget();
  }
}

/** "18.2 fps, latency 61 ms, 12 left out" */
function wordsOf({ rate, latency, dropped, hasFace }: LiveStatus): string {
  const rests = hasFace ? '' : '; no face is seen, so the portrait rests';
  return `${rate.toFixed(1)} fps, latency ${latency.toFixed(0)} ms, ${dropped} left out${rests}`;
}

/** Follows the keys of a terminal. @returns ends that */
function listenToKeys(remote: LiveRemote, reporter: Reporter): () => void {
  const { stdin } = process;
  if (!stdin.isTTY) return () => {};
  const onKeys = (keys: Buffer): void => {
    for (const key of keys.toString('latin1').toLowerCase()) {
      const ends = key === 'q' || key === '\x03';
      if (ends && !remote.running) process.kill(process.pid, 'SIGINT');
      else if (ends) remote.stop();
      else if (key === 'm') remote.mirror = !remote.mirror;
      else if (key === 'r' && remote.running) {
        remote.resetReference();
        reporter.notice('the face of this moment is the reference');
      }
    }
  };
  stdin.setRawMode(true).on('data', onKeys);
  return () => void stdin.off('data', onKeys).setRawMode(false).unref();
}
