// The worker thread of a loader: reads frames, augments them and lays them out as batches, in the order it is asked to.
import {
  FACE_LANDMARK_NAMES,
  FACE_LANDMARKS,
  FaceAnalyzer,
  type FaceMesh,
  mirroredLandmark,
  regionRectangles,
} from '../faces/index.js';
import { type Picture, transformPicture } from '../media/index.js';
import { answerRequests, threadSetup } from '../threads/answer-requests.js';
import { changeColors, viewRectangle, writePlanes } from './augmentation.js';
import { readFolderFrames } from './frame-folder.js';
import { readPacked } from './frame-pack.js';
import type { BatchOrder, WorkerSetup } from './loader-messages.js';

const { size, regions } = threadSetup<WorkerSetup>();
const area = size * size;
const frameLength = 3 * area;
/** Standard deviation of a landmark's spot, as a part of the picture's side: a few pixels, so that it can be bent. */
const SPOT = 0.02;
let analyzer: Promise<FaceAnalyzer> | undefined;

async function makeBatch({ samples }: BatchOrder): Promise<Float32Array<ArrayBuffer>> {
  const count = samples[0]!.frames.length;
  const batch = new Float32Array(
    samples.length * (count * frameLength + (regions ? (1 + FACE_LANDMARK_NAMES.length) * area : 0)),
  );
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
      const driving = shown.at(-1)!;
      const mesh = await (await analyzer).track(driving);
      if (!mesh) continue;
      const masks = batch.subarray(count * samples.length * frameLength);
      const { mirror } = augmentation;
      markRegions(mesh, driving, masks.subarray(n * area, (n + 1) * area), mirror);
      const spots = masks.subarray(samples.length * area);
      for (const [i, name] of FACE_LANDMARK_NAMES.entries()) {
        const start = (n * FACE_LANDMARK_NAMES.length + i) * area;
        const point = 3 * FACE_LANDMARKS[mirror ? mirroredLandmark(name) : name];
        const [x, y] = [mesh.points[point]!, mesh.points[point + 1]!];
        drawSpot(spots.subarray(start, start + area), mirror ? size - 1 - x : x, y);
      }
    }
  }
  return batch;
}

/** Writes 1 where a picture shows mouth and eyes into `mask` [H, W]. */
function markRegions(mesh: FaceMesh, picture: Picture, mask: Float32Array, mirror: boolean): void {
  for (const region of ['mouth', 'eyes'] as const) {
    for (const { left, top, width, height } of regionRectangles(region, mesh.points, picture)) {
      const from = mirror ? size - left - width : left;
      for (let y = top; y < top + height; y++) mask.fill(1, y * size + from, y * size + from + width);
    }
  }
}

/** Adds a normal distribution around a place to `map` [H, W], which adds up to 1 but for what lies outside. */
function drawSpot(map: Float32Array, x: number, y: number): void {
  const deviation = SPOT * size;
  const peak = 1 / (2 * Math.PI * deviation ** 2);
  const reach = Math.ceil(4 * deviation);
  const within = (centre: number): [number, number] => [
    Math.max(0, Math.round(centre) - reach),
    Math.min(size - 1, Math.round(centre) + reach),
  ];
  const [left, right] = within(x);
  const [top, bottom] = within(y);
  for (let row = top; row <= bottom; row++) {
    for (let column = left; column <= right; column++) {
      const squared = ((column - x) ** 2 + (row - y) ** 2) / deviation ** 2;
      map[row * size + column]! += peak * Math.exp(-squared / 2);
    }
  }
}

answerRequests<BatchOrder, Float32Array>(async (order) => {
  const batch = await makeBatch(order);
  return { answer: batch, transfer: [batch.buffer] };
});
