// Reads what `torch.save` writes: zip archives (PyTorch 1.6 and later) and the older stream of pickles and storages.
//
// Zip: `<root>/data.pkl` describes the tensors, `<root>/data/<key>` holds each storage, `<root>/byteorder` their byte order.
// Legacy: pickles of a magic number, a protocol version, notes on the system, the object, and the list of storage keys;
// then, in that order, each storage as a 64-bit element count and its little-endian elements.
import type { CheckpointFile, TensorRecord } from './checkpoint.js';
import { ITEM_SIZE } from './dtype.js';
import { flatten } from './flatten.js';
import type { FileSource } from './source.js';
import { type Storage, TensorView, torchGlobal, torchStorage } from './torch-objects.js';
import { CopyBudget, ForbiddenGlobal, PickleEnd, PickleError, type PyValue, unpickle } from './unpickle.js';
import { readZipDirectory } from './zip.js';

const MAGIC_NUMBER = 0x1950a86a20f9469cfc6cn;
const LEGACY_PROTOCOL = 1001;
/** Bytes of pickle that are accepted; PyTorch writes about 150 a tensor. */
const MAX_PICKLE = 16 * 2 ** 20;
const FIRST_READ = 2 ** 20;
/** Tensors may share storages, so together they can be larger than their file; this times and this much more is accepted. */
const SHARED = { times: 4, plus: 64 * 2 ** 20 };

/** Reads bytes of a storage. */
type ReadStorage = (storage: Storage, start: number, length: number) => Uint8Array<ArrayBuffer>;

/** Opens a zip archive as `torch.save` has written since PyTorch 1.6. */
export function openPytorchZip(source: FileSource): CheckpointFile {
  const entries = readZipDirectory(source);
  const names = [...entries.keys()];
  const pickleName = names.find((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (!pickleName) {
    const some = names.slice(0, 3).map((name) => `"${name.slice(0, 60)}"`);
    const remedy = names.some((name) => name.endsWith('.npy'))
      ? 'It is a NumPy archive; convert it to safetensors'
      : 'If one of its files is the checkpoint, unpack it and name that file';
    throw source.error(`is a zip archive but no PyTorch checkpoint: it holds ${some.join(', ') || 'nothing'}. ${remedy}`);
  }
  const root = pickleName.slice(0, -'data.pkl'.length);
  if (entries.has(`${root}constants.pkl`)) {
    throw source.error('is a TorchScript program, not a file of weights; save its state_dict() with torch.save instead');
  }
  const pickle = entries.get(pickleName)!;
  if (pickle.size > MAX_PICKLE) throw source.error(`has a pickle of ${pickle.size} bytes; at most ${MAX_PICKLE} are read`);
  const order = entries.get(`${root}byteorder`)?.read(0).toString();
  const bigEndian = order === Buffer.from('big').join();

  const storages = new Map<string, Storage>();
  const root = explain(source, () => unpickle(pickle.read(), 0, rules(storages)).value);
  throw new Error('unreachable');
}
