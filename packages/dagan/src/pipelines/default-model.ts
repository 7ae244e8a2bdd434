// The model that runs where none is named. Loads no native code, so that whoever examines the machine can ask too.
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DaganError } from '../errors.js';
import { MANIFEST_NAME, WEIGHTS_NAME } from '../export/manifest.js';
import { packageFolder } from '../package-folder.js';

/** The package that the default model comes in. */
const PACKAGE = '@dagan/starter';

/** Folders that may hold the default model: the one that DAGAN_WEIGHTS names, else the repository's and the package's. */
export const WEIGHT_FOLDERS: readonly string[] = process.env.DAGAN_WEIGHTS
  ? [process.env.DAGAN_WEIGHTS]
  : [fileURLToPath(new URL('../../../../../weights/', import.meta.url)), ...installedWeights()];

/** The folder that the package of the default model lies in; none if it is not installed. */
function installedWeights(): string[] {
  const folder = packageFolder(PACKAGE, import.meta.url);
  return folder === undefined ? [] : [dirname(folder)];
}

export type DefaultModel = {
  /** Name of its file or folder. */
  name: string;
  /** Its model file. */
  checkpoint: string;
  /** The exported model's folder that this file belongs to. */
  folder?: string;
};

/**
 * The default model: a model file (.safetensors) in a folder of weights, or if there is none an exported model. If there
 * are several, it is the one called `default`.
 *
 * @throws DaganError if there are several and none is called so
 */
export function defaultModel(folders: readonly string[] = WEIGHT_FOLDERS): DefaultModel | undefined {
  for (const folder of folders) {
    if (!existsSync(folder)) continue;
    const names = readdirSync(folder).sort();
    const files = names.filter((name) => name.endsWith('.safetensors'));
    const file = theOne(files, 'default.safetensors', folder);
    if (file !== undefined) return { name: file, checkpoint: join(folder, file) };
    const exported = names.filter((name) => existsSync(join(folder, name, MANIFEST_NAME)));
    const name = theOne(exported, 'default', folder);
    if (name !== undefined) {
      return { name, checkpoint: join(folder, name, WEIGHTS_NAME), folder: join(folder, name) };
    }
  }
  return undefined;
}

function theOne(names: readonly string[], usual: string, folder: string): string | undefined {
  if (names.length <= 1) return names[0];
  if (names.includes(usual)) return usual;
  throw new DaganError('several-models', `${folder} holds several models (${names.join(', ')}): choose one`, {
    path: folder,
    names,
  });
}

/** The default model's file. @throws DaganError as `defaultModel` does */
export const defaultCheckpoint = (folders?: readonly string[]): string | undefined => defaultModel(folders)?.checkpoint;

/** The default model's folder, if it is an exported one. @throws DaganError as `defaultModel` does */
export const defaultExport = (folders?: readonly string[]): string | undefined => defaultModel(folders)?.folder;
