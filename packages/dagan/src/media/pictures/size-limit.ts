// The largest picture that is read, whatever the kind of file it comes from.
import { MediaError } from '../errors.js';

const SIDE = 8192;

/** A damaged or hostile header can ask for any size; a picture of more pixels is refused before memory is taken for it. */
const MOST_PIXELS = SIDE * SIDE;

/** Throws a `MediaError` unless a picture, or each frame of a clip, of `width` x `height` pixels may be read. */
export function checkReadableSize(path: string, width: number, height: number): void {
  if (width >= 1 && height >= 1 && width * height <= MOST_PIXELS) return;
  throw new MediaError(
    path,
    `has ${width} x ${height} pixels; pictures from 1 x 1 to ${SIDE} x ${SIDE} (or as many pixels) can be read`,
  );
}
