// Files of many parts that are read one at a time: the parts, then what they are as JSON (the index), its length (32 bits, little
// endian), and eight letters that tell the kind. Parts can be written before all of them are known, and a file that was cut off
// is recognised by its end.
import { type FileHandle, open } from 'node:fs/promises';
import { systemCode, toMediaError } from '../media/errors.js';

/** Bytes of the length and the letters. */
const tailLength = (magic: string): number => 4 + magic.length;

/** What follows the last part. */
export function indexBytes(index: object, magic: string): Buffer {
  const text = Buffer.from(JSON.stringify(index));
  const tail = Buffer.alloc(tailLength(magic));
  tail.writeUInt32LE(text.length);
  tail.write(magic, 4, 'latin1');
  return Buffer.concat([text, tail]);
}

/** The index of an open file, and where it begins, which is the end of the parts; nothing if the file is no whole one. */
export async function readIndex<Index>(
  file: FileHandle,
  magic: string,
): Promise<{ index: Index; end: number } | undefined> {
  const { size } = await file.stat();
  const length = tailLength(magic);
  if (size < length) return undefined;
  const tail = await readExactly(file, size - length, length);
  const end = size - length - tail.readUInt32LE();
  if (tail.toString('latin1', 4) !== magic || end < 0) return undefined;
  try {
    const text = await readExactly(file, end, size - length - end);
    return { index: JSON.parse(text.toString()) as Index, end };
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/**
 * Reads of a file what `read` wants.
 *
 * @returns nothing if there is no such file, or no whole one
 * @throws MediaError if it cannot be read
 */
export async function readIndexed<Index, Result>(
  path: string,
  magic: string,
  read: (index: Index, file: FileHandle, end: number) => Result | Promise<Result>,
): Promise<Result | undefined> {
  try {
    await using file = await open(path);
    const found = await readIndex<Index>(file, magic);
    return found && (await read(found.index, file, found.end));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw toMediaError(path, error, 'cannot be read');
  }
}

/** A part of a file. @throws Error if the file ends before it does */
export async function readExactly(file: FileHandle, start: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  const { bytesRead } = await file.read(bytes, 0, length, start);
  if (bytesRead < length) throw new Error(`ends ${length - bytesRead} bytes early`);
  return bytes;
}
