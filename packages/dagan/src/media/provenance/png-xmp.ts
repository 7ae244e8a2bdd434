// The XMP packet of a PNG file: an uncompressed `iTXt` chunk (PNG, third edition; XMP, part 3).
import { crc32 } from 'node:zlib';

/** Signature and IHDR chunk. */
const HEADER = 8 + 25;

/** Keyword; then: not compressed, no method, no language, no translation of the keyword. */
const INTRODUCTION = Buffer.from('XML:com.adobe.xmp\0\0\0\0\0', 'latin1');

/** The file with a packet right behind its header. */
export function insertPngXmp(png: Buffer, packet: string): Buffer {
  const checked = Buffer.concat([Buffer.from('iTXt', 'latin1'), INTRODUCTION, Buffer.from(packet, 'utf8')]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(checked.length - 4);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(checked));
  return Buffer.concat([png.subarray(0, HEADER), length, checked, sum, png.subarray(HEADER)]);
}
