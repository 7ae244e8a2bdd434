// The squares of a clip's frames that the networks see.
import { padCut, type SquareCut } from '../animation/crop.js';
import { DaganError } from '../errors.js';
import type { Picture } from '../media/pictures/picture.js';
import type { Clip, ClipFrame } from '../media/process/clip.js';

/** The square of frame `index` of a whole clip. */
export async function squareOf(clip: Clip, index: number, cut: SquareCut): Promise<Picture> {
  for await (const { picture } of clip.frames({ start: index, end: index + 1, transform: cut.transform })) {
    return padCut(picture, cut);
  }
  throw noFrame(clip.path, index);
}

/** What is wrong with a reference frame that is not there. */
export const noFrame = (path: string, frame: number): DaganError =>
  new DaganError('no-frame', `${path}: there is no frame ${frame} to be the reference`, { path, frame });

/** Squares of frames with their numbers in the clip. */
export async function* padded(
  frames: AsyncIterable<ClipFrame>,
  { cut, start: number = 0 }: { cut: SquareCut; start?: number },
): AsyncGenerator<ClipFrame & { number: number }> {
  for await (const frame of frames) yield { ...frame, picture: padCut(frame.picture, cut), number: number++ };
}
