// Files of the cache that hold tensors. Every process of a training makes ready by itself, so that several may write the same one.
import { randomBytes } from 'node:crypto';
import { rename, rm } from 'node:fs/promises';
import { type TensorToWrite, writeSafetensors } from '@dagan/libtorch/checkpoint';
import { UNFINISHED } from './frame-pack.js';

/**
 * Writes a safetensors file, whole or not at all, also if other processes write the same one: the last one stays.
 *
 * @throws CheckpointError or a system's error if the disk fails
 */
export async function writeCached(
  file: string,
  tensors: Iterable<TensorToWrite>,
  metadata: Readonly<Record<string, string>>,
): Promise<void> {
  const own = `${file}.${randomBytes(6).toString('hex')}${UNFINISHED}`;
  try {
    writeSafetensors(own, tensors, metadata);
    await rename(own, file);
  } catch (error) {
    await rm(own, { force: true });
    throw error;
  }
}
