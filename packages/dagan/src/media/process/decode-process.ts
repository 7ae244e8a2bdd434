// The decoding process: opens one clip and hands out its frames as far as the program allows.
import { open as openFile, stat } from 'node:fs/promises';
import { MediaError, toMediaError } from '../errors.js';
import type { FrameReader } from '../formats/reader.js';
import { foreignPicture } from '../pictures/foreign-kinds.js';
import { transformedSize, transformPicture } from '../pictures/resize.js';
import type { DecodeJob, DecodeOrder, DecodePart, DecodeReport } from './messages.js';
import { report, serve } from './process-link.js';

const send: (message: DecodeReport) => void = report;

/** What readers tell besides frames. */
const tell = {
  warning: (text: string) => send({ type: 'warning', text }),
  progress: () => send({ type: 'progress' }),
};

function fail(path: string, error: unknown): void {
  const { path: file, reason, refusal } = toMediaError(path, error, 'cannot be read');
  send({ type: 'failure', path: file, reason, refusal });
}

/** Bytes that every format needs to be known by; the video library fails without a reason below that. */
const SHORTEST = 12;

/** Picks the reader by what the path holds, not by its name. Readers are loaded when needed, which halves the start. */
async function openReader(job: DecodeJob): Promise<FrameReader> {
  const found = await stat(job.path);
  if (found.isDirectory()) return (await import('../formats/folder-reader.js')).openFolder(job, tell);
  if (!found.isFile()) throw new MediaError(job.path, 'is a pipe or a device; write the clip to a file first');
  if (found.size === 0) throw new MediaError(job.path, 'is empty');
  if (found.size < SHORTEST) throw new MediaError(job.path, 'is too short for a video, an animation or a picture');
  const file = await openFile(job.path);
  const head = Buffer.alloc(64);
  try {
    await file.read(head, 0, head.length, 0);
  } finally {
    await file.close();
  }
  const foreign = foreignPicture(head);
  if (foreign !== undefined) throw new MediaError(job.path, foreign);
  if (isImage(head)) return (await import('../formats/animated-image-reader.js')).openAnimation(job, tell);
  return (await import('../formats/video-reader.js')).openVideo(job, tell);
}

function isImage(head: Buffer): boolean {
  const ascii = head.toString('latin1');
  return (
    ascii.startsWith('GIF8') ||
    ascii.startsWith('\x89PNG') ||
    ascii.startsWith('\xff\xd8\xff') ||
    ascii.startsWith('II*\0') ||
    ascii.startsWith('MM\0*') ||
    (ascii.startsWith('RIFF') && ascii.slice(8, 12) === 'WEBP') ||
    (ascii.slice(4, 8) === 'ftyp' && ascii.slice(8, 12) === 'avif')
  );
}

/** Hands out frames run by run; a new run ends the one before it. */
class Dispenser {
  readonly #job: DecodeJob;
  readonly #reader: FrameReader;
  #run = 0;
  #credit = 0;
  #wake: (() => void) | undefined;
  #active: Promise<void> = Promise.resolve();

  constructor(job: DecodeJob, reader: FrameReader) {
    this.#job = job;
    this.#reader = reader;
  }

  follow(order: DecodeOrder): void {
    if (order.type === 'start') {
      this.#run = order.run;
      this.#credit = order.credit;
      this.#active = this.#active
        .then(() => this.#handOut(order.run, order.part))
        .catch((error: unknown) => fail(this.#job.path, error));
    } else if (order.run === this.#run) {
      this.#credit++;
    }
    this.#wake?.();
  }

  async #handOut(run: number, part?: DecodePart): Promise<void> {
    if (run !== this.#run) return;
    const reader = part ? await this.#part({ ...this.#job, ...part }) : this.#reader;
    const { transform = {} } = part ?? this.#job;
    for await (const { picture, timestamp, duration } of reader.frames()) {
      if (run !== this.#run) return;
      const { width, height, data } = transformPicture(picture, transform);
      while (this.#credit === 0 && run === this.#run) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      if (run !== this.#run) return;
      this.#credit--;
      send({ type: 'frame', run, width, height, data, timestamp, duration });
    }
    if (run === this.#run) send({ type: 'end', run });
  }

  #part(job: DecodeJob): Promise<FrameReader> {
    return this.#reader.part?.(job) ?? openReader(job);
  }
}

let path = '';

async function begin(job: DecodeJob): Promise<(order: DecodeOrder) => void> {
  path = job.path;
  try {
    const reader = await openReader(job);
    const { width: sourceWidth, height: sourceHeight } = reader.info;
    const [width, height] = transformedSize(sourceWidth, sourceHeight, job.transform ?? {});
    const dispenser = new Dispenser(job, reader);
    send({ type: 'opened', info: { ...reader.info, width, height, sourceWidth, sourceHeight } });
    return (order) => dispenser.follow(order);
  } catch (error) {
    fail(job.path, error);
    return () => undefined;
  }
}

serve(begin, (error) => fail(path, error));
