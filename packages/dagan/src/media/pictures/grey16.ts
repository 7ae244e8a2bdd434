// Numbers per pixel as 16-bit grey PNG, which keeps what 8 bits would round away.
import sharp from 'sharp';
import { firstLine, MediaError } from '../errors.js';
import { writeWhole } from '../files.js';

/** Writes `[height, width]` values as a 16-bit grey PNG, whole or not at all. Throws a `MediaError`. */
export async function writeGrey16(path: string, width: number, height: number, values: Uint16Array): Promise<void> {
  let bytes: Buffer;
  try {
    const image = sharp(values, { raw: { width, height, channels: 1 } });
    bytes = await image.toColourspace('grey16').png({ compressionLevel: 9 }).toBuffer();
  } catch (error) {
    throw new MediaError(path, `cannot be encoded: ${firstLine(error)}`, { cause: error });
  }
  await writeWhole(path, bytes);
}
