// `dagan preprocess`: raw videos and stills in, training clips out.
import { Command, InvalidArgumentError, Option } from 'commander';
import type { PreprocessSettings } from '../data/preprocess/process-video.js';
import { findRawVideos, type RawVideo } from '../data/preprocess/raw-videos.js';
import { type PreprocessTotals, REPORT, RecordStore, totalsOf } from '../data/preprocess/records.js';
import { preprocessVideos } from '../pipelines/preprocess-videos.js';
import { EXIT, UsageError } from './errors.js';
import { addCommonOptions, type CommonOptions, frameRate, wholeNumber } from './options.js';
import { duration, Reporter } from './report.js';

type PreprocessCommandOptions = CommonOptions & {
  output: string;
  split: string;
  identity?: string;
  size: number;
  fps: number;
  format: 'mp4' | 'png';
  minSeconds: number;
  maxSeconds: number;
  minSide?: number;
  every: number;
  stills?: number;
  jobs: number;
};

const EXAMPLES = `
Inputs: videos (mp4, mov, webm, mkv, ts, gif), or folders that are searched with all that is in them. A video shows one
person, whose name is what stands before a # in its file name, else the first folder below the one that is named, else
the file name: of people/anna/park.mp4, named as people/, anna.

The largest face is followed from frame to frame. The video is cut where the face is lost, jumps or drifts away from
where it was, and where the shot changes; each part is cut out by one fixed square in which the face, if it kept still,
would fill 55 % of the height. Parts that are too short, too small, or whose square does not fit are left out.

With --stills, pictures become clips too: the head is turned and moved at random, by the relief of its face mesh, before
an unmoved background; mouth and eyes open and close. Beside videos they show a model more people. GIFs are videos.

Output: OUT/train/IDENTITY#VIDEO#START-END.mp4 (frames of the raw video), OUT/index.json, OUT/${REPORT}.
The same command again goes on where it was ended: videos that are done are passed over. With RANK and WORLD_SIZE in the
environment (as torchrun and Slurm scripts set them) each process takes its share of the videos.

Examples:
  dagan preprocess videos/ -o data/
  dagan preprocess talk.mp4 interview.mov -o data/ --size 512 --min-seconds 4
  dagan preprocess people/ -o data/ --format png --jobs 8
  dagan preprocess videos/ portraits/ -o data/ --stills 4
  dagan preprocess held-out/ -o data/ --split test
  RANK=3 WORLD_SIZE=16 dagan preprocess voxceleb/ -o /shared/data/`;

export function preprocessCommand(): Command {
  const command = new Command('preprocess')
    .description('make training clips of faces from raw videos')
    .argument('<videos...>', 'raw videos, or folders of them; with --stills, pictures too')
    .requiredOption('-o, --output <folder>', 'the data set to make or to go on with')
    .option('--split <name>', 'folder of the data set that the clips go to', folderName, 'train')
    .option('--identity <name>', 'the person that all these videos show')
    .option('--size <n>', 'side of the clips in pixels', wholeNumber(16, 4096), 256)
    .option('--fps <n>', 'frames per second of the clips', frameRate, 25)
    .addOption(
      new Option('--format <kind>', 'mp4, or folders of lossless PNG frames').choices(['mp4', 'png']).default('mp4'),
    )
    .option('--min-seconds <s>', 'leave out shorter parts', seconds, 2)
    .option('--max-seconds <s>', 'divide longer parts', seconds, 10)
    .option(
      '--min-side <n>',
      'leave out parts whose square is smaller, in pixels of the raw video (default: three quarters of --size)',
      wholeNumber(1),
    )
    .option('--every <n>', 'look at the face in every nth frame', wholeNumber(1, 100), 4)
    .option('--stills <s>', 'make clips of so many seconds out of pictures, too: the head is made to move', seconds)
    .option('--jobs <n>', 'videos at the same time, each in processes of its own', wholeNumber(1, 1024), 1);
  return addCommonOptions(command)
    .addHelpText('after', EXAMPLES)
    .action(async (inputs: string[], options: PreprocessCommandOptions) => {
      process.exitCode = await runPreprocess(inputs, options);
    });
}

function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value > 0 && Number.isFinite(value))) {
    throw new InvalidArgumentError('It must be a number of seconds above 0.');
  }
  return value;
}

function folderName(text: string): string {
  if (!/^[\w-][\w.-]*$/.test(text)) throw new InvalidArgumentError('It must be a plain folder name, as train or test.');
  return text;
}

/** Prepares this process's share of the videos and returns the exit code. */
async function runPreprocess(inputs: readonly string[], options: PreprocessCommandOptions): Promise<number> {
  const { size, fps, format, minSeconds, maxSeconds, every, split, jobs, stills, identity } = options;
  if (maxSeconds < 2 * minSeconds) {
    throw new UsageError(`--max-seconds ${maxSeconds} must be at least twice --min-seconds ${minSeconds}`);
  }
  const minSide = options.minSide ?? Math.round(0.75 * size);
  const ofVideos: PreprocessSettings = { size, frameRate: fps, format, minSeconds, maxSeconds, minSide, every };
  const settingsOf = ({ still }: RawVideo) => (still ? { ...ofVideos, stillSeconds: stills } : ofVideos);
  const { rank, worldSize } = shareOf(process.env);
  const reporter = new Reporter(options);
  const all = findRawVideos(inputs, { identity, stills: stills !== undefined });
  const store = await RecordStore.open(options.output);
  const mine = all.filter((_, index) => index % worldSize === rank);
  const due: RawVideo[] = [];
  for (const video of mine) if (!(await store.isDone(video, split, settingsOf(video)))) due.push(video);
  if (due.length < mine.length) {
    reporter.notice(`${mine.length - due.length} of ${mine.length} videos are done already`);
  }
  const started = performance.now();
  const failed = await preprocessVideos(due, { store, split, settingsOf, jobs, tell: reporter.tell });
  await store.publish();
  const named = new Set(mine.map(({ name }) => name));
  const records = (await store.all()).filter((record) => record.split === split && named.has(record.video.name));
  const made = records.filter(({ video }) => due.some(({ name }) => name === video.name));
  reporter.result(summaryOf(totalsOf(records), options.output));
  if (due.length > 0) reporter.result(speedOf(totalsOf(made).videoSeconds, (performance.now() - started) / 1000));
  if (failed.length > 0) reporter.warn(`not prepared: ${failed.join(', ')}`);
  return failed.length > 0 ? EXIT.failure : 0;
}

/** This process's place among all, from the environment. */
function shareOf(environment: NodeJS.ProcessEnv): { rank: number; worldSize: number } {
  const read = (name: string, absent: number): number => {
    const text = environment[name];
    const value = text === undefined || text === '' ? absent : Number(text);
    if (!Number.isInteger(value) || value < 0) throw new UsageError(`${name} is '${text}', not a whole number`);
    return value;
  };
  const worldSize = read('WORLD_SIZE', 1);
  const rank = read('RANK', 0);
  if (rank >= worldSize) throw new UsageError(`RANK ${rank} must be below WORLD_SIZE ${worldSize}`);
  return { rank, worldSize };
}

/** A table of what was made and left out. */
function summaryOf(totals: PreprocessTotals, folder: string): string {
  const rows: [string, string, string][] = [
    ['videos', `${totals.videos}`, duration(totals.videoSeconds)],
    ['clips', `${totals.clips}`, duration(totals.keptSeconds)],
    ['without a face', '', duration(totals.withoutFaceSeconds)],
    ...Object.entries(totals.dropped).map(([reason, { parts, seconds: length }]): [string, string, string] => [
      reason,
      `${parts}`,
      duration(length),
    ]),
  ];
  if (totals.failedVideos > 0) rows.push(['not prepared', `${totals.failedVideos}`, '']);
  const lines = rows.map(([name, count, length]) => `  ${name.padEnd(20)}${count.padStart(7)}${length.padStart(14)}`);
  const people = `${totals.identities} ${totals.identities === 1 ? 'identity' : 'identities'}`;
  return [`${folder}: ${totals.frames} frames of ${people}`, ...lines].join('\n');
}

/** "60 s of video in 20 s: 3.0 times as fast as it plays" */
function speedOf(video: number, took: number): string {
  return `${duration(video)} of video in ${duration(took)}: ${(video / took).toFixed(1)} times as fast as it plays`;
}
