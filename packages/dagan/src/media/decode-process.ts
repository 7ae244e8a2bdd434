/** The decoding process: opens one clip and hands out its frames as far as the program allows. */

import { open as openFile, stat } from 'node:fs/promises';
import { openAnimation } from './animation-reader.js';
import { MediaError, toMediaError } from './errors.js';
import { openFolder } from './folder-reader.js';
import type { DecodeJob, DecodeOrder, DecodeReport } from './messages.js';
import { report, serve } from './process-link.js';
import type { FrameReader } from './reader.js';
import { type PictureTransform, transformedSize, transformPicture } from './resize.js';
import { openVideo } from './video-reader.js';

const send: (message: DecodeReport) => void = report;

/** What readers tell besides frames. */
const tell = {
  warning: (text: string) => send({ type: 'warning', text }),
  progress: () => send({ type: 'progress' }),
};

function fail(path: string, error: unknown): void {
  send({ type: 'failure', ...plain(toMediaError(path, error, 'cannot be read')) });
}

function plain({ path, reason }: MediaError): { path: string; reason: string } {
  return { path, reason };
}

/** Picks the reader by what the path holds, not by its name. */
async function openReader(job: DecodeJob): Promise<FrameReader> {
  const found = await stat(job.path);
  if (found.isDirectory()) return openFolder(job);
  if (found.size === 0) throw new MediaError(job.path, 'is empty');
  const file = await openFile(job.path);
  const head = Buffer.alloc(16);
  try {
    await file.read(head, 0, 16, 0);
  } finally {
    await file.close();
  }
  return isImage(head) ? openAnimation(job) : openVideo(job, tell);
}

function isImage(head: Buffer): boolean {
  const ascii = head.toString('latin1');
  return (
    ascii.startsWith('GIF8') ||
    ascii.startsWith('\x89PNG') ||
    ascii.startsWith('\xff\xd8\xff') ||
    (ascii.startsWith('RIFF') && ascii.slice(8, 12) === 'WEBP')
  );
}

/** Hands out frames run by run; a new run ends the one before it. */
class Dispenser {
  private run = 0;
  private credit = 0;
  private wake: (() => void) | undefined;
  private active: Promise<void> = Promise.resolve();

  constructor(
    private readonly path: string,
    private readonly reader: FrameReader,
    private readonly transform: PictureTransform,
  ) {}

  follow(order: DecodeOrder): void {
    if (order.type === 'start') {
      this.run = order.run;
      this.credit = order.credit;
      this.active = this.active.then(() => this.handOut(order.run)).catch((error: unknown) => fail(this.path, error));
    } else if (order.run === this.run) {
      this.credit++;
    }
    this.wake?.();
  }

  private async handOut(run: number): Promise<void> {
    for await (const { picture, timestamp, duration } of this.reader.frames()) {
      if (run !== this.run) return;
      const { width, height, data } = transformPicture(picture, this.transform);
      while (this.credit === 0 && run === this.run) {
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
      }
      if (run !== this.run) return;
      this.credit--;
      send({ type: 'frame', run, width, height, data, timestamp, duration });
    }
    if (run === this.run) send({ type: 'end', run });
  }
}

serve<DecodeJob, DecodeOrder>(async (job) => {
  try {
    const reader = await openReader(job);
    const transform = job.transform ?? {};
    const { width: sourceWidth, height: sourceHeight } = reader.info;
    const [width, height] = transformedSize(sourceWidth, sourceHeight, transform);
    const dispenser = new Dispenser(job.path, reader, transform);
    send({ type: 'opened', info: { ...reader.info, width, height, sourceWidth, sourceHeight } });
    return (order) => dispenser.follow(order);
  } catch (error) {
    fail(job.path, error);
    return () => undefined;
  }
});
