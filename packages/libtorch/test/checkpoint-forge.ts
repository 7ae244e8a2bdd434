// Makes checkpoint files byte by byte, so that tests can make broken and hostile ones too.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { crc32 } from 'node:zlib';

/** A folder that is removed with everything in it when the scope that holds it ends. */
export class TemporaryFolder {
  readonly path = fs.mkdtempSync(path.join(os.tmpdir(), 'checkpoint-test-'));

  /** Writes a file and returns its path. */
  file(name: string, content: Uint8Array | string): string {
    const file = path.join(this.path, name);
    fs.writeFileSync(file, content);
    return file;
  }

  [Symbol.dispose](): void {
    fs.rmSync(this.path, { recursive: true, force: true });
  }
}

/** Random numbers in [0, 1) that are the same in every run. */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One file of an archive; the options lie about it. */
export type ZipItem = {
  readonly name: string;
  readonly data: Uint8Array;
  readonly crc?: number;
  readonly method?: number;
  readonly flags?: number;
  /** Size before compression. */
  readonly size?: number;
};

/** A zip archive; with `wide`, sizes and positions are in 64-bit fields as PyTorch writes for large files. */
export function zip(items: readonly ZipItem[], wide = false): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const { name, data, crc = crc32(data), method = 0, flags = 0, size = data.length } of items) {
    const encoded = Buffer.from(name);
    const header = Buffer.alloc(30);
    header.writeUInt32LE(0x04034b50, 0);
    header.writeUInt16LE(encoded.length, 26);
    parts.push(header, encoded, Buffer.from(data));

    const extra = wide ? Buffer.concat([u16(1), u16(24), u64(size), u64(data.length), u64(at)]) : Buffer.alloc(0);
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(flags, 8);
    entry.writeUInt16LE(method, 10);
    entry.writeUInt32LE(crc, 16);
    entry.writeUInt32LE(wide ? 0xffffffff : data.length, 20);
    entry.writeUInt32LE(wide ? 0xffffffff : size, 24);
    entry.writeUInt16LE(encoded.length, 28);
    entry.writeUInt16LE(extra.length, 30);
    entry.writeUInt32LE(wide ? 0xffffffff : at, 42);
    directory.push(entry, encoded, extra);
    at += 30 + encoded.length + data.length;
  }
  const listing = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(items.length, 10);
  end.writeUInt32LE(listing.length, 12);
  end.writeUInt32LE(at, 16);
  if (!wide) return Buffer.concat([...parts, listing, end]);

  end.fill(0xff, 8, 20);
  const end64 = Buffer.alloc(56);
  end64.writeUInt32LE(0x06064b50, 0);
  end64.writeBigUInt64LE(BigInt(items.length), 32);
  end64.writeBigUInt64LE(BigInt(listing.length), 40);
  end64.writeBigUInt64LE(BigInt(at), 48);
  const locator = Buffer.concat([u32(0x07064b50), u32(0), u64(at + listing.length), u32(1)]);
  return Buffer.concat([...parts, listing, end64, locator, end]);
}

/** A file as `torch.save` writes it, around a pickle. */
export function torchZip(pickle: Uint8Array, storages: Record<string, Uint8Array> = {}, more: ZipItem[] = []): Buffer {
  const data = Object.entries(storages).map(([key, content]) => ({ name: `archive/data/${key}`, data: content }));
  return zip([{ name: 'archive/data.pkl', data: pickle }, ...data, ...more]);
}

/** Opcodes of pickle. Each value is bytes that can be joined with others. */
export const P = {
  start: Buffer.from([0x80, 2]),
  stop: Buffer.from('.'),
  mark: Buffer.from('('),
  list: Buffer.from(']'),
  dict: Buffer.from('}'),
  none: Buffer.from('N'),
  append: Buffer.from('a'),
  appends: Buffer.from('e'),
  setItem: Buffer.from('s'),
  setItems: Buffer.from('u'),
  pop: Buffer.from('0'),
  tuple: Buffer.from('t'),
  call: Buffer.from('R'),
  build: Buffer.from('b'),
  persistent: Buffer.from('Q'),
  stackGlobal: Buffer.from([0x93]),
  text: (value: string) => Buffer.concat([Buffer.from('X'), u32(Buffer.byteLength(value)), Buffer.from(value)]),
  int: (value: number) => {
    const bytes = Buffer.from('J0000');
    bytes.writeInt32LE(value, 1);
    return bytes;
  },
  global: (module: string, name: string) => Buffer.from(`c${module}\n${name}\n`),
  put: (index: number) => Buffer.concat([Buffer.from('r'), u32(index)]),
  get: (index: number) => Buffer.concat([Buffer.from('j'), u32(index)]),
  ints: (values: readonly number[]) => Buffer.concat([P.mark, ...values.map(P.int), P.tuple]),
  storage: (type: string, key: string, length: number) =>
    Buffer.concat([
      ...[P.mark, P.text('storage'), P.global('torch', type), P.text(key), P.text('cpu'), P.int(length), P.tuple],
      P.persistent,
    ]),
  tensor: (storage: Buffer, offset: number, shape: readonly number[], stride: readonly number[]) =>
    Buffer.concat([
      ...[
        P.global('torch._utils', '_rebuild_tensor_v2'),
        P.mark,
        storage,
        P.int(offset),
        P.ints(shape),
        P.ints(stride),
      ],
      ...[Buffer.from([0x89]), P.none, P.tuple, P.call],
    ]),
  /** A whole pickle. */
  whole: (...parts: readonly Uint8Array[]) => Buffer.concat([P.start, ...parts, P.stop]),
};

export function u64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}
