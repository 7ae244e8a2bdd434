// Opens a checkpoint by what it contains, whatever its name ends in.
import type { CheckpointFile } from './checkpoint.js';
import { describeContent } from './identify.js';
import { openPytorchLegacy, openPytorchZip } from './pytorch.js';
import { looksLikeSafetensors, openSafetensors } from './safetensors.js';
import { FileSource } from './source.js';

/** Bytes looked at to tell one kind of file from another. */
const HEAD = 1024;

/**
 * Opens a safetensors file or a file of PyTorch's `torch.save` (zip or legacy). Names, types, shapes and positions of all
 * tensors are checked now; elements are read when asked for. No code from the file is ever run.
 * @param path a regular file; it stays open until the result is closed (`using` does so)
 * @throws CheckpointError if the file is missing, of another kind, incomplete, damaged, or would need code to be run
 */
export function openCheckpoint(path: string): CheckpointFile {
  const source = new FileSource(path);
  try {
    const head = source.read(0, Math.min(HEAD, source.size));
    if (looksLikeSafetensors(head)) return openSafetensors(source);
    if (head[0] === 0x50 && head[1] === 0x4b) return openPytorchZip(source);
    if (head[0] === 0x80 && head[1]! >= 2 && head[1]! <= 5) return openPytorchLegacy(source);
    throw source.error(`is no checkpoint: it is ${describeContent(head)}. A safetensors or PyTorch file is expected`);
  } catch (error) {
    source.close();
    throw error;
  }
}
