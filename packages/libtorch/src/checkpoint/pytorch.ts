// Reads what `torch.save` writes: zip archives (PyTorch 1.6 and later) and the older stream of pickles and storages.
//
// Zip: `<root>/data.pkl` describes the tensors, `<root>/data/<key>` holds each storage, `<root>/byteorder` their byte order.
// Legacy: pickles of a magic number, a protocol version, notes on the system, the object, and the list of storage keys;
// then, in that order, each storage as a 64-bit element count and its little-endian elements.
import type { CheckpointFile, TensorRecord } from './checkpoint.js';
import { elementCount, ITEM_SIZE } from './dtype.js';
import { flatten, type Leaves } from './flatten.js';
import type { FileSource } from './source.js';
import { type Storage, type TensorView, torchGlobal, torchStorage } from './torch-objects.js';
import { ForbiddenGlobal, PickleEnd, PickleError, type PickleRules, type PyValue, unpickle } from './unpickle.js';
import { readZipDirectory, type ZipEntry } from './zip.js';

const MAGIC_NUMBER = 0x1950a86a20f9469cfc6cn;
const LEGACY_PROTOCOL = 1001;
/** Bytes of pickle that are accepted; PyTorch writes about 150 a tensor. */
const MAX_PICKLE = 16 * 2 ** 20;
/** Bytes in which a legacy file's pickles are looked for at first; four times more until they fit. */
const FIRST_READ = 2 ** 18;
/** Tensors may share storages, so together they can exceed their file; to this times its size, and this much more. */
const SHARING = { times: 4, plus: 64 * 2 ** 20 };

/** Reads bytes of a storage. */
type ReadStorage = (storage: Storage, start: number, length: number) => Uint8Array<ArrayBuffer>;

/** Opens a zip archive as `torch.save` has written since PyTorch 1.6. */
export function openPytorchZip(source: FileSource): CheckpointFile {
  const entries = readZipDirectory(source);
  const pickleName = [...entries.keys()].find((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (!pickleName) throw source.error(describeForeignZip([...entries.keys()]));
  const root = pickleName.slice(0, -'data.pkl'.length);
  if (entries.has(`${root}constants.pkl`)) {
    throw source.error(
      'is a TorchScript program, not a file of weights; save its state_dict() with torch.save instead',
    );
  }
  const pickle = entries.get(pickleName)!;
  if (pickle.size > MAX_PICKLE)
    throw source.error(`has a pickle of ${pickle.size} bytes; at most ${MAX_PICKLE} are read`);
  const swapped = isBigEndian(entries.get(`${root}byteorder`));

  const storages = new Map<string, Storage>();
  const leaves = explain(source, () => flatten(unpickle(pickle.read(), 0, rules(storages)).value));
  const content = new Map<Storage, ZipEntry>();
  for (const storage of storages.values()) {
    const entry = entries.get(`${root}data/${storage.key}`);
    const size = storage.length * ITEM_SIZE[storage.dtype];
    if (entry?.size !== size) {
      throw source.error(
        `is damaged: storage "${storage.key}" of ${size} bytes is ${entry ? `${entry.size} bytes long` : 'missing'}. Download it again`,
      );
    }
    content.set(storage, entry);
  }
  return open(source, 'pytorch-zip', leaves, (storage, start, length) => {
    const bytes = content.get(storage)!.read(start, length);
    if (swapped) swapBytes(bytes, ITEM_SIZE[storage.dtype]);
    return bytes;
  });
}

/** Opens the format that `torch.save` wrote before PyTorch 1.6, and does with `_use_new_zipfile_serialization=False`. */
export function openPytorchLegacy(source: FileSource): CheckpointFile {
  const { leaves, storages, keys, end } = explain(source, () => readLegacyHead(source));
  const position = new Map<Storage, number>();
  let at = end;
  for (const key of keys) {
    const storage = storages.get(key);
    if (!storage) throw source.error(`is damaged: it lists storage "${key}", which no tensor uses. Download it again`);
    storages.delete(key);
    position.set(storage, at + 8);
    at += 8 + storage.length * ITEM_SIZE[storage.dtype];
  }
  const [missing] = storages.keys();
  if (missing !== undefined) throw source.error(`is damaged: storage "${missing}" is missing. Download it again`);
  if (at > source.size) {
    throw source.error(`ends too early: ${at} bytes expected, it has ${source.size}. Was it downloaded incompletely?`);
  }
  for (const [storage, start] of position) {
    const length = new DataView(source.read(start - 8, 8).buffer).getBigInt64(0, true);
    if (length !== BigInt(storage.length)) {
      throw source.error(`is damaged: storage "${storage.key}" does not start where it should. Download it again`);
    }
  }
  return open(source, 'pytorch-legacy', leaves, (storage, start, length) =>
    source.read(position.get(storage)! + start, length),
  );
}

/** Reads the five pickles at the start of a legacy file. Their length is not recorded, so more is read until they fit. */
function readLegacyHead(source: FileSource): {
  leaves: Leaves;
  storages: Map<string, Storage>;
  keys: Set<string>;
  end: number;
} {
  const limit = Math.min(source.size, MAX_PICKLE);
  for (let size = Math.min(FIRST_READ, limit); ; size = Math.min(4 * size, limit)) {
    const head = source.read(0, size);
    const storages = new Map<string, Storage>();
    try {
      const magic = unpickle(head, 0, NO_RULES);
      if (magic.value !== MAGIC_NUMBER) {
        throw source.error(
          'is a Python pickle, but not one that torch.save wrote; save it with torch.save or as safetensors',
        );
      }
      const protocol = unpickle(head, magic.end, NO_RULES);
      if (protocol.value !== LEGACY_PROTOCOL) {
        const found = typeof protocol.value === 'number' ? ` ${protocol.value}` : '';
        throw source.error(`is of an unknown legacy format${found} of PyTorch's; only ${LEGACY_PROTOCOL} is known`);
      }
      const system = unpickle(head, protocol.end, NO_RULES);
      const object = unpickle(head, system.end, rules(storages));
      const list = unpickle(head, object.end, NO_RULES);
      const keys = new Set(storageKeys(list.value));
      return { leaves: flatten(object.value), storages, keys, end: list.end };
    } catch (error) {
      if (!(error instanceof PickleEnd) || size === limit) throw error;
    }
  }
}

/** The storages' names in the order of their bytes; old files number them. */
function storageKeys(list: PyValue): string[] {
  if (!Array.isArray(list)) return [];
  return list.map((key) => {
    if (typeof key !== 'string' && typeof key !== 'number') throw new PickleError('names a storage by something odd');
    return `${key}`;
  });
}

/** Makes the records of an opened file, whose storages are all there. */
function open(
  source: FileSource,
  format: CheckpointFile['format'],
  { tensors, scalars }: Leaves,
  readStorage: ReadStorage,
): CheckpointFile {
  const records = new Map<string, TensorRecord>();
  let total = 0;
  for (const [name, view] of tensors) {
    const { dtype } = view.storage;
    const byteLength = elementCount(view.shape)! * ITEM_SIZE[dtype];
    total += byteLength;
    if (total > SHARING.times * source.size + SHARING.plus) {
      throw source.error(
        `holds tensors of more than ${total} bytes in ${source.size}, by repeating elements (at "${name.slice(0, 100)}"). Save them with .contiguous()`,
      );
    }
    records.set(name, { name, dtype, shape: view.shape, byteLength, read: () => readView(view, readStorage) });
  }
  const close = () => source.close();
  return { path: source.path, format, metadata: {}, tensors: records, scalars, close, [Symbol.dispose]: close };
}

/** Elements of a view, gathered row-major where they are not so in the storage. */
function readView({ storage, offset, shape, stride }: TensorView, readStorage: ReadStorage): Uint8Array<ArrayBuffer> {
  const item = ITEM_SIZE[storage.dtype];
  const count = elementCount(shape)!;
  if (count === 0) return new Uint8Array(0);
  const span = shape.reduce((sum, size, d) => sum + (size - 1) * stride[d]!, 1);
  const bytes = readStorage(storage, offset * item, span * item);
  if (isContiguous(shape, stride)) return bytes;

  const Elements = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array }[item];
  const from = new Elements(bytes.buffer);
  const to = new Elements(count);
  const index = new Array<number>(shape.length).fill(0);
  let at = 0;
  for (let i = 0; i < count; i++) {
    to[i] = from[at]!;
    for (let d = shape.length - 1; d >= 0; d--) {
      at += stride[d]!;
      if (++index[d]! < shape[d]!) break;
      at -= stride[d]! * shape[d]!;
      index[d] = 0;
    }
  }
  return new Uint8Array(to.buffer);
}

function isContiguous(shape: readonly number[], stride: readonly number[]): boolean {
  let expected = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    if (shape[d] !== 1 && stride[d] !== expected) return false;
    expected *= shape[d]!;
  }
  return true;
}

/** Pickles around the object name nothing and refer to nothing. */
const NO_RULES: PickleRules = {
  global: () => undefined,
  persistent: () => {
    throw new PickleError('refers to a storage where there is none');
  },
};

function rules(storages: Map<string, Storage>): PickleRules {
  return { global: torchGlobal, persistent: (id) => torchStorage(id, storages) };
}

/** Runs `action`, and turns what it says of the pickle into an error about the file. */
function explain<T>(source: FileSource, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof ForbiddenGlobal) {
      throw source.error(
        `is refused: its pickle names "${error.global}", and unpickling that would run code. Nothing was run. Only tensors, numbers, text and containers are read; if you trust the file, save these alone from PyTorch (torch.save(model.state_dict(), ...))`,
        error,
      );
    }
    if (error instanceof PickleEnd) {
      throw source.error(
        source.size > MAX_PICKLE
          ? `has a pickle that does not end within ${MAX_PICKLE} bytes; it is damaged or no checkpoint`
          : `ends too early, after ${source.size} bytes, within its pickle. Was it downloaded incompletely?`,
        error,
      );
    }
    if (error instanceof PickleError) {
      throw source.error(
        `cannot be read: its pickle ${error.message}. It is damaged or no checkpoint of weights`,
        error,
      );
    }
    throw error;
  }
}

function describeForeignZip(names: readonly string[]): string {
  const some = names.slice(0, 3).map((name) => `"${name.slice(0, 60)}"`);
  const remedy = names.some((name) => name.endsWith('.npy'))
    ? 'It is a NumPy archive; convert it to safetensors'
    : 'If the checkpoint is one of its files, unpack it and name that file';
  return `is a zip archive but no PyTorch checkpoint: it holds ${some.join(', ') || 'nothing'}. ${remedy}`;
}

function isBigEndian(byteorder: ZipEntry | undefined): boolean {
  // The content is "little" or "big".
  return byteorder?.size === 3 && Buffer.from(byteorder.read()).toString() === 'big';
}

function swapBytes(bytes: Uint8Array<ArrayBuffer>, item: 1 | 2 | 4 | 8): void {
  const buffer = Buffer.from(bytes.buffer);
  if (item === 2) buffer.swap16();
  else if (item === 4) buffer.swap32();
  else if (item === 8) buffer.swap64();
}
