// Reads the face models of the installed npm package.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { FACE_ASSETS } from './assets.js';

/** The bytes of the models' file. Throws an error that names the package if it is not installed. */
export async function readInstalledAssets(): Promise<Uint8Array> {
  let path: string;
  try {
    path = createRequire(import.meta.url).resolve(FACE_ASSETS);
  } catch (error) {
    throw new Error(`${FACE_ASSETS} is not there; install the packages anew (npm ci)`, { cause: error });
  }
  return readFile(path);
}
