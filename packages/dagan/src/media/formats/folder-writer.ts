// A folder of lossless PNG frames, 000000.png, 000001.png, ...
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { frameName } from '../files.js';
import { pngFile } from '../pictures/images.js';
import type { Picture } from '../pictures/picture.js';
import type { EncodeJob } from '../process/messages.js';
import type { MediaMetadata } from '../provenance/provenance.js';
import type { FrameSink } from './writer.js';

/** Frames encoded at the same time. */
const PARALLEL = 4;

/** Fills the folder `job.part`. */
export function openFolderSink(job: EncodeJob): FrameSink {
  let index = 0;
  const pending = new Set<Promise<unknown>>();
  return {
    async add({ picture }) {
      const name = join(job.part, frameName(index++));
      const work = writePng(name, picture, job.metadata);
      const tracked: Promise<unknown> = work.then(() => pending.delete(tracked));
      tracked.catch(() => undefined); // thrown where it is awaited
      pending.add(tracked);
      if (pending.size >= PARALLEL) await Promise.race(pending);
    },
    async finish() {
      await Promise.all(pending);
    },
  };
}

/** Written by Node, whose errors say what is wrong with the disk; sharp's say only that writing failed. */
async function writePng(path: string, picture: Picture, metadata: MediaMetadata | undefined): Promise<void> {
  await writeFile(path, await pngFile(picture, metadata));
}
