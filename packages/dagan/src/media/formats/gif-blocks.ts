// The blocks of a GIF89a file (CompuServe, 1990), as far as joining animations needs them.

/** One image of an animation, with the colour table that belongs to it. */
export type GifFrame = {
  /** The image descriptor's position and size: 8 bytes. */
  area: Buffer;
  /** Interlace bit of the descriptor. */
  interlaced: boolean;
  /** Colours, 3 bytes each; 2, 4, 8, ... 256 of them. */
  colours: Buffer;
  /** Disposal, transparency flag (bits of the graphic control block) and the transparent colour. */
  control: number;
  transparent: number;
  /** Compressed pixels with their code size and closing block. */
  pixels: Buffer;
};

const EXTENSION = 0x21;
const IMAGE = 0x2c;
const TRAILER = 0x3b;

/** Start of an animation that repeats for ever and whose images bring their own colours. */
export function gifHeader(width: number, height: number): Buffer {
  const screen = Buffer.from('GIF89a\0\0\0\0\x70\0\0', 'latin1');
  screen.writeUInt16LE(width, 6);
  screen.writeUInt16LE(height, 8);
  return Buffer.concat([screen, Buffer.from('\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0', 'latin1')]);
}

/** A comment block. Runs in browsers, too. */
export function gifComment(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(text);
  const block = [EXTENSION, 0xfe];
  for (let at = 0; at < bytes.length; at += 255) {
    const part = bytes.subarray(at, at + 255);
    block.push(part.length, ...part);
  }
  return Uint8Array.of(...block, 0);
}

/** What an XMP packet is announced by; behind it come 258 bytes that lead any reader of sub-blocks out of it. */
const XMP_NAME = 'XMP DataXMP';

/** An application block with an XMP packet (XMP, part 3). Runs in browsers, too. */
export function gifXmp(packet: string): Uint8Array<ArrayBuffer> {
  const ending = [0x01, ...Array.from({ length: 256 }, (_, index) => 255 - index), 0x00];
  const words = [XMP_NAME, packet].map((text) => new TextEncoder().encode(text));
  return Uint8Array.of(EXTENSION, 0xff, XMP_NAME.length, ...words[0]!, ...words[1]!, ...ending);
}

/** The words in a GIF file: its first comment and its XMP packet. */
export function gifWords(file: Buffer): { comment?: string; xmp?: string } {
  const words: { comment?: string; xmp?: string } = {};
  for (const { kind, start, end } of gifBlocks(file)) {
    if (kind !== EXTENSION) continue;
    const label = file.readUInt8(start + 1);
    if (label === 0xfe) words.comment ??= joinSubBlocks(file, start + 2);
    if (label !== 0xff || file.toString('latin1', start + 3, start + 3 + XMP_NAME.length) !== XMP_NAME) continue;
    const from = start + 3 + XMP_NAME.length;
    words.xmp ??= file.toString('utf8', from, Math.max(from, end - 258));
  }
  return words;
}

/** An image that is shown for `delay` hundredths of a second. */
export function gifFrame(frame: GifFrame, delay: number): Buffer {
  const control = Buffer.from([EXTENSION, 0xf9, 4, frame.control, 0, 0, frame.transparent, 0]);
  control.writeUInt16LE(Math.min(0xffff, delay), 4);
  const sizeBits = Math.round(Math.log2(frame.colours.length / 3)) - 1;
  const flags = 0x80 | (frame.interlaced ? 0x40 : 0) | sizeBits;
  return Buffer.concat([control, Buffer.from([IMAGE]), frame.area, Buffer.from([flags]), frame.colours, frame.pixels]);
}

/** The end of the file. */
export function gifTrailer(): Buffer {
  return Buffer.from([TRAILER]);
}

/** Takes a GIF file apart into its images. */
export function gifFrames(file: Buffer): GifFrame[] {
  const common = file.subarray(SCREEN, SCREEN + tableLength(file.readUInt8(10)));
  const frames: GifFrame[] = [];
  let control = 0;
  let transparent = 0;
  for (const { kind, start, end } of gifBlocks(file)) {
    if (kind === EXTENSION) {
      if (file.readUInt8(start + 1) !== 0xf9) continue;
      control = file.readUInt8(start + 3);
      transparent = file.readUInt8(start + 6);
      continue;
    }
    const area = file.subarray(start + 1, start + 9);
    const flags = file.readUInt8(start + 9);
    const own = file.subarray(start + 10, start + 10 + tableLength(flags));
    const colours = own.length > 0 ? own : common;
    const interlaced = (flags & 0x40) !== 0;
    const pixels = file.subarray(start + 10 + own.length, end);
    frames.push({ area, interlaced, colours, control, transparent, pixels });
    control = 0;
    transparent = 0;
  }
  return frames;
}

/** Length of header and screen descriptor. */
const SCREEN = 13;

/** Bytes of the colour table that flags announce. */
const tableLength = (flags: number): number => ((flags & 0x80) === 0 ? 0 : 3 * 2 ** ((flags & 7) + 1));

/** Where the extensions and images of a file begin and end. */
function* gifBlocks(file: Buffer): Generator<{ kind: number; start: number; end: number }> {
  let start = SCREEN + tableLength(file.readUInt8(10));
  for (let kind = file.readUInt8(start); kind !== TRAILER; kind = file.readUInt8(start)) {
    if (kind !== EXTENSION && kind !== IMAGE) throw new Error(`unknown GIF block ${kind} at byte ${start}`);
    const blocks = kind === EXTENSION ? start + 2 : start + 11 + tableLength(file.readUInt8(start + 9));
    const end = afterSubBlocks(file, blocks);
    yield { kind, start, end };
    start = end;
  }
}

/** The text in the sub-blocks from `at` on. */
function joinSubBlocks(file: Buffer, at: number): string {
  const parts: Buffer[] = [];
  for (let length = file.readUInt8(at); length !== 0; length = file.readUInt8(at)) {
    parts.push(file.subarray(at + 1, at + 1 + length));
    at += length + 1;
  }
  return Buffer.concat(parts).toString('utf8');
}

function afterSubBlocks(file: Buffer, at: number): number {
  let next = at;
  for (let length = file.readUInt8(next); length !== 0; length = file.readUInt8(next)) next += length + 1;
  return next + 1;
}
