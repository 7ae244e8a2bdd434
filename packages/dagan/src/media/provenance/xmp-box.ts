// The XMP packet of an MP4 or QuickTime file: a `uuid` box beside the others (ISO 14496-12; XMP, part 3).
import { appendFile, type FileHandle, open } from 'node:fs/promises';
import { XMP_UUID, xmpBox } from './provenance.js';

/** Packets beyond this are not read. */
const MOST = 16 * 2 ** 20;

/** Adds a packet to a finished file. */
export async function appendXmpBox(path: string, packet: string): Promise<void> {
  await appendFile(path, xmpBox(packet));
}

/** The packet of a file; undefined if it has none. */
export async function readXmpBox(path: string): Promise<string | undefined> {
  await using file = await open(path);
  const { size } = await file.stat();
  for (let at = 0; at + 8 <= size; ) {
    const head = await readBytes(file, at, 32);
    const short = head.readUInt32BE(0);
    const long = short === 1 && head.length >= 16;
    const start = long ? 16 : 8;
    const length = long ? Number(head.readBigUInt64BE(8)) : short === 0 ? size - at : short;
    if (length < start) return undefined; // no box: damaged from here on
    const body = start + XMP_UUID.length;
    const isXmp = head.toString('latin1', 4, 8) === 'uuid' && head.subarray(start, body).equals(XMP_UUID);
    if (isXmp && length >= body && length <= MOST)
      return (await readBytes(file, at + body, length - body)).toString('utf8');
    at += length;
  }
  return undefined;
}

async function readBytes(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  const { bytesRead } = await file.read(bytes, 0, length, position);
  return bytes.subarray(0, bytesRead);
}
