// The chunks of a WebP file (RIFF; RFC 9649), as far as joining animations needs them. Runs in Node and in browsers.

/** One chunk of a RIFF file. */
export type RiffChunk = {
  name: string;
  /** What the chunk holds. */
  body: Uint8Array;
  /** The chunk with its name, length and padding. */
  whole: Uint8Array;
};

const ANIMATION_FLAG = 0x02;
const XMP_FLAG = 0x04;
const EXIF_FLAG = 0x08;
const ALPHA_FLAG = 0x10;

/** RIFF header, VP8X and ANIM chunk. */
export const webpHeaderLength = 12 + 18 + 14;

/** Takes a RIFF file apart. */
export function riffChunks(file: Uint8Array): RiffChunk[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const chunks: RiffChunk[] = [];
  for (let at = 12; at + 8 <= file.length; ) {
    const length = view.getUint32(at + 4, true);
    const end = at + 8 + length;
    const padded = end + (length & 1);
    chunks.push({
      name: String.fromCharCode(...file.subarray(at, at + 4)),
      body: file.subarray(at + 8, end),
      whole: file.subarray(at, padded),
    });
    at = padded;
  }
  return chunks;
}

/** A chunk of a RIFF file, padded. */
export function riffChunk(name: string, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const chunk = new Uint8Array(8 + body.length + (body.length & 1));
  const { text, uint32 } = writing(chunk);
  text(name, 0);
  uint32(body.length, 4);
  chunk.set(body, 8);
  return chunk;
}

/** The beginning of an animation of `length` bytes in all that repeats for ever. */
export function webpAnimationHeader(about: {
  width: number;
  height: number;
  length: number;
  alpha: boolean;
  exif: boolean;
  xmp: boolean;
}): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(webpHeaderLength);
  const { text, uint32, uint24 } = writing(header);
  text('RIFF', 0);
  uint32(about.length - 8, 4);
  text('WEBPVP8X', 8);
  uint32(10, 16);
  const held = (about.alpha ? ALPHA_FLAG : 0) | (about.exif ? EXIF_FLAG : 0) | (about.xmp ? XMP_FLAG : 0);
  header[20] = ANIMATION_FLAG | held;
  uint24(about.width - 1, 24);
  uint24(about.height - 1, 27);
  text('ANIM', 30);
  uint32(6, 34);
  uint32(0xffffffff, 38); // background: white; then 16 bits of loop count, 0 = for ever
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
): { frames: Uint8Array[]; alpha: boolean } {
  const extended = chunks.find(({ name }) => name === 'VP8X');
  const alpha = extended !== undefined && (extended.body[0]! & ALPHA_FLAG) !== 0;
  const animated = chunks.filter(({ name }) => name === 'ANMF');
  if (animated.length > 0) return { frames: animated.map(({ whole }) => whole), alpha };

  const picture = chunks.filter(({ name }) => ['ALPH', 'VP8 ', 'VP8L'].includes(name)).map(({ whole }) => whole);
  const frame = new Uint8Array(24 + picture.reduce((sum, { length }) => sum + length, 0));
  const { text, uint32, uint24 } = writing(frame);
  text('ANMF', 0);
  uint32(frame.length - 8, 4);
  uint24(width - 1, 14);
  uint24(height - 1, 17);
  const duration = delays.reduce((sum, delay) => sum + delay, 0);
  uint24(Math.min(0xffffff, duration), 20);
  frame[23] = 0x02; // do not blend with what was there
  let at = 24;
  for (const chunk of picture) {
    frame.set(chunk, at);
    at += chunk.length;
  }
  return { frames: [frame], alpha };
}

/** Puts letters and little-endian numbers into bytes. */
function writing(bytes: Uint8Array<ArrayBuffer>) {
  const view = new DataView(bytes.buffer);
  return {
    text: (letters: string, at: number): void => bytes.set(new TextEncoder().encode(letters), at),
    uint32: (value: number, at: number): void => view.setUint32(at, value, true),
    uint24: (value: number, at: number): void => {
      view.setUint16(at, value & 0xffff, true);
      view.setUint8(at + 2, value >>> 16);
    },
  };
}
