// The safetensors format: a 64-bit header length, a JSON header, then the tensors' bytes without gaps.
// Format: https://huggingface.co/docs/safetensors
import fs from 'node:fs';
import path from 'node:path';
import type { CheckpointFile, TensorRecord } from './checkpoint.js';
import { type DType, elementCount, ITEM_SIZE, SAFETENSORS_DTYPE, SAFETENSORS_NAME } from './dtype.js';
import { CheckpointError } from './errors.js';
import type { FileSource } from './source.js';

/** Bytes of header that are read and written, which suffices for some 80,000 tensors. */
const MAX_HEADER = 8 * 2 ** 20;
const METADATA = '__metadata__';
const DAMAGED = 'Its header is damaged; download or write it again';

/** Whether a file begins like safetensors, even if its header length is out of range. */
export function looksLikeSafetensors(head: Uint8Array): boolean {
  // After a length below 2^56, so one with a zero byte, comes an opening brace.
  return head[8] === 0x7b && head.subarray(0, 8).includes(0);
}

/** Opens a safetensors file and checks its whole header. */
export function openSafetensors(source: FileSource): CheckpointFile {
  const headerLength = Number(new DataView(source.read(0, 8).buffer).getBigUint64(0, true));
  if (headerLength > MAX_HEADER) {
    throw source.error(`claims a header of ${headerLength} bytes; at most ${MAX_HEADER} are read. ${DAMAGED}`);
  }
  const dataStart = 8 + headerLength;
  const header = parseHeader(source, source.read(8, headerLength));
  const available = source.size - dataStart;

  const metadata = stringsOnly(source, header[METADATA] ?? {});
  const tensors = new Map<string, TensorRecord>();
  const ranges: { name: string; begin: number; end: number }[] = [];
  for (const [name, entry] of Object.entries(header)) {
    if (name === METADATA) continue;
    const { dtype, shape, begin, end } = parseEntry(source, name, entry);
    ranges.push({ name, begin, end });
    const byteLength = end - begin;
    const offset = dataStart + begin;
    const read = () => source.read(offset, byteLength);
    tensors.set(name, { name, dtype, shape, byteLength, offset, read });
  }

  // Every byte belongs to exactly one tensor: nothing hidden between them, nothing shared.
  ranges.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let expected = 0;
  for (const { name, begin, end } of ranges) {
    if (begin !== expected) {
      const what =
        begin < expected ? 'overlaps the tensor before it' : `leaves ${begin - expected} unused bytes before it`;
      throw source.error(`has a tensor "${shorten(name)}" that ${what}. ${DAMAGED}`);
    }
    expected = end;
  }
  if (expected > available) {
    throw source.error(
      `ends too early: ${dataStart + expected} bytes expected, it has ${source.size}. Was it downloaded incompletely?`,
    );
  }
  if (expected < available) {
    throw source.error(
      `has ${available - expected} bytes behind its last tensor. It is damaged; download or write it again`,
    );
  }
  const close = () => source.close();
  return {
    path: source.path,
    format: 'safetensors',
    metadata,
    tensors,
    scalars: new Map(),
    close,
    [Symbol.dispose]: close,
  };
}

function parseHeader(source: FileSource, bytes: Uint8Array): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    throw source.error(`has a header that is no JSON text. ${DAMAGED}`, cause);
  }
  if (!isObject(header)) throw source.error(`has a header that is no JSON object. ${DAMAGED}`);
  return header;
}

function stringsOnly(source: FileSource, value: unknown): Record<string, string> {
  if (!isObject(value) || !Object.values(value).every((text) => typeof text === 'string')) {
    throw source.error(`has metadata that are not all text. ${DAMAGED}`);
  }
  return value as Record<string, string>;
}

function parseEntry(source: FileSource, name: string, entry: unknown) {
  const complain = (problem: string) => source.error(`has a tensor "${shorten(name)}" ${problem}. ${DAMAGED}`);
  const { dtype: typeName, shape, data_offsets: offsets } = isObject(entry) ? entry : {};
  const dtype = typeof typeName === 'string' ? SAFETENSORS_DTYPE.get(typeName) : undefined;
  if (!dtype) {
    throw source.error(
      `has a tensor "${shorten(name)}" of type ${shorten(JSON.stringify(typeName) ?? 'none')}, known are ${[...SAFETENSORS_DTYPE.keys()].join(', ')}. Convert it, or download it again if it is damaged`,
    );
  }
  const count = Array.isArray(shape) ? elementCount(shape) : undefined;
  if (count === undefined) throw complain('without a possible shape');
  const [begin, end] = Array.isArray(offsets) && offsets.length === 2 ? (offsets as unknown[]) : [];
  if (!isPosition(begin) || !isPosition(end) || end < begin) throw complain('without a possible range of bytes');
  if (count * ITEM_SIZE[dtype] !== end - begin) {
    throw complain(`of ${count} ${dtype} elements in ${end - begin} bytes, which do not match`);
  }
  return { dtype, shape: shape as number[], begin, end };
}

/** A tensor to be written. */
export type TensorToWrite = {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Row-major little-endian elements, or a function that is called for them when it is their turn to be written. */
  readonly data: ArrayBufferView | (() => ArrayBufferView);
};

/**
 * Writes a safetensors file, whole or not at all: into `<file>.part` (of long names the beginning) first, which replaces `file` once it is on the disk.
 * Tensors are sorted by element size and name, so each one is aligned, and written one by one.
 * @param file where to; an existing file is replaced
 * @param tensors what to write, under distinct names
 * @param metadata texts for `__metadata__`
 * @throws CheckpointError if a tensor's data does not fit its shape or the disk fails; what `data` functions throw is
 *   passed on. In each case `file` is as it was.
 */
export function writeSafetensors(
  file: string,
  tensors: Iterable<TensorToWrite>,
  metadata: Readonly<Record<string, string>> = {},
): void {
  const sorted = [...tensors].sort(
    (a, b) => ITEM_SIZE[b.dtype] - ITEM_SIZE[a.dtype] || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
  const header = encodeHeader(file, sorted, metadata);
  const part = partOf(file);
  let started = false;
  try {
    const descriptor = fs.openSync(part, 'w');
    started = true;
    try {
      writeFully(descriptor, header);
      for (const tensor of sorted) writeFully(descriptor, bytesOf(file, tensor));
      fs.fsyncSync(descriptor);
    } finally {
      fs.closeSync(descriptor);
    }
    fs.renameSync(part, file);
    syncFolder(path.dirname(file));
  } catch (cause) {
    if (started) fs.rmSync(part, { force: true });
    if (!isSystemError(cause)) throw cause;
    throw new CheckpointError(file, `cannot be written (${cause.message}); check the folder and the free space`, {
      cause,
    });
  }
}

/** The unfinished file, whose name must not be longer than the 255 bytes that the final one may have. */
function partOf(file: string): string {
  let name = path.basename(file);
  while (Buffer.byteLength(name) > 250) name = name.slice(0, -1);
  return path.join(path.dirname(file), `${name}.part`);
}

function encodeHeader(
  file: string,
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  // A Map keeps names such as "__proto__" and the order of names such as "1", which a plain object would not.
  const entries = new Map<string, unknown>();
  if (Object.keys(metadata).length > 0) entries.set(METADATA, metadata);
  let end = 0;
  for (const { name, dtype, shape } of tensors) {
    if (name === METADATA || entries.has(name)) {
      throw new CheckpointError(
        file,
        `cannot hold two tensors named "${name}", nor one named "${METADATA}"; rename one`,
      );
    }
    const count = elementCount(shape);
    if (count === undefined) {
      throw new CheckpointError(file, `cannot hold tensor "${name}" of the impossible shape [${shape.join(', ')}]`);
    }
    const begin = end;
    end += count * ITEM_SIZE[dtype];
    entries.set(name, { dtype: SAFETENSORS_NAME[dtype], shape, data_offsets: [begin, end] });
  }
  const items = [...entries].map(([name, entry]) => `${JSON.stringify(name)}:${JSON.stringify(entry)}`);
  const json = Buffer.from(`{${items.join(',')}}`);
  // Padded with spaces, so that the elements behind it begin at a multiple of eight.
  const length = Math.ceil(json.length / 8) * 8;
  if (length > MAX_HEADER)
    throw new CheckpointError(file, `would need a header of ${length} bytes; ${MAX_HEADER} are the most`);
  const header = Buffer.alloc(8 + length, ' ');
  header.writeBigUInt64LE(BigInt(length), 0);
  json.copy(header, 8);
  return header;
}

function bytesOf(file: string, { name, dtype, shape, data }: TensorToWrite): Uint8Array {
  const view = typeof data === 'function' ? data() : data;
  const expected = elementCount(shape)! * ITEM_SIZE[dtype];
  if (view.byteLength !== expected) {
    throw new CheckpointError(
      file,
      `cannot hold tensor "${name}": ${dtype} of shape [${shape.join(', ')}] takes ${expected} bytes, given are ${view.byteLength}`,
    );
  }
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function writeFully(descriptor: number, bytes: Uint8Array): void {
  // One call of the operating system moves at most 2 GiB.
  for (let at = 0; at < bytes.length; ) at += fs.writeSync(descriptor, bytes, at, Math.min(bytes.length - at, 2 ** 30));
}

/** Puts the renaming itself on the disk, where the system lets folders be synchronised. */
function syncFolder(folder: string): void {
  if (process.platform === 'win32') return;
  const descriptor = fs.openSync(folder, 'r');
  try {
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}

function isSystemError(value: unknown): value is NodeJS.ErrnoException {
  return value instanceof Error && 'syscall' in value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isPosition(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function shorten(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}...` : text;
}
