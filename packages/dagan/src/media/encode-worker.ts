/** The encoding thread: writes the frames it is sent into one file or folder, in order. */

import { parentPort, workerData } from 'node:worker_threads';
import { openAnimationSink } from './animation-writer.js';
import { toMediaError } from './errors.js';
import { openFolderSink } from './folder-writer.js';
import type { EncodeJob, EncodeOrder, EncodeReport } from './messages.js';
import { openVideoSink } from './video-writer.js';
import type { FrameSink } from './writer.js';

if (!parentPort) throw new Error('this file runs in a worker thread only');
const port = parentPort;
const job = workerData as EncodeJob;

function report(message: EncodeReport): void {
  port.postMessage(message);
}

function fail(error: unknown): void {
  const { path, reason } = toMediaError(job.path, error, 'cannot be written');
  report({ type: 'failure', path, reason });
}

const tell = {
  warning: (text: string) => report({ type: 'warning', text }),
  progress: () => report({ type: 'progress' }),
};

async function openSink(): Promise<FrameSink> {
  if (job.container === 'folder') return openFolderSink(job);
  if (job.container === 'gif' || job.container === 'webp') return openAnimationSink(job, job.container, tell);
  return openVideoSink(job, job.container, tell);
}

/** A frame is passed on once the next one tells how long it is shown. */
let held: Extract<EncodeOrder, { type: 'frame' }> | undefined;
let lastDuration = 1 / (job.frameRate ?? 25);

async function passOn(sink: FrameSink, until: number | undefined): Promise<void> {
  if (!held) return;
  const { data, timestamp } = held;
  const duration = until === undefined ? held.duration || lastDuration : until - timestamp;
  held = undefined;
  lastDuration = duration;
  await sink.add({ picture: { width: job.width, height: job.height, data }, timestamp, duration });
  report({ type: 'taken' });
}

async function follow(sink: FrameSink, order: EncodeOrder): Promise<void> {
  if (order.type === 'close') {
    await sink.close();
    port.close();
  } else if (order.type === 'finish') {
    await passOn(sink, undefined);
    await sink.finish();
    report({ type: 'finished' });
  } else {
    await passOn(sink, order.timestamp);
    held = order;
  }
}

try {
  const sink = await openSink();
  let work: Promise<void> = Promise.resolve();
  let failed = false;
  port.on('message', (order: EncodeOrder) => {
    work = work.then(async () => {
      if (failed && order.type !== 'close') return;
      try {
        await follow(sink, order);
      } catch (error) {
        failed = true;
        fail(error);
        if (order.type === 'close') port.close();
      }
    });
  });
  report({ type: 'opened' });
} catch (error) {
  fail(error);
}
