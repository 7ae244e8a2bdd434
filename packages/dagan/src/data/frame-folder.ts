// A folder of pictures as the frames of a clip, read one at a time and in any order.
import { readdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { MediaError, toMediaError } from '../media/errors.js';
import { PICTURE_EXTENSIONS, readPicture } from '../media/pictures/images.js';
import type { Picture } from '../media/pictures/picture.js';

const natural = new Intl.Collator('en', { numeric: true });

/** Names of the frames in a folder, in the order in which `openClip` hands them out. */
export async function listFrames(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    throw toMediaError(folder, error, 'cannot be read');
  });
  return names
    .filter((name) => !name.startsWith('.') && PICTURE_EXTENSIONS.includes(extname(name).toLowerCase()))
    .sort((a, b) => natural.compare(a, b) || (a < b ? -1 : 1));
}

/** Frames of a folder by their numbers. Throws a `MediaError` if one is missing or broken, or they differ in size. */
export async function readFolderFrames(folder: string, frames: readonly number[]): Promise<Picture[]> {
  const names = await listFrames(folder);
  const pictures = await Promise.all(
    frames.map((frame) => {
      const name = names[frame];
      if (name === undefined)
        throw new MediaError(folder, `has no frame ${frame} any more, but ${names.length} frames`);
      return readPicture(join(folder, name));
    }),
  );
  const [first] = pictures;
  for (const [i, { width, height }] of pictures.entries()) {
    if (first && (width !== first.width || height !== first.height)) {
      throw new MediaError(
        join(folder, names[frames[i]!]!),
        `is ${width} x ${height} while ${names[frames[0]!]} is ${first.width} x ${first.height}; all frames of a clip must have one size`,
      );
    }
  }
  return pictures;
}
