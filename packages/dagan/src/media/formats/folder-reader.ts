// A folder of pictures as a reader: one picture is one frame, in the natural order of the names.
import { readdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { MediaError } from '../errors.js';
import { leftOutWarning } from '../pictures/foreign-kinds.js';
import { PICTURE_EXTENSIONS, readPicture } from '../pictures/images.js';
import type { Picture } from '../pictures/picture.js';
import type { DecodeJob } from '../process/messages.js';
import type { FrameReader, ReaderEvents, ReaderFrame } from './reader.js';

const natural = new Intl.Collator('en', { numeric: true });

/** Names of the pictures in a folder, which are its frames in this order. */
export async function framesIn(folder: string): Promise<string[]> {
  return (await readdir(folder))
    .filter((name) => !name.startsWith('.') && PICTURE_EXTENSIONS.includes(extname(name).toLowerCase()))
    .sort((a, b) => natural.compare(a, b) || (a < b ? -1 : 1));
}

/** Opens a folder of pictures. Throws a `MediaError` if it holds none, or later if one has another size. */
export async function openFolder(job: DecodeJob, events: ReaderEvents): Promise<FrameReader> {
  const names = await framesIn(job.path);
  const leftOut = leftOutWarning(await readdir(job.path));
  if (names.length === 0) {
    const why = `is a folder without pictures (${PICTURE_EXTENSIONS.join(' ')})`;
    throw new MediaError(job.path, leftOut === undefined ? why : `${why}: ${leftOut}`);
  }
  if (leftOut !== undefined) events.warning(leftOut);
  const read = (name: string): Promise<Picture> =>
    readPicture(join(job.path, name), { onWarning: (text) => events.warning(text.slice(job.path.length + 1)) });
  const chosen = names.slice(job.start, job.end);
  const [firstName] = chosen;
  if (firstName === undefined) {
    throw new MediaError(job.path, `has ${names.length} pictures, so there is no frame ${job.start} (the first is 0)`);
  }
  const first = await read(firstName);
  const frameRate = job.frameRate ?? 25;

  async function* frames(): AsyncGenerator<ReaderFrame, void, undefined> {
    const every = job.every ?? 1;
    // The next picture is read while the last one is in use.
    let coming = read(chosen[0]!);
    for (let index = 0; index < chosen.length; index += every) {
      const name = chosen[index]!;
      const picture = await coming;
      const next = chosen[index + every];
      if (next !== undefined) {
        coming = read(next);
        coming.catch(() => undefined); // reported when its turn comes
      }
      if (picture.width !== first.width || picture.height !== first.height) {
        throw new MediaError(
          join(job.path, name),
          `is ${picture.width} x ${picture.height} while ${firstName} is ${first.width} x ${first.height}; all pictures of a folder must have one size`,
        );
      }
      yield { picture, timestamp: index / frameRate, duration: 1 / frameRate };
    }
  }

  return {
    info: {
      kind: 'folder',
      width: first.width,
      height: first.height,
      frameRate,
      constantFrameRate: true,
      frameCount: chosen.length,
      duration: chosen.length / frameRate,
    },
    frames,
  };
}
