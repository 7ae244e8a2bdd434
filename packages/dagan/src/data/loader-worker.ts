// The worker thread of a loader: reads frames, augments them and lays them out as batches, in the order it is asked to.
import { MIRRORED_POINTS, TRAVELLING_POINTS } from '../faces/landmarks.js';
import { regionRectangles } from '../faces/regions.js';
import type { Picture, Rectangle } from '../media/pictures/picture.js';
import { transformPicture } from '../media/pictures/resize.js';
import { answerRequests, threadSetup } from '../threads/answer-requests.js';
import { changeColors, viewRectangle, writePlanes } from './augmentation.js';
import type { ClipLandmarks } from './face-cues.js';
import { REFINED_POINTS } from './face-meshes.js';
import { readFolderFrames } from './frame-folder.js';
import { readPacked } from './frame-pack.js';
import type { BatchOrder, ClipOrder, MadeBatch, WorkerSetup } from './loader-messages.js';
import { ExpressionTracks } from './portraits/expression-tracks.js';
import { type FaceSurface, loadFaceSurface } from './portraits/face-surface.js';
import { MadeUpExpressions } from './portraits/made-up-expressions.js';
import { drawPair, type ExpressionSource } from './portraits/portrait-pair.js';
import { readPortrait } from './portraits/portrait-store.js';
import { Random } from './random.js';
import type { PortraitSample } from './samples.js';

const { size, landmarks: known, portraits } = threadSetup<WorkerSetup>();
const area = size * size;
const frameLength = 3 * area;
const POINTS = TRAVELLING_POINTS.length;

/** Of each travelling point, where the one stands that a mirrored picture shows in its place. */
const mirroredPlaces = MIRRORED_POINTS.map((point) => TRAVELLING_POINTS.indexOf(point));

/** What moves portraits, once one is asked for. */
let moving: Promise<{ surface: FaceSurface; expressions: ExpressionSource }> | undefined;

async function makeBatch({ count, samples }: BatchOrder): Promise<MadeBatch> {
  const frames = Array.from({ length: count }, () => new Float32Array(samples.length * frameLength));
  const regions = known ? new Float32Array(samples.length * area) : undefined;
  const landmarks = known ? new Float32Array(samples.length * 2 * POINTS * 3) : undefined;
  for (const [n, sample] of samples.entries()) {
    const { pictures, places } = 'portrait' in sample ? await movePortrait(sample) : await readClip(sample);
    const planes = pictures.map((picture, i) => {
      const target = frames[i]!.subarray(n * frameLength, (n + 1) * frameLength);
      writePlanes(picture, target, sample.augmentation.mirror);
      return target;
    });
    changeColors(planes, sample.augmentation.colors);
    if (!places || !regions || !landmarks) continue;
    const shown = places.map((points) => (sample.augmentation.mirror ? mirrored(points) : points));
    for (const [which, points] of shown.entries()) {
      writeLandmarks(points, landmarks.subarray((n * 2 + which) * POINTS * 3, (n * 2 + which + 1) * POINTS * 3));
    }
    markRegions(shown[1]!, regions.subarray(n * area, (n + 1) * area));
  }
  return { frames, regions, landmarks };
}

/** A sample before it is mirrored: its pictures, and where the landmarks are in the first and the last, [P, 2] in pixels. */
type Shown = { pictures: Picture[]; places: [Float32Array, Float32Array] | null };

async function readClip({ name, kind, store, frames, augmentation: { view } }: ClipOrder): Promise<Shown> {
  const stored = kind === 'video' ? await readPacked(store, frames) : await readFolderFrames(store, frames);
  const crops = stored.map(({ width, height }) => viewRectangle(view, width, height));
  const pictures = stored.map((picture, i) => transformPicture(picture, { crop: crops[i], size: [size, size] }));
  const clip = known?.get(name);
  if (!clip) return { pictures, places: null };
  const placesIn = (frame: number) => landmarksIn(clip, frame, stored[0]!, crops[0]!);
  return { pictures, places: [placesIn(frames[0]!), placesIn(frames.at(-1)!)] };
}

/** Of expressions, the share that is made up: jaws and lids that open and close further than people's in the clips. */
const MADE_UP = 0.3;

function expressionsFor(
  surface: FaceSurface,
  { expressions }: NonNullable<WorkerSetup['portraits']>,
): ExpressionSource {
  const [real, madeUp] = [new ExpressionTracks(expressions), new MadeUpExpressions(surface)];
  return { draw: (random) => (random.chance(MADE_UP) ? madeUp : real).draw(random) };
}

/** Two frames of a portrait with known motion. */
async function movePortrait({ portrait, key }: PortraitSample): Promise<Shown> {
  if (!portraits) throw new TypeError('there are no portraits to move');
  moving ??= loadFaceSurface().then((surface) => ({ surface, expressions: expressionsFor(surface, portraits) }));
  const { surface, expressions } = await moving;
  const moved = await readPortrait(portraits.prepared, portrait, surface);
  const { source, driving } = drawPair(new Random('motion', ...key), moved, expressions, size);
  const places = [source, driving].map(({ points }) =>
    Float32Array.from({ length: 2 * POINTS }, (_, i) => points[TRAVELLING_POINTS[i >> 1]! * 2 + (i & 1)]!),
  );
  return { pictures: [source.picture, driving.picture], places: places as [Float32Array, Float32Array] };
}

/** Where the landmarks of a clip's frame are in the part of it that is shown, in pixels, [P, 2]; NaN without a face. */
function landmarksIn(
  { places }: ClipLandmarks,
  frame: number,
  { width, height }: Picture,
  crop: Rectangle,
): Float32Array {
  const whole = Math.min(width, height);
  const [left, top] = [crop.left - Math.floor((width - whole) / 2), crop.top - Math.floor((height - whole) / 2)];
  const result = new Float32Array(POINTS * 2);
  for (let i = 0; i < POINTS; i++) {
    const from = (frame * POINTS + i) * 2;
    result[2 * i] = ((places[from]! * whole - left) / crop.width) * size;
    result[2 * i + 1] = ((places[from + 1]! * whole - top) / crop.height) * size;
  }
  return result;
}

/** Landmarks [P, 2] as the mirrored picture shows them. */
function mirrored(places: Float32Array): Float32Array {
  return places.map((_, at) => {
    const from = 2 * mirroredPlaces[at >> 1]!;
    return at % 2 === 0 ? size - places[from]! : places[from + 1]!;
  });
}

/** Writes x, y from -1 to 1 at the centres of the outermost pixels, and 1 where the point lies in the picture, [P, 3]. */
function writeLandmarks(places: Float32Array, target: Float32Array): void {
  for (let i = 0; i < POINTS; i++) {
    const [x, y] = [0, 1].map((axis) => (2 * (places[2 * i + axis]! - 0.5)) / (size - 1) - 1) as [number, number];
    if (!(Math.abs(x) <= 1 && Math.abs(y) <= 1)) continue;
    target.set([x, y, 1], 3 * i);
  }
}

/** Writes 1 where a picture shows mouth and eyes into `mask` [H, W]. */
function markRegions(places: Float32Array, mask: Float32Array): void {
  if (Number.isNaN(places[0])) return;
  const points = new Float32Array(REFINED_POINTS * 3);
  for (const [i, point] of TRAVELLING_POINTS.entries()) points.set(places.subarray(2 * i, 2 * i + 2), point * 3);
  for (const region of ['mouth', 'eyes'] as const) {
    for (const { left, top, width, height } of regionRectangles(region, points, { width: size, height: size })) {
      for (let y = top; y < top + height; y++) mask.fill(1, y * size + left, y * size + left + width);
    }
  }
}

answerRequests<BatchOrder, MadeBatch>(async (order) => {
  const batch = await makeBatch(order);
  const memory = [...batch.frames, batch.regions, batch.landmarks].flatMap((part) => (part ? [part.buffer] : []));
  return { answer: batch, transfer: memory };
});
