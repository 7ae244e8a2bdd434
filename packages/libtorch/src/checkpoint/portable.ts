// The part of reading checkpoints that runs in browsers: safetensors files in memory.
import { MemorySource } from './byte-source.js';
import type { CheckpointFile } from './checkpoint.js';
import { openSafetensors } from './safetensors.js';

export type { CheckpointFile, TensorRecord } from './checkpoint.js';
export { toFloat32Array, toNumberArray } from './convert.js';
export { CheckpointError } from './errors.js';

/**
 * Opens a safetensors file that is in memory; its header is checked whole.
 *
 * @param name of the file, for errors
 * @throws CheckpointError if it is another kind of file, incomplete or damaged
 */
export const openSafetensorsBytes = (name: string, bytes: Uint8Array): CheckpointFile =>
  openSafetensors(new MemorySource(name, bytes));
