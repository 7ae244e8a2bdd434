// Reads a network's file of the user's.
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';

/** The bytes of a file, and its name without folders. Throws an error that names it if it cannot be read. */
export async function readModelFile(path: string): Promise<{ name: string; bytes: Uint8Array }> {
  try {
    return { name: basename(path), bytes: await readFile(path) };
  } catch (error) {
    throw new Error(`${path}: cannot be read (${error instanceof Error ? error.message : error})`, { cause: error });
  }
}
