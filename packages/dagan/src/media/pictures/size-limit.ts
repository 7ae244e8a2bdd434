// The largest picture that is read, whatever the kind of file it comes from.
import { MediaError } from '../errors.js';

const SIDE = 8192;

/** A damaged or hostile header can ask for any size; a picture of more pixels is refused before memory is taken for it. */
const MOST_PIXELS = SIDE * SIDE;

/**
 * A still picture may have four times as many pixels, as phones make them: it is made smaller while it is decoded, a few rows
 * at a time.
 */
const MOST_SHRUNK = 4 * MOST_PIXELS;

/**
 * By how much a still picture is made smaller while it is read: 1 for those of ordinary size. Throws a `MediaError` for one that
 * is too large for that.
 */
export function shrinkingOf(path: string, width: number, height: number): number {
  const pixels = width * height;
  if (pixels > MOST_PIXELS && pixels <= MOST_SHRUNK) return Math.ceil(Math.sqrt(pixels / MOST_PIXELS));
  if (pixels > MOST_SHRUNK) {
    const most = `pictures of up to ${2 * SIDE} x ${2 * SIDE} (or as many pixels) can be read; make it smaller first`;
    throw new MediaError(path, `has ${width} x ${height} pixels; ${most}`);
  }
  checkReadableSize(path, width, height);
  return 1;
}

/** Throws a `MediaError` unless a picture, or each frame of a clip, of `width` x `height` pixels may be read. */
export function checkReadableSize(path: string, width: number, height: number): void {
  if (width >= 1 && height >= 1 && width * height <= MOST_PIXELS) return;
  throw new MediaError(
    path,
    `has ${width} x ${height} pixels; pictures from 1 x 1 to ${SIDE} x ${SIDE} (or as many pixels) can be read`,
  );
}
