// Writes the safetensors format (`safetensors.ts` reads it): whole files, tensor by tensor.
import fs from 'node:fs';
import path from 'node:path';
import { type DType, elementCount, ITEM_SIZE, SAFETENSORS_NAME } from './dtype.js';
import { CheckpointError } from './errors.js';
import { MAX_HEADER, METADATA } from './safetensors.js';

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
