// A process that prepares one video after the other, as the program tells it to.
import { type CodedProblem, codeOf } from '../../errors.js';
import { FaceAnalyzer } from '../../faces/analyzer.js';
import { processStill } from './process-still.js';
import { type PreprocessSettings, processVideo, type VideoResult } from './process-video.js';

/** An order: prepare this video or still. */
export type PreprocessOrder = {
  path: string;
  still?: boolean;
  name: string;
  root: string;
  split: string;
  settings: PreprocessSettings;
};

/** What the process says. */
export type PreprocessReport =
  | { type: 'progress'; frames: number }
  | { type: 'done'; result: VideoResult }
  | { type: 'failed'; message: string; problem?: CodedProblem };

/** Frames between two reports of progress. */
const REPORT_EVERY = 10;

const send = (report: PreprocessReport): void => {
  process.send?.(report);
};

let forVideos: Promise<FaceAnalyzer> | undefined;
/** Portraits that move need finer meshes. */
let forStills: Promise<FaceAnalyzer> | undefined;

async function prepare({ path, still, name, root, split, settings }: PreprocessOrder): Promise<void> {
  let frames = 0;
  try {
    if (still) forStills ??= FaceAnalyzer.load({ mesh: 'refined' });
    else forVideos ??= FaceAnalyzer.load();
    const analyzer = (await (still ? forStills : forVideos))!;
    const result = await (still ? processStill : processVideo)(path, {
      ...settings,
      analyzer,
      root,
      split,
      name,
      onProgress: (more) => {
        frames += more;
        if (frames < REPORT_EVERY) return;
        send({ type: 'progress', frames });
        frames = 0;
      },
    });
    send({ type: 'done', result });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    send({ type: 'failed', message, problem: codeOf(error) });
  }
}

// The program ends its helpers; a Ctrl-C that reaches the whole group is its business. Half-written clips are removed
// as the process exits.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.on('disconnect', () => process.exit());
process.on('message', (order) => void prepare(order as PreprocessOrder));
