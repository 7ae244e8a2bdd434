/** Small data sets, generated: clips whose every frame tells by its colour which frame of which clip it is. */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openDataset, type PreparedDataset, prepareFrames } from '../src/data/index.js';
import { createClipWriter, createPicture, type Picture, writePicture } from '../src/media/index.js';
import { scene } from './media-fixtures.js';

/** Width and height of the generated frames. */
export const SIDE = 16;

/** A frame of one colour: red is `10 * clip`, green `5 * frame`, blue 100, but for a left half that is darker by 8. */
export function markedFrame(clip: number, frame: number, width = SIDE, height = SIDE): Picture {
  const picture = createPicture(width, height);
  for (let i = 0, at = 0; i < width * height; i++) {
    const shade = i % width < width / 2 ? 8 : 0;
    picture.data[at++] = 10 * clip + 8 - shade;
    picture.data[at++] = 5 * frame + 8 - shade;
    picture.data[at++] = 100 - shade;
  }
  return picture;
}

/** Clip and frame that the right half of a batch's sample shows, where nothing was changed. */
export function markOf(values: Float32Array, sample: number, side = SIDE): { clip: number; frame: number } {
  const area = side * side;
  const at = sample * 3 * area + side - 1;
  return { clip: (values[at]! * 255 - 8) / 10, frame: (values[at + area]! * 255 - 8) / 5 };
}

/** Writes a folder of marked frames. */
export async function makeFolderClip(path: string, clip: number, frames: number, side = SIDE): Promise<void> {
  await mkdir(path, { recursive: true });
  for (let frame = 0; frame < frames; frame++) {
    await writePicture(join(path, `${String(frame).padStart(7, '0')}.png`), markedFrame(clip, frame, side, side));
  }
}

/** Writes a video of the moving scene. */
export async function makeVideoClip(path: string, frames: number, width = 32, height = 32): Promise<void> {
  await using writer = await createClipWriter(path, { width, height, frameRate: 25 });
  for (let frame = 0; frame < frames; frame++) await writer.add(scene(width, height, frame));
  await writer.finish();
}

/**
 * Writes and prepares a data set of folders of marked frames: `clips[i]` is the name of clip i below `train`, of which
 * clip i has `frames + i` frames.
 */
export async function makeMarkedSet(root: string, clips: readonly string[], frames = 6): Promise<PreparedDataset> {
  for (const [index, name] of clips.entries()) await makeFolderClip(join(root, 'train', name), index, frames + index);
  return prepareFrames(await openDataset(root), { size: SIDE });
}
