// Reads face models from files: those of the installed npm packages, and the user's.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { FACE_ASSETS } from './assets.js';

/** Where the file that `FACE_ASSETS` names is installed. @throws Error that names it if it is not there */
export function installedFaceAssets(): string {
  const { package: name, file } = FACE_ASSETS;
  const folders = createRequire(import.meta.url).resolve.paths(name) ?? [];
  const path = folders.map((folder) => join(folder, name, file)).find((each) => existsSync(each));
  if (path !== undefined) return path;
  throw new Error(`${file} of the npm package ${name} is not there; install the packages anew (npm ci)`);
}

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
