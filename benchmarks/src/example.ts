// The example portrait and clip, as the benchmarks use them.
import { fileURLToPath } from 'node:url';
import { openClip, type Picture, readPicture, resizePicture } from 'dagan';

const example = (name: string): string => fileURLToPath(new URL(`../../examples/${name}`, import.meta.url));

/** Side of the pictures that the published model works on. */
export const SIZE = 256;

export const EXAMPLE_PORTRAIT = example('portrait.png');
export const EXAMPLE_CLIP = example('driving.mp4');

export async function examplePortrait(): Promise<Picture> {
  return resizePicture(await readPicture(EXAMPLE_PORTRAIT), SIZE, SIZE);
}

/** The first frames of the example clip. */
export async function exampleFrames(count: number): Promise<Picture[]> {
  await using clip = await openClip(EXAMPLE_CLIP, { end: count });
  const frames: Picture[] = [];
  for await (const { picture } of clip.frames()) frames.push(resizePicture(picture, SIZE, SIZE));
  return frames;
}

/** Peak signal-to-noise ratio of 8-bit pictures, in dB, over all of them together. */
export function psnr(reference: readonly Picture[], pictures: readonly Picture[]): number {
  let squared = 0;
  let count = 0;
  for (const [i, { data }] of reference.entries()) {
    for (let j = 0; j < data.length; j++) squared += (data[j]! - pictures[i]!.data[j]!) ** 2;
    count += data.length;
  }
  return 10 * Math.log10((255 * 255 * count) / squared);
}
