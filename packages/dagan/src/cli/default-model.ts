// The model that runs where the command line names none. Loads no native code, so that `dagan doctor` can ask too.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MANIFEST_NAME } from '../export/manifest.js';
import { UserError } from './errors.js';

/** Folders that may hold the default model: the repository's and the package's. */
export const WEIGHT_FOLDERS = ['../../../../../weights/', '../../../weights/'].map((path) =>
  fileURLToPath(new URL(path, import.meta.url)),
);

/**
 * The default model's file: the only one in a folder of weights, or the one called `default.safetensors`.
 *
 * @throws UserError if there are several
 */
export function defaultCheckpoint(folders: readonly string[] = WEIGHT_FOLDERS): string | undefined {
  for (const folder of folders) {
    if (!existsSync(folder)) continue;
    const names = readdirSync(folder).filter((name) => name.endsWith('.safetensors'));
    const name = names.length === 1 ? names[0] : names.find((each) => each === 'default.safetensors');
    if (name !== undefined) return `${folder}${name}`;
    if (names.length > 1) {
      throw new UserError(`${folder} holds several models (${names.sort().join(', ')}): choose one with --checkpoint`);
    }
  }
  return undefined;
}

/** The default model where there is no LibTorch: the exported one in a folder of weights, by name if there are several. */
export function defaultExport(folders: readonly string[] = WEIGHT_FOLDERS): string | undefined {
  for (const folder of folders) {
    if (!existsSync(folder)) continue;
    const name = readdirSync(folder)
      .sort()
      .find((each) => existsSync(join(folder, each, MANIFEST_NAME)));
    if (name !== undefined) return join(folder, name);
  }
  return undefined;
}
