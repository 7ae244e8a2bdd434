// The names that PyTorch's and NumPy's pickles may use, and what each builds: tensors, numbers and containers.
import { type DType, elementCount, ITEM_SIZE, TORCH_STORAGE_DTYPE } from './dtype.js';
import { PickleError, PyGlobal, PyObject, type PyValue } from './unpickle.js';

/** The buffer of one or several tensors, kept outside the pickle. */
export type Storage = {
  /** Names the content within its file. */
  readonly key: string;
  readonly dtype: DType;
  /** Elements, not bytes. */
  readonly length: number;
};

/** A storage, or a range of one that old versions of PyTorch counted as a storage of its own. */
export class StorageView extends PyObject {
  constructor(
    readonly storage: Storage,
    /** First element of the range. */
    readonly start: number,
    /** Elements of the range. */
    readonly length: number,
  ) {
    super();
  }
}

/** A tensor's place in its storage. Sizes, strides and offset count elements. */
export class TensorView extends PyObject {
  constructor(
    readonly storage: Storage,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly stride: readonly number[],
  ) {
    super();
  }
}

/** A NumPy element type; its byte order arrives as its state. */
class NumpyType extends PyObject {
  littleEndian = true;

  constructor(readonly code: string) {
    super();
  }

  override setState(state: PyValue): void {
    const order = Array.isArray(state) ? state[1] : undefined;
    if (order !== '<' && order !== '>' && order !== '|' && order !== '=')
      throw new PickleError('describes no NumPy type');
    this.littleEndian = order !== '>';
  }
}

/** The whitelisted global, or undefined where a pickle names anything else. */
export function torchGlobal(module: string, name: string): PyGlobal | undefined {
  if (module === 'torch' && name.endsWith('Storage') && !TORCH_STORAGE_DTYPE.has(name)) {
    throw new PickleError(`holds tensors of "torch.${name}", an element type that is not supported`);
  }
  return GLOBALS.get(`${module === '__builtin__' ? 'builtins' : module}.${name}`);
}

/**
 * Resolves a persistent id, `('storage', type, key, location, length[, (view key, start, length)])`.
 * @param storages the storages met so far, to which a new one is added
 */
export function torchStorage(id: PyValue, storages: Map<string, Storage>): StorageView {
  const [tag, type, rawKey, , length, range] = Array.isArray(id) ? id : [];
  if (tag === 'module') throw new PickleError('holds a whole module with its code; save its state_dict() instead');
  const dtype = type instanceof PyGlobal ? TORCH_STORAGE_DTYPE.get(type.name.replace(/^torch\./, '')) : undefined;
  const isKey = typeof rawKey === 'string' || typeof rawKey === 'number' || typeof rawKey === 'bigint';
  if (tag !== 'storage' || !dtype || !isKey || elementCount([length]) === undefined) {
    throw new PickleError('refers to something that is no tensor storage');
  }
  const key = String(rawKey);
  const storage = storages.get(key) ?? { key, dtype, length: length as number };
  if (storage.dtype !== dtype || storage.length !== length) {
    throw new PickleError(`describes storage "${key}" in two different ways`);
  }
  storages.set(key, storage);
  if (range === undefined || range === null) return new StorageView(storage, 0, storage.length);

  const [, start, rangeLength] = Array.isArray(range) ? range : [];
  if (!isNatural(start) || !isNatural(rangeLength) || start + rangeLength > storage.length) {
    throw new PickleError(`uses a range outside of storage "${key}"`);
  }
  return new StorageView(storage, start, rangeLength);
}

/** `_rebuild_tensor(storage, offset, shape, stride, ...)`; what follows concerns autograd. */
function rebuildTensor([view, offset, shape, stride]: readonly PyValue[]): TensorView {
  if (!(view instanceof StorageView) || !isNatural(offset) || !Array.isArray(shape) || !Array.isArray(stride)) {
    throw new PickleError('builds a tensor from something else than a storage, an offset, a shape and strides');
  }
  const count = elementCount(shape);
  if (count === undefined || shape.length !== stride.length || !stride.every(isNatural)) {
    throw new PickleError('builds a tensor of an impossible shape');
  }
  const sizes = shape as number[];
  const last = sizes.reduce((sum, size, d) => sum + (size - 1) * (stride[d] as number), offset);
  if (count > 0 && last >= view.length) {
    throw new PickleError(
      `builds a tensor of shape [${sizes.join(', ')}] that reaches outside of its storage "${view.storage.key}"`,
    );
  }
  return new TensorView(view.storage, view.start + offset, [...sizes], [...(stride as number[])]);
}

function tensorArgument([tensor]: readonly PyValue[]): TensorView {
  if (!(tensor instanceof TensorView)) throw new PickleError('makes a parameter of something that is no tensor');
  return tensor;
}

/** `numpy.core.multiarray.scalar(type, bytes)` as a number. */
function numpyScalar([type, bytes]: readonly PyValue[]): number | bigint | boolean {
  if (!(type instanceof NumpyType) || !(bytes instanceof Uint8Array))
    throw new PickleError('holds a malformed NumPy number');
  const read = NUMPY_READERS[type.code];
  if (!read) throw new PickleError(`holds a NumPy value of type "${type.code}", which is not supported`);
  if (bytes.length !== Number(type.code.slice(1))) throw new PickleError('holds a malformed NumPy number');
  const value = read(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), type.littleEndian);
  return typeof value === 'bigint' && Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

const NUMPY_READERS: Readonly<Record<string, (data: DataView, little: boolean) => number | bigint | boolean>> = {
  f4: (data, little) => data.getFloat32(0, little),
  f8: (data, little) => data.getFloat64(0, little),
  i1: (data) => data.getInt8(0),
  i2: (data, little) => data.getInt16(0, little),
  i4: (data, little) => data.getInt32(0, little),
  i8: (data, little) => data.getBigInt64(0, little),
  u1: (data) => data.getUint8(0),
  u2: (data, little) => data.getUint16(0, little),
  u4: (data, little) => data.getUint32(0, little),
  u8: (data, little) => data.getBigUint64(0, little),
  b1: (data) => data.getUint8(0) !== 0,
};

/** Text whose characters stand for bytes, as protocol 2 writes byte strings: `_codecs.encode(text, 'latin1')`. */
function latin1Bytes(text: PyValue | undefined, encoding: PyValue | undefined): Uint8Array {
  if (typeof text !== 'string' || (encoding !== 'latin1' && encoding !== 'latin-1')) {
    throw new PickleError('encodes text in another way than byte strings are');
  }
  return Buffer.from(text, 'latin1');
}

const GLOBALS: ReadonlyMap<string, PyGlobal> = new Map(
  [
    new PyGlobal('collections.OrderedDict', ([items], copies) => {
      const map = new Map<PyValue, PyValue>();
      if (items === undefined) return map;
      if (!Array.isArray(items)) throw new PickleError('makes an ordered dictionary of something that is no list');
      copies.take(items.length);
      for (const item of items) {
        if (!Array.isArray(item) || item.length !== 2) throw new PickleError('has a dictionary item that is no pair');
        map.set(item[0]!, item[1]!);
      }
      return map;
    }),
    // Its argument is the function that makes missing values, of which a file has none.
    new PyGlobal('collections.defaultdict', () => new Map()),
    new PyGlobal('collections.Counter', ([counts], copies) => {
      if (counts === undefined) return new Map();
      if (!(counts instanceof Map)) throw new PickleError('makes a counter of something that is no dictionary');
      copies.take(counts.size);
      return new Map(counts);
    }),

    new PyGlobal('torch._utils._rebuild_tensor', rebuildTensor),
    new PyGlobal('torch._utils._rebuild_tensor_v2', rebuildTensor),
    new PyGlobal('torch._utils._rebuild_parameter', tensorArgument),
    new PyGlobal('torch._utils._rebuild_parameter_with_state', tensorArgument),
    new PyGlobal('torch.Size', ([sizes]) => {
      if (!Array.isArray(sizes)) throw new PickleError('makes a size of something that is no tuple');
      return sizes;
    }),
    new PyGlobal('torch.device', ([type, index]) => {
      if (typeof type !== 'string') throw new PickleError('names a device by something that is no string');
      return typeof index === 'number' ? `${type}:${index}` : type;
    }),
    ...Object.keys(ITEM_SIZE).map((dtype) => new PyGlobal(`torch.${dtype}`)),
    ...[...TORCH_STORAGE_DTYPE.keys()].map((storage) => new PyGlobal(`torch.${storage}`)),

    ...['numpy.core', 'numpy._core'].map((core) => new PyGlobal(`${core}.multiarray.scalar`, numpyScalar)),
    new PyGlobal('numpy.dtype', ([code]) => {
      if (typeof code !== 'string') throw new PickleError('names a NumPy type by something that is no string');
      return new NumpyType(code);
    }),

    new PyGlobal('_codecs.encode', ([text, encoding], copies) => {
      if (typeof text === 'string') copies.take(text.length);
      return latin1Bytes(text, encoding);
    }),
    new PyGlobal('builtins.bytes', () => new Uint8Array()),
    new PyGlobal('builtins.bytearray', ([content, encoding], copies) => {
      if (content === undefined) return new Uint8Array();
      if (content instanceof Uint8Array) return content;
      if (typeof content === 'string') copies.take(content.length);
      return latin1Bytes(content, encoding);
    }),
    ...['set', 'frozenset'].map(
      (name) =>
        new PyGlobal(`builtins.${name}`, ([items], copies) => {
          if (items === undefined) return new Set();
          if (!Array.isArray(items)) throw new PickleError('makes a set of something that is no list');
          copies.take(items.length);
          return new Set(items);
        }),
    ),
    // Named as the makers of a defaultdict's missing values; never called.
    ...['list', 'dict', 'tuple', 'int', 'float', 'bool', 'str'].map((name) => new PyGlobal(`builtins.${name}`)),
  ].map((global) => [global.name, global]),
);

function isNatural(value: PyValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
