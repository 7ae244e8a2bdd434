// `dagan animate`: a portrait and a driving clip in, an animated clip out; or many of both.
import { Command, Option } from 'commander';
import { LibtorchEngine } from '../animation/engines/index.js';
import { animatePair, type PairResult, type PairSettings, type Studio } from './animate-pair.js';
import { describeError, EXIT, UsageError } from './errors.js';
import {
  applyThreads,
  type ChosenModel,
  chooseDevice,
  chooseModel,
  choosePrecision,
  NETWORK_SIZE,
  UNTRAINED,
} from './model.js';
import {
  addCommonOptions,
  addModelOptions,
  type CommonOptions,
  frameRate,
  type ModelOptions,
  wholeNumber,
} from './options.js';
import { BATCH_FORMATS, type BatchFormat, type Pair, planPairs } from './pairs.js';
import { provenance } from './provenance.js';
import { Reporter } from './report.js';

type AnimateCommandOptions = CommonOptions &
  ModelOptions & {
    output: string;
    absolute?: boolean;
    adaptScale?: boolean;
    referenceFrame?: number;
    start?: number;
    end?: number;
    size: number;
    fps?: number;
    sideBySide?: boolean;
    format?: BatchFormat;
    sound: boolean;
    provenance: boolean;
  };

const EXAMPLES = `
Inputs: a portrait (png, jpg, webp, ...) and a driving clip (mp4, mov, webm, mkv, gif, webp, or a folder of frames).
A folder of portraits, a folder of clips, or more than two inputs animate every portrait by every clip; of more than
two, the first is a portrait and the last a clip. Pictures and clips that are not square are cut to the square around
their centre: a face that fills about half of it works best.

Output: .mp4 .mov .mkv .webm .gif .webp, or a folder/ of PNG frames. An existing output is replaced, an input never.

Examples:
  dagan animate portrait.jpg talking.mp4 -o out.mp4
  dagan animate portrait.jpg talking.mp4 -o frames/ --start 50 --end 100
  dagan animate portrait.jpg talking.mp4 -o view.mp4 --side-by-side --reference-frame 12
  dagan animate portrait.jpg talking.mp4 -o out.mp4 --checkpoint vox-adv.pth.tar \\
      --depth-encoder encoder.pth --depth-decoder depth.pth
  dagan animate portraits/ clips/ -o results/ --format gif --size 128`;

export function animateCommand(): Command {
  const command = new Command('animate')
    .description('animate portraits by driving clips')
    .argument('<portrait>', 'the face to animate; or a folder of portraits')
    .argument('<driving...>', 'the clip whose motion it gets; or a folder of clips; or more portraits and clips')
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
    .option('--adapt-scale', 'scale relative movement by the sizes of the two faces')
    .option(
      '--reference-frame <n>',
      "frame of the driving clip in which the face has the portrait's pose, counted from 0 (default: the first of the range)",
      wholeNumber(0),
    )
    .option('--start <n>', 'first driving frame, counted from 0', wholeNumber(0))
    .option('--end <n>', 'driving frame before which to stop', wholeNumber(1))
    .option(
      '--size <n>',
      `side of the output in pixels; the networks work at ${NETWORK_SIZE}`,
      wholeNumber(16, 4096),
      NETWORK_SIZE,
    )
    .option(
      '--fps <n>',
      'frames per second: frames are left out or repeated to keep the time; the rate of a folder of frames',
      frameRate,
    )
    .option('--side-by-side', 'show portrait, driving frame, depth, keypoints and result beside each other')
    .addOption(
      new Option('--format <kind>', 'what several animations are written as (default: mp4)').choices(BATCH_FORMATS),
    )
    .option('--no-sound', "leave the driving clip's sound out")
    .option('--no-provenance', 'leave out the title and comment that say the output is synthetic, and by which model')
    .addOption(
      new Option('--crop <mode>', 'how faces are found and cut out; none: the centre')
        .choices(['none'])
        .default('none'),
    )
    .option(
      '--no-paste-back',
      'give the animated square, not the whole portrait (this is what happens now in any case)',
    );
  addModelOptions(command);
  return addCommonOptions(command)
    .addHelpText('after', EXAMPLES)
    .action(async (portrait: string, driving: string[], options: AnimateCommandOptions) => {
      process.exitCode = await runAnimate([portrait, ...driving], options);
    });
}

/** Animates all that the inputs ask for and returns the exit code. */
async function runAnimate(inputs: readonly string[], options: AnimateCommandOptions): Promise<number> {
  if (options.end !== undefined && options.end <= (options.start ?? 0)) {
    throw new UsageError(`--end ${options.end} must be after --start ${options.start ?? 0}`);
  }
  const reporter = new Reporter(options);
  const { pairs, batch } = await planPairs(inputs, options.output, options.format);
  const studio = new LazyStudio(options, reporter);
  try {
    const settings = settingsOf(options);
    if (!batch) {
      const result = await animatePair(pairs[0]!, settings, {
        studio: () => studio.get(),
        reporter,
        label: pairs[0]!.output,
      });
      reporter.result(summaryOf(pairs[0]!, result));
      return 0;
    }
    return await runBatch(pairs, settings, { studio, reporter, folder: options.output });
  } finally {
    if (studio.trained === false) reporter.notice(UNTRAINED);
    studio.dispose();
  }
}

function settingsOf(options: AnimateCommandOptions): PairSettings {
  const { referenceFrame, start, end, size, sound } = options;
  return {
    motion: options.absolute ? 'absolute' : 'relative',
    adaptScale: options.adaptScale ?? false,
    referenceFrame,
    start,
    end,
    size,
    frameRate: options.fps,
    sideBySide: options.sideBySide ?? false,
    sound,
  };
}

/** Animates one pair after the other; one that fails does not stop the rest. */
async function runBatch(
  pairs: readonly Pair[],
  settings: PairSettings,
  { studio, reporter, folder }: { studio: LazyStudio; reporter: Reporter; folder: string },
): Promise<number> {
  const failed: string[] = [];
  for (const [i, pair] of pairs.entries()) {
    const label = `[${i + 1}/${pairs.length}] ${pair.output}`;
    try {
      const result = await animatePair(pair, settings, { studio: () => studio.get(), reporter, label });
      reporter.result(`[${i + 1}/${pairs.length}] ${summaryOf(pair, result)}`);
    } catch (error) {
      // Without a model no pair can succeed.
      if (studio.failed) throw error;
      failed.push(pair.output);
      reporter.warn(`[${i + 1}/${pairs.length}] ${pair.portrait} with ${pair.driving}: ${describeError(error)}`);
    }
  }
  reporter.result(`${pairs.length - failed.length} of ${pairs.length} animations are in ${folder}`);
  if (failed.length > 0) reporter.warn(`not made: ${failed.join(', ')}`);
  return failed.length > 0 ? EXIT.failure : 0;
}

/** "out.mp4: 60 frames of 256 x 256 in 8.2 s, 7.3 fps (portrait 90 ms; a frame: keypoints 20 ms, picture 100 ms, rest 5 ms)" */
function summaryOf({ output }: Pair, { frames, width, height, seconds, stages }: PairResult): string {
  const perFrame = (time: number): string => `${((1000 * time) / frames).toFixed(0)} ms`;
  const rest = Math.max(0, seconds - stages.drive - stages.generate);
  return (
    `${output}: ${frames} ${frames === 1 ? 'frame' : 'frames'} of ${width} x ${height} in ${seconds.toFixed(1)} s, ${(frames / seconds).toFixed(1)} fps ` +
    `(portrait ${(1000 * stages.source).toFixed(0)} ms; a frame: keypoints ${perFrame(stages.drive)}, ` +
    `picture ${perFrame(stages.generate)}, rest ${perFrame(rest)})`
  );
}

/** The engine, made when the first pair needs it. */
class LazyStudio {
  /** Whether making it went wrong. */
  failed = false;
  /** Whether the weights are trained; undefined before the first use. */
  trained: boolean | undefined;
  #studio: Studio | undefined;

  constructor(
    private readonly options: AnimateCommandOptions,
    private readonly reporter: Reporter,
  ) {}

  async get(): Promise<Studio> {
    this.#studio ??= this.#make();
    return this.#studio;
  }

  dispose(): void {
    this.#studio?.engine.dispose();
  }

  #make(): Studio {
    try {
      applyThreads(this.options);
      const device = chooseDevice(this.options.device);
      const precision = choosePrecision(this.options.precision, device);
      const { model, metadata, trained }: ChosenModel = chooseModel(this.options, this.reporter);
      this.trained = trained;
      const engine = new LibtorchEngine(model, { size: NETWORK_SIZE, precision, device });
      this.reporter.notice(engine.description);
      return { engine, metadata: this.options.provenance ? provenance(metadata) : undefined };
    } catch (error) {
      this.failed = true;
      throw error;
    }
  }
}
