/** The decoding thread: opens one clip and hands out its frames as far as the main thread allows. */

import { open as openFile, stat } from 'node:fs/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { openAnimation } from './animation-reader.js';
import { MediaError, toMediaError } from './errors.js';
import { openFolder } from './folder-reader.js';
import type { DecodeJob, DecodeOrder, DecodeReport } from './messages.js';
import type { FrameReader } from './reader.js';
import { transformedSize, transformPicture } from './resize.js';
import { openVideo } from './video-reader.js';

if (!parentPort) throw new Error('this file runs in a worker thread only');
const port = parentPort;
const job = workerData as DecodeJob;
const transform = job.transform ?? {};

let current = 0;
let credit = 0;
let wake: (() => void) | undefined;
let active: Promise<void> = Promise.resolve();

function report(message: DecodeReport, transfer: ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}

function fail(error: unknown): void {
  const { path, reason } = toMediaError(job.path, error, 'cannot be read');
  report({ type: 'failure', path, reason });
}

/** Picks the reader by what the path holds, not by its name. */
async function openReader(): Promise<FrameReader> {
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

/** What readers tell besides frames. */
const tell = {
  warning: (text: string) => report({ type: 'warning', text }),
  progress: () => report({ type: 'progress' }),
};

async function handOut(reader: FrameReader, run: number): Promise<void> {
  for await (const { picture, timestamp, duration } of reader.frames()) {
    if (run !== current) return;
    const { width, height, data } = transformPicture(picture, transform);
    while (credit === 0 && run === current) await new Promise<void>((resolve) => (wake = resolve));
    if (run !== current) return;
    credit--;
    report({ type: 'frame', run, width, height, data, timestamp, duration }, [data.buffer as ArrayBuffer]);
  }
  if (run === current) report({ type: 'end', run });
}

try {
  const reader = await openReader();
  port.on('message', (order: DecodeOrder) => {
    if (order.type === 'credit') {
      if (order.run === current) credit++;
    } else {
      current = order.type === 'start' ? order.run : -1;
      credit = order.type === 'start' ? order.credit : 0;
      active = active
        .then(() => (order.type === 'start' ? handOut(reader, order.run) : reader.close()))
        .catch(fail)
        .then(() => {
          if (order.type === 'close') port.close();
        });
    }
    wake?.();
  });
  const [width, height] = transformedSize(reader.info.width, reader.info.height, transform);
  const { width: sourceWidth, height: sourceHeight } = reader.info;
  report({ type: 'opened', info: { ...reader.info, width, height, sourceWidth, sourceHeight } });
} catch (error) {
  fail(error);
}
