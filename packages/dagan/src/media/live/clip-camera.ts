// A clip in a camera's place: its frames come when they are shown, whether or not anybody is ready for them.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Picture } from '../pictures/picture.js';
import { openClip } from '../process/clip.js';
import { type Camera, NewestFrames } from './camera.js';

/** @throws MediaError if it cannot be read */
export async function openClipCamera(path: string, onWarning?: (text: string) => void): Promise<Camera> {
  const clip = await openClip(path, { onWarning });
  async function* inTime(): AsyncGenerator<Picture> {
    let started: number | undefined;
    for await (const { picture, timestamp } of clip.frames()) {
      started ??= performance.now() - 1000 * timestamp;
      const early = started + 1000 * timestamp - performance.now();
      if (early > 0) await sleep(early);
      yield picture;
    }
  }
  return new NewestFrames(inTime(), () => clip.close());
}
