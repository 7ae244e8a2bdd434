// The chunks of a WebP file (RIFF; RFC 9649), as far as joining animations needs them.

/** One chunk of a RIFF file. */
export type RiffChunk = {
  name: string;
  /** What the chunk holds. */
  body: Buffer;
  /** The chunk with its name, length and padding. */
  whole: Buffer;
};

const ANIMATION_FLAG = 0x02;
const XMP_FLAG = 0x04;
const EXIF_FLAG = 0x08;
const ALPHA_FLAG = 0x10;

/** RIFF header, VP8X and ANIM chunk. */
export const webpHeaderLength = 12 + 18 + 14;

/** Takes a RIFF file apart. */
export function riffChunks(file: Buffer): RiffChunk[] {
  const chunks: RiffChunk[] = [];
  for (let at = 12; at + 8 <= file.length; ) {
    const length = file.readUInt32LE(at + 4);
    const end = at + 8 + length;
    const padded = end + (length & 1);
    chunks.push({
      name: file.toString('latin1', at, at + 4),
      body: file.subarray(at + 8, end),
      whole: file.subarray(at, padded),
    });
    at = padded;
  }
  return chunks;
}

/** The beginning of an animation of `length` bytes in all that repeats for ever. */
export function webpAnimationHeader(about: {
  width: number;
  height: number;
  length: number;
  alpha: boolean;
  exif: boolean;
  xmp: boolean;
}): Buffer {
  const header = Buffer.alloc(webpHeaderLength);
  header.write('RIFF', 0, 'latin1');
  header.writeUInt32LE(about.length - 8, 4);
  header.write('WEBPVP8X', 8, 'latin1');
  header.writeUInt32LE(10, 16);
  const held = (about.alpha ? ALPHA_FLAG : 0) | (about.exif ? EXIF_FLAG : 0) | (about.xmp ? XMP_FLAG : 0);
  header.writeUInt8(ANIMATION_FLAG | held, 20);
  header.writeUIntLE(about.width - 1, 24, 3);
  header.writeUIntLE(about.height - 1, 27, 3);
  header.write('ANIM', 30, 'latin1');
  header.writeUInt32LE(6, 34);
  header.writeUInt32LE(0xffffffff, 38); // background: white; then 16 bits of loop count, 0 = for ever
  return header;
}

/**
 * The frame chunks of a WebP file and whether they use transparency. An animation brings them along (equal neighbours
 * already made one frame); a still picture becomes a frame of `width` x `height` that lasts the sum of `delays` (ms).
 */
export function webpFrames(
  chunks: RiffChunk[],
  width: number,
  height: number,
  delays: number[],
): { frames: Buffer[]; alpha: boolean } {
  const extended = chunks.find(({ name }) => name === 'VP8X');
  const alpha = extended !== undefined && (extended.body.readUInt8(0) & ALPHA_FLAG) !== 0;
  const animated = chunks.filter(({ name }) => name === 'ANMF');
  if (animated.length > 0) return { frames: animated.map(({ whole }) => whole), alpha };

  const picture = chunks.filter(({ name }) => ['ALPH', 'VP8 ', 'VP8L'].includes(name)).map(({ whole }) => whole);
  const head = Buffer.alloc(24);
  head.write('ANMF', 0, 'latin1');
  head.writeUInt32LE(16 + picture.reduce((sum, { length }) => sum + length, 0), 4);
  head.writeUIntLE(width - 1, 14, 3);
  head.writeUIntLE(height - 1, 17, 3);
  const duration = delays.reduce((sum, delay) => sum + delay, 0);
  head.writeUIntLE(Math.min(0xffffff, duration), 20, 3);
  head.writeUInt8(0x02, 23); // do not blend with what was there
  return { frames: [Buffer.concat([head, ...picture])], alpha };
}
