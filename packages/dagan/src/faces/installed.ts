// Reads face models from files: those of the installed npm packages, and the user's.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';

/**
 * The bytes of a file of an installed package, wherever Node.js would look for it. Packages may keep such files from
 * being imported, so the folders are searched.
 *
 * @param name the package
 * @param file path in the package
 * @throws Error that names both if the file is not there
 */
export async function readInstalled(name: string, file: string): Promise<Uint8Array> {
  for (const folder of createRequire(import.meta.url).resolve.paths(name) ?? []) {
    const found = await readFile(join(folder, name, file)).catch(() => undefined);
    if (found) return found;
  }
  throw new Error(`${file} of the npm package ${name} is not there; install the packages anew (npm install)`);
}

/** The bytes of a file of the user's, and its name without folders. Throws an error that names it if it cannot be read. */
export async function readModelFile(path: string): Promise<{ name: string; bytes: Uint8Array }> {
  try {
    return { name: basename(path), bytes: await readFile(path) };
  } catch (error) {
    throw new Error(`${path}: cannot be read (${error instanceof Error ? error.message : error})`, { cause: error });
  }
}
