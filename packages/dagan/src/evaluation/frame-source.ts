// The frames of a case, at the size of the evaluation.

import { readPicture } from '../media/pictures/images.js';
import type { Picture } from '../media/pictures/picture.js';
import { transformPicture } from '../media/pictures/resize.js';
import { openClip } from '../media/process/clip.js';
import type { EvaluationCase } from './cases.js';
import type { FrameReference } from './pair-list.js';

/** A driving frame and its number in its clip. */
export type NumberedFrame = { index: number; picture: Picture };

const square = (size: number) => ({ size: [size, size], fit: 'cover' }) as const;

/** One frame, cut to a square around its centre. Throws a `MediaError`. */
export async function readFrame({ path, frame }: FrameReference, size: number): Promise<Picture> {
  if (frame === null) return transformPicture(await readPicture(path), square(size));
  await using clip = await openClip(path, { start: frame, end: frame + 1, transform: square(size) });
  for await (const { picture } of clip.frames()) return picture;
  throw new RangeError(`${path} has no frame ${frame}`);
}

/** How many frames `drivingFrames` will give, as far as known. */
export type FrameCount = (count: number | undefined) => void;

/**
 * The driving frames to be scored: every `every`-th of a clip, or the one that a list names. The source itself is left out.
 * Throws a `MediaError`.
 */
export async function* drivingFrames(
  { driving, sourceFrame }: EvaluationCase,
  { size, every, onCount }: { size: number; every: number; onCount?: FrameCount },
): AsyncGenerator<NumberedFrame> {
  if (driving.kind === 'frame') {
    onCount?.(1);
    yield { index: driving.frame ?? 0, picture: await readFrame(driving, size) };
    return;
  }
  await using clip = await openClip(driving.path, { transform: square(size) });
  const count = clip.frameCount;
  onCount?.(count === undefined ? undefined : Math.ceil(count / every));
  let index = 0;
  for await (const { picture } of clip.frames()) {
    if (index % every === 0 && index !== sourceFrame) yield { index, picture };
    index++;
  }
}
