// The worker thread of a loader: reads frames, augments them and lays them out as batches, in the order it is asked to.
import { parentPort, workerData } from 'node:worker_threads';
import { MediaError, transformPicture } from '../media/index.js';
import { changeColors, viewRectangle, writePlanes } from './augmentation.js';
import { readFolderFrames } from './frame-folder.js';
import { readPacked } from './frame-pack.js';
import type { BatchOrder, BatchReport, WorkerSetup } from './loader-messages.js';

const { size } = workerData as WorkerSetup;
const frameLength = 3 * size * size;

async function makeBatch({ samples }: BatchOrder): Promise<Float32Array<ArrayBuffer>> {
  const count = samples[0]!.frames.length;
  const batch = new Float32Array(count * samples.length * frameLength);
  for (const [n, { kind, store, frames, augmentation }] of samples.entries()) {
    const pictures = kind === 'video' ? await readPacked(store, frames) : await readFolderFrames(store, frames);
    const planes = pictures.map((picture, i) => {
      const start = (i * samples.length + n) * frameLength;
      const target = batch.subarray(start, start + frameLength);
      const crop = viewRectangle(augmentation.view, picture.width, picture.height);
      const shown = transformPicture(picture, { crop, size: [size, size] });
      writePlanes(shown, target, augmentation.mirror);
      return target;
    });
    changeColors(planes, augmentation.colors);
  }
  return batch;
}

async function follow(order: BatchOrder): Promise<void> {
  const report = (message: BatchReport, transfer: ArrayBuffer[] = []) => parentPort?.postMessage(message, transfer);
  try {
    const data = await makeBatch(order);
    report({ number: order.number, data }, [data.buffer]);
  } catch (error) {
    const failure =
      error instanceof MediaError
        ? { path: error.path, reason: error.reason }
        : { reason: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    report({ number: order.number, failure });
  }
}

let work: Promise<void> = Promise.resolve();
parentPort?.on('message', (order: BatchOrder) => {
  work = work.then(() => follow(order));
});
