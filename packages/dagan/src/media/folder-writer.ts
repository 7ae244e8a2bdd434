/** A folder of lossless PNG frames, 000000.png, 000001.png, ... */

import { join } from 'node:path';
import { frameName } from './files.js';
import { encodePng, pictureToSharp, withMetadata } from './images.js';
import type { EncodeJob } from './messages.js';
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
      const work: Promise<unknown> = encodePng(withMetadata(pictureToSharp(picture), job.metadata)).toFile(name);
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
