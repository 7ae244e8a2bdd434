// The safetensors format: a 64-bit header length, a JSON header, then the tensors' bytes without gaps. Read here, from files and
// from memory; nothing of Node is needed.
// Format: https://huggingface.co/docs/safetensors
import type { ByteSource } from './byte-source.js';
import type { CheckpointFile, TensorRecord } from './checkpoint.js';
import { elementCount, ITEM_SIZE, SAFETENSORS_DTYPE } from './dtype.js';

/** Bytes of header that are read and written, which suffices for some 80,000 tensors. */
export const MAX_HEADER = 8 * 2 ** 20;
/** The header's entry that is no tensor. */
export const METADATA = '__metadata__';
const DAMAGED = 'Its header is damaged; download or write it again';

/** Whether a file begins like safetensors, even if its header length is out of range. */
export function looksLikeSafetensors(head: Uint8Array): boolean {
  // After a length below 2^56, so one with a zero byte, comes an opening brace.
  return head[8] === 0x7b && head.subarray(0, 8).includes(0);
}

/** Opens a safetensors file and checks its whole header. */
export function openSafetensors(source: ByteSource): CheckpointFile {
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

function parseHeader(source: ByteSource, bytes: Uint8Array): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    throw source.error(`has a header that is no JSON text. ${DAMAGED}`, cause);
  }
  if (!isObject(header)) throw source.error(`has a header that is no JSON object. ${DAMAGED}`);
  return header;
}

function stringsOnly(source: ByteSource, value: unknown): Record<string, string> {
  if (!isObject(value) || !Object.values(value).every((text) => typeof text === 'string')) {
    throw source.error(`has metadata that are not all text. ${DAMAGED}`);
  }
  return value as Record<string, string>;
}

function parseEntry(source: ByteSource, name: string, entry: unknown) {
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

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isPosition(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function shorten(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}...` : text;
}
