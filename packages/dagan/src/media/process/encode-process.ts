// The encoding process: writes the frames it is sent into one file or folder, in order.
import { toMediaError } from '../errors.js';
import { adoptPart } from '../files.js';
import type { FrameSink } from '../formats/writer.js';
import type { EncodeJob, EncodeOrder, EncodeReport } from './messages.js';
import { report, serve } from './process-link.js';

const send: (message: EncodeReport) => void = report;

/** What sinks tell. */
const tell = {
  warning: (text: string) => send({ type: 'warning', text }),
  progress: () => send({ type: 'progress' }),
};

/** Sinks are loaded when needed, which halves the start. */
async function openSink(job: EncodeJob): Promise<FrameSink> {
  const { container } = job;
  if (container === 'gif' || container === 'webp') {
    return (await import('../formats/animated-image-writer.js')).openAnimationSink(job, container, tell);
  }
  if (container !== 'folder') return (await import('../formats/video-writer.js')).openVideoFile(job, container, tell);
  if (job.sound) tell.warning('written without sound: a folder of frames holds none');
  return (await import('../formats/folder-writer.js')).openFolderSink(job);
}

/** Passes frames on in order, each when the next one tells how long it is shown. */
class Intake {
  readonly #job: EncodeJob;
  readonly #sink: FrameSink;
  #held: Extract<EncodeOrder, { type: 'frame' }> | undefined;
  #lastDuration: number;
  #work: Promise<void> = Promise.resolve();
  #failed = false;

  constructor(job: EncodeJob, sink: FrameSink) {
    this.#job = job;
    this.#sink = sink;

    this.#lastDuration = 1 / (job.frameRate ?? 25);
  }

  follow(order: EncodeOrder): void {
    this.#work = this.#work.then(async () => {
      if (this.#failed) return;
      try {
        await (order.type === 'finish' ? this.#finish() : this.#take(order));
      } catch (error) {
        this.#failed = true;
        fail(this.#job.path, error);
      }
    });
  }

  async #take(frame: Extract<EncodeOrder, { type: 'frame' }>): Promise<void> {
    await this.#passOn(frame.timestamp);
    this.#held = frame;
  }

  async #finish(): Promise<void> {
    await this.#passOn(undefined);
    await this.#sink.finish();
    send({ type: 'finished' });
  }

  async #passOn(until: number | undefined): Promise<void> {
    if (!this.#held) return;
    const { data, alpha, timestamp, duration } = this.#held;
    this.#held = undefined;
    this.#lastDuration = until === undefined ? duration || this.#lastDuration : until - timestamp;
    const picture = { width: this.#job.width, height: this.#job.height, data, alpha };
    await this.#sink.add({ picture, timestamp, duration: this.#lastDuration });
    send({ type: 'taken' });
  }
}

function fail(path: string, error: unknown): void {
  const { path: file, reason, refusal } = toMediaError(path, error, 'cannot be written');
  send({ type: 'failure', path: file, reason, refusal });
}

let path = '';

async function begin(job: EncodeJob): Promise<(order: EncodeOrder) => void> {
  path = job.path;
  adoptPart(job.part);
  try {
    const intake = new Intake(job, await openSink(job));
    send({ type: 'opened' });
    return (order) => intake.follow(order);
  } catch (error) {
    fail(job.path, error);
    return () => undefined;
  }
}

serve(begin, (error) => fail(path, error));
