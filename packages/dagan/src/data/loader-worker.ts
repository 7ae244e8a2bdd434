// The worker thread of a loader: reads frames, augments them and lays them out as batches, in the order it is asked to.
import { workerData } from 'node:worker_threads';
import { FaceAnalyzer, regionRectangles } from '../faces/index.js';
import { type Picture, transformPicture } from '../media/index.js';
import { answerRequests } from '../threads/answer-requests.js';
import { changeColors, viewRectangle, writePlanes } from './augmentation.js';
import { readFolderFrames } from './frame-folder.js';
import { readPacked } from './frame-pack.js';
import type { BatchOrder, WorkerSetup } from './loader-messages.js';

const { size, regions } = workerData as WorkerSetup;
const area = size * size;
const frameLength = 3 * area;
let analyzer: Promise<FaceAnalyzer> | undefined;

async function makeBatch({ samples }: BatchOrder): Promise<Float32Array<ArrayBuffer>> {
  const count = samples[0]!.frames.length;
  const batch = new Float32Array(samples.length * (count * frameLength + (regions ? area : 0)));
  for (const [n, { kind, store, frames, augmentation }] of samples.entries()) {
    const pictures = kind === 'video' ? await readPacked(store, frames) : await readFolderFrames(store, frames);
    const shown = pictures.map((picture) => {
      const crop = viewRectangle(augmentation.view, picture.width, picture.height);
      return transformPicture(picture, { crop, size: [size, size] });
    });
    const planes = shown.map((picture, i) => {
      const start = (i * samples.length + n) * frameLength;
      const target = batch.subarray(start, start + frameLength);
      writePlanes(picture, target, augmentation.mirror);
      return target;
    });
    changeColors(planes, augmentation.colors);
    if (regions) {
      analyzer ??= FaceAnalyzer.load();
      const start = count * samples.length * frameLength + n * area;
      await markRegions(await analyzer, shown.at(-1)!, batch.subarray(start, start + area), augmentation.mirror);
    }
  }
  return batch;
}

/** Writes 1 where a picture shows mouth and eyes into `mask` [H, W]. Without a face it stays 0. */
async function markRegions(faces: FaceAnalyzer, picture: Picture, mask: Float32Array, mirror: boolean): Promise<void> {
  const mesh = await faces.track(picture);
  if (!mesh) return;
  for (const region of ['mouth', 'eyes'] as const) {
    for (const { left, top, width, height } of regionRectangles(region, mesh.points, picture)) {
      const from = mirror ? size - left - width : left;
      for (let y = top; y < top + height; y++) mask.fill(1, y * size + from, y * size + from + width);
    }
  }
}

answerRequests<BatchOrder, Float32Array>(async (order) => {
  const batch = await makeBatch(order);
  return { answer: batch, transfer: [batch.buffer] };
});
