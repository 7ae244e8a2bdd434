/** The blocks of a GIF89a file (CompuServe, 1990), as far as joining animations needs them. */

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

/** A comment block. */
export function gifComment(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  const parts = [Buffer.from([EXTENSION, 0xfe])];
  for (let at = 0; at < bytes.length; at += 255) {
    const part = bytes.subarray(at, at + 255);
    parts.push(Buffer.from([part.length]), part);
  }
  return Buffer.concat([...parts, Buffer.from([0])]);
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
  const tableLength = (flags: number) => ((flags & 0x80) === 0 ? 0 : 3 * 2 ** ((flags & 7) + 1));
  let at = 13;
  const common = file.subarray(at, at + tableLength(file.readUInt8(10)));
  at += common.length;
  const frames: GifFrame[] = [];
  let control = 0;
  let transparent = 0;
  while (file.readUInt8(at) !== TRAILER) {
    const kind = file.readUInt8(at);
    if (kind === EXTENSION) {
      if (file.readUInt8(at + 1) === 0xf9) {
        control = file.readUInt8(at + 3);
        transparent = file.readUInt8(at + 6);
      }
      at = afterSubBlocks(file, at + 2);
    } else if (kind === IMAGE) {
      const area = file.subarray(at + 1, at + 9);
      const flags = file.readUInt8(at + 9);
      const own = file.subarray(at + 10, at + 10 + tableLength(flags));
      const start = at + 10 + own.length;
      at = afterSubBlocks(file, start + 1);
      const colours = own.length > 0 ? own : common;
      const interlaced = (flags & 0x40) !== 0;
      frames.push({ area, interlaced, colours, control, transparent, pixels: file.subarray(start, at) });
      control = 0;
      transparent = 0;
    } else {
      throw new Error(`unknown GIF block ${kind} at byte ${at}`);
    }
  }
  return frames;
}

function afterSubBlocks(file: Buffer, at: number): number {
  let next = at;
  for (let length = file.readUInt8(next); length !== 0; length = file.readUInt8(next)) next += length + 1;
  return next + 1;
}
