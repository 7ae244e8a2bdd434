// Faces that move in known ways, made of the example portrait, and contestants whose frames are known.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Contestant } from '../src/evaluation/index.js';
import type { FaceMesh } from '../src/faces/index.js';
import { type Region, sampleRegion } from '../src/faces/sampling.js';
import { createPicture, type Picture, readPicture, writePicture } from '../src/media/index.js';
import { LandmarkWarp, type Point, resample } from './landmark-warp.js';

/** The example portrait, 256 x 256. */
export const PORTRAIT = fileURLToPath(new URL('../../../../examples/portrait.png', import.meta.url));

/** A square of a picture as a picture. */
export function cutOut(picture: Picture, region: Region, size: number): Picture {
  const planes = sampleRegion(picture, region, size, { scale: 1, offset: 0, border: 'edge' });
  const result = createPicture(size, size);
  const area = size * size;
  for (let i = 0; i < area; i++) {
    for (let channel = 0; channel < 3; channel++) {
      result.data[3 * i + channel] = Math.round(planes[channel * area + i]!);
    }
  }
  return result;
}

/** A square picture turned clockwise about its middle. */
export function turned(picture: Picture, degrees: number): Picture {
  const middle = picture.width / 2;
  const angle = (-degrees * Math.PI) / 180;
  return cutOut(picture, { centerX: middle, centerY: middle, side: picture.width, angle }, picture.width);
}

/** A square picture whose contents have moved to the right and down by pixels. */
export function moved(picture: Picture, right: number, down: number): Picture {
  const middle = picture.width / 2;
  const region = { centerX: middle - right, centerY: middle - down, side: picture.width, angle: 0 };
  return cutOut(picture, region, picture.width);
}

/** Every byte times `gain`, plus `offset`. */
export function brightened({ width, height, data }: Picture, gain: number, offset: number): Picture {
  return { width, height, data: data.map((value) => Math.min(255, Math.max(0, Math.round(value * gain + offset)))) };
}

/** Writes a clip of the portrait that turns and moves, as a folder of frames. @param path below which it is made */
export async function makeFaceClip(path: string, frames: number, size = 128): Promise<Picture[]> {
  await mkdir(path, { recursive: true });
  const portrait = await readPicture(PORTRAIT);
  const made: Picture[] = [];
  for (let frame = 0; frame < frames; frame++) {
    const angle = 0.12 * Math.sin(frame);
    const region = { centerX: 128 + 3 * frame, centerY: 128 + 4 * Math.sin(2 * frame), side: 256, angle };
    made.push(cutOut(portrait, region, size));
    await writePicture(join(path, `${String(frame).padStart(7, '0')}.png`), made.at(-1)!);
  }
  return made;
}

/** What a face does, in distances between the outer corners of the eyes: 0 is as it was. */
export type Grimace = { opening: number; width: number; smile: number; lids: number; brows: number; gaze: number };

const UPPER_LIPS = [13, 82, 312, 81, 311, 0, 37, 267];
const LOWER_LIPS = [14, 87, 317, 178, 402, 17, 84, 314];
const CORNERS = [61, 291];
const UPPER_LIDS = [159, 160, 158, 386, 387, 385];
const LOWER_LIDS = [145, 144, 153, 374, 373, 380];
const BROWS = [55, 107, 46, 70, 53, 63, 285, 336, 276, 300, 283, 293];
const IRISES = [468, 469, 470, 471, 472, 473, 474, 475, 476, 477];
/** Nose, forehead, chin, cheeks, corners of the eyes: they stay. */
const STILL_POINTS = [2, 10, 152, 33, 133, 263, 362, 1, 168, 234, 454, 50, 280, 172, 397, 199];

/** The picture of a face whose lips, corners, lids, brows and irises have moved by known lengths. @param mesh of the face in it */
export function grimacing(
  picture: Picture,
  { points }: Pick<FaceMesh, 'points'>,
  { opening, width, smile, lids, brows, gaze }: Grimace,
): Picture {
  const at = (index: number): Point => [points[index * 3]!, points[index * 3 + 1]!];
  const unit = Math.hypot(at(263)[0] - at(33)[0], at(263)[1] - at(33)[1]);
  /** How a point moves to the right and down, in units. */
  const way = (index: number): Point => {
    if (UPPER_LIPS.includes(index)) return [0, -opening / 2];
    if (LOWER_LIPS.includes(index)) return [0, opening / 2];
    if (CORNERS.includes(index)) return [((index === 61 ? -1 : 1) * width) / 2, -smile];
    if (UPPER_LIDS.includes(index)) return [0, -lids / 2];
    if (LOWER_LIDS.includes(index)) return [0, lids / 2];
    if (IRISES.includes(index)) return [gaze, 0];
    return [0, BROWS.includes(index) ? -brows : 0];
  };
  const parts = [UPPER_LIPS, LOWER_LIPS, CORNERS, UPPER_LIDS, LOWER_LIDS, BROWS, STILL_POINTS];
  const moving = [...parts, gaze === 0 ? [] : IRISES].flat(); // irises that were held would keep lids open
  const rim = [0, 0.25, 0.5, 0.75, 1].flatMap((part): Point[] => [
    [part * picture.width, 0],
    [part * picture.width, picture.height],
    [0, part * picture.height],
    [picture.width, part * picture.height],
  ]);
  const from = moving.map(at);
  const to = moving.map((index, i): Point => {
    const [right, down] = way(index);
    return [from[i]![0] + unit * right, from[i]![1] + unit * down];
  });
  const backwards = new LandmarkWarp([...to, ...rim], [...from, ...rim], { scale: unit, smoothing: 1e-5 });
  return resample(picture, backwards);
}

/** A contestant that makes its frames of the driving ones. `rendered` counts them. */
export function changing(
  name: string,
  change: (driving: Picture) => Picture,
): Contestant & { rendered: number; references: number } {
  const contestant = {
    name,
    identity: name,
    batchSize: 2,
    facts: { model: `changes frames (${name})` },
    rendered: 0,
    references: 0,
    async begin(_source: Picture, _motion: unknown, reference: Picture | null) {
      if (reference) contestant.references += 1;
    },
    async render(driving: readonly Picture[]) {
      contestant.rendered += driving.length;
      return driving.map(change);
    },
    dispose() {},
  };
  return contestant;
}
