// Faces that move in known ways, made of the example portrait, and contestants whose frames are known.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Contestant } from '../src/evaluation/index.js';
import { type Region, sampleRegion } from '../src/faces/sampling.js';
import { createPicture, type Picture, readPicture, writePicture } from '../src/media/index.js';

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
