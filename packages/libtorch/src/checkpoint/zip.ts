// Reader of the zip archives that PyTorch writes: entries stored without compression, 64-bit sizes, checksums.
//
// The zip packages of npm are asynchronous or want the whole file in memory, and inflate what they find. PyTorch never
// compresses, so refusing compressed entries leaves a small reader that cannot be fed a zip bomb.
import { crc32 } from 'node:zlib';
import type { FileSource } from './source.js';

/** Bytes of an archive's central directory that are accepted; PyTorch's takes about 100 bytes a tensor. */
const MAX_DIRECTORY = 64 * 2 ** 20;
/** Bytes read at a time to check an entry's checksum. */
const CHUNK = 4 * 2 ** 20;

const END_RECORD = { signature: 0x06054b50, size: 22, maxComment: 0xffff };
const END_LOCATOR_64 = { signature: 0x07064b50, size: 20 };
const END_RECORD_64 = { signature: 0x06064b50, size: 56 };
const DIRECTORY_HEADER = { signature: 0x02014b50, size: 46 };
const LOCAL_HEADER = { signature: 0x04034b50, size: 30 };
const ENCRYPTED_FLAG = 0x1;

/** One stored file of an archive. */
export class ZipEntry {
  #position: number | undefined;
  #verified = false;
  readonly #source: FileSource;
  readonly #crc: number;
  readonly #method: number;
  readonly #flags: number;
  readonly #header: number;

  constructor(
    source: FileSource,
    readonly name: string,
    /** Bytes of the content. */
    readonly size: number,
    crc: number,
    method: number,
    flags: number,
    header: number,
  ) {
    this.#source = source;
    this.#crc = crc;
    this.#method = method;
    this.#flags = flags;
    this.#header = header;
  }

  /**
   * Reads `length` bytes of the content at `offset`. The first read checks the checksum of the whole entry.
   * @throws CheckpointError if the entry is compressed or encrypted, its bytes differ from its checksum, or it is damaged.
   */
  read(offset = 0, length = this.size - offset): Uint8Array<ArrayBuffer> {
    const start = this.#contentPosition();
    if (offset === 0 && length === this.size) {
      const bytes = this.#source.read(start, length);
      if (!this.#verified) this.#verify(crc32(bytes));
      return bytes;
    }
    if (!this.#verified) {
      let sum = 0;
      for (let at = 0; at < this.size; at += CHUNK) {
        sum = crc32(this.#source.read(start + at, Math.min(CHUNK, this.size - at)), sum);
      }
      this.#verify(sum);
    }
    return this.#source.read(start + offset, length);
  }

  #verify(sum: number): void {
    // PyTorch writes 0 where it was told to compute no checksums.
    if (this.#crc !== 0 && sum !== this.#crc) {
      throw this.#source.error(
        `is damaged: the checksum of "${this.name}" does not match its content. Download or copy the file again`,
      );
    }
    this.#verified = true;
  }

  #contentPosition(): number {
    if (this.#position !== undefined) return this.#position;
    if (this.#flags & ENCRYPTED_FLAG)
      throw this.#source.error(`holds the encrypted entry "${this.name}"; decrypt it first`);
    if (this.#method !== 0) {
      throw this.#source.error(
        `holds the compressed entry "${this.name}", which PyTorch never writes. Pack its files again without compression (zip -0)`,
      );
    }
    const header = view(this.#source.read(this.#header, LOCAL_HEADER.size));
    const nameLength = header.getUint16(26, true);
    const name = this.#source.read(this.#header + LOCAL_HEADER.size, nameLength);
    const position = this.#header + LOCAL_HEADER.size + nameLength + header.getUint16(28, true);
    if (header.getUint32(0, true) !== LOCAL_HEADER.signature || decode(name) !== this.name) {
      throw this.#source.error(
        `is damaged: there is no entry "${this.name}" where its directory says. Download it again`,
      );
    }
    this.#position = position;
    return position;
  }
}

/**
 * Lists the entries of a zip archive by name.
 * @throws CheckpointError if the file is truncated or its directory is inconsistent.
 */
export function readZipDirectory(source: FileSource): Map<string, ZipEntry> {
  const { count, size, position } = findDirectory(source);
  if (size > MAX_DIRECTORY || count * DIRECTORY_HEADER.size > size || position + size > source.size) {
    throw source.error('is damaged: the directory of its zip archive cannot be right. Download it again');
  }
  const bytes = source.read(position, size);
  const directory = view(bytes);
  const entries = new Map<string, ZipEntry>();
  let at = 0;
  for (let i = 0; i < count; i++) {
    const fits = at + DIRECTORY_HEADER.size <= size && directory.getUint32(at, true) === DIRECTORY_HEADER.signature;
    const nameEnd = fits ? at + DIRECTORY_HEADER.size + directory.getUint16(at + 28, true) : Infinity;
    const extraEnd = fits ? nameEnd + directory.getUint16(at + 30, true) : Infinity;
    if (extraEnd > size)
      throw source.error(`is damaged: entry ${i + 1} of its zip directory is not one. Download it again`);

    const name = decode(bytes.subarray(at + DIRECTORY_HEADER.size, nameEnd));
    const wide = wideFields(directory, nameEnd, extraEnd);
    const field = (offset: number) => {
      const value = directory.getUint32(at + offset, true);
      return value === 0xffffffff ? (wide.next().value ?? Infinity) : value;
    };
    // The order in which the 64-bit values follow each other where the 32-bit fields are too small.
    const contentSize = field(24);
    const storedSize = field(20);
    const header = field(42);
    const method = directory.getUint16(at + 10, true);
    if (header + LOCAL_HEADER.size + storedSize > position || (method === 0 && contentSize !== storedSize)) {
      throw source.error(`is damaged: its zip entry "${name}" lies outside the file. Download it again`);
    }
    if (entries.has(name)) throw source.error(`holds two zip entries named "${name}", which PyTorch never writes`);
    const crc = directory.getUint32(at + 16, true);
    const flags = directory.getUint16(at + 8, true);
    entries.set(name, new ZipEntry(source, name, contentSize, crc, method, flags, header));
    at = extraEnd + directory.getUint16(at + 32, true);
  }
  return entries;
}

/** Finds the directory through the end record, which only a comment may follow. */
function findDirectory(source: FileSource): { count: number; size: number; position: number } {
  const tailLength = Math.min(source.size, END_RECORD.size + END_RECORD.maxComment);
  const tailPosition = source.size - tailLength;
  const tail = view(source.read(tailPosition, tailLength));
  for (let at = tailLength - END_RECORD.size; at >= 0; at--) {
    if (tail.getUint32(at, true) !== END_RECORD.signature) continue;
    if (at + END_RECORD.size + tail.getUint16(at + 20, true) !== tailLength) continue;
    const locator = at - END_LOCATOR_64.size;
    if (locator >= 0 && tail.getUint32(locator, true) === END_LOCATOR_64.signature) {
      const position = uint64(tail, locator + 8);
      if (position + END_RECORD_64.size > tailPosition + locator) break;
      const record = view(source.read(position, END_RECORD_64.size));
      if (record.getUint32(0, true) !== END_RECORD_64.signature) break;
      return { count: uint64(record, 32), size: uint64(record, 40), position: uint64(record, 48) };
    }
    return {
      count: tail.getUint16(at + 10, true),
      size: tail.getUint32(at + 12, true),
      position: tail.getUint32(at + 16, true),
    };
  }
  throw source.error(
    `is a zip archive without its end (it has ${source.size} bytes): it was downloaded or copied incompletely. Download it again and compare its size with the publisher's`,
  );
}

/** The 64-bit values in an entry's extra field of kind 1. */
function* wideFields(directory: DataView, start: number, end: number): Generator<number, undefined> {
  let at = start;
  while (at + 4 <= end) {
    const fieldEnd = at + 4 + directory.getUint16(at + 2, true);
    if (fieldEnd > end) return;
    if (directory.getUint16(at, true) === 1) {
      for (let value = at + 4; value + 8 <= fieldEnd; value += 8) yield uint64(directory, value);
      return;
    }
    at = fieldEnd;
  }
}

function uint64(data: DataView, at: number): number {
  return data.getUint32(at, true) + data.getUint32(at + 4, true) * 2 ** 32;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function decode(name: Uint8Array): string {
  return Buffer.from(name.buffer, name.byteOffset, name.byteLength).toString('utf8');
}
