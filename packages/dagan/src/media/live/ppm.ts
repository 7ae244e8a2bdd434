// Pictures out of a stream of PPM (P6, 8 bits): each brings its size, so nobody has to ask a device for it.
import type { Picture } from '../pictures/picture.js';

/** More bytes before the first pixel than a header has: this is no PPM. */
const LONGEST_HEADER = 64;

/** Pixels that a picture may have. */
const MOST_PIXELS = 2 ** 26;

/** @throws RangeError for anything but PPM of 8 bits */
export async function* ppmPictures(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Picture> {
  let header = '';
  let picture: Picture | undefined;
  let filled = 0;
  for await (const chunk of bytes) {
    let at = 0;
    while (at < chunk.length) {
      if (!picture) {
        header += String.fromCharCode(chunk[at++]!);
        picture = started(header);
        filled = 0;
        continue;
      }
      const part = chunk.subarray(at, at + picture.data.length - filled);
      picture.data.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled < picture.data.length) continue;
      yield picture;
      header = '';
      picture = undefined;
    }
  }
}

/** The empty picture of a header that is complete. */
function started(header: string): Picture | undefined {
  const found = /^P6\s+(\d+)\s+(\d+)\s+255\s$/.exec(header);
  if (!found) {
    if (header.length > LONGEST_HEADER) throw new RangeError('this is no stream of PPM pictures of 8 bits');
    return undefined;
  }
  const [width, height] = [Number(found[1]), Number(found[2])];
  if (!(width > 0 && height > 0 && width * height <= MOST_PIXELS)) {
    throw new RangeError(`pictures of ${width} x ${height} cannot be read`);
  }
  return { width, height, data: new Uint8Array(width * height * 3) };
}
