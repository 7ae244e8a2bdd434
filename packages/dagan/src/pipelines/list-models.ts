// The models that are found without being named, and whether their files are as they were written.
import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { CheckpointError, openCheckpoint } from '@dagan/libtorch/checkpoint';
import { checkExportedFile, exportedFiles, readManifest } from '../export/exported-folder.js';
import { MANIFEST_NAME, WEIGHTS_NAME } from '../export/manifest.js';
import { identifyModel } from '../models/files/model-file.js';
import { defaultModel, WEIGHT_FOLDERS } from './default-model.js';

/** A model in a folder of weights. */
export type ListedModel = {
  /** Its file, or the folder of an exported one. */
  path: string;
  /** Whether it runs where none is named. */
  isDefault: boolean;
  /** Of all its files. */
  bytes: number;
  /** What it says of itself. */
  name?: string;
  license?: string;
  sha256?: string;
};

/** The models in folders of weights. What cannot be read is left to `verifyModel`. */
export function listModels(folders: readonly string[] = WEIGHT_FOLDERS): ListedModel[] {
  const chosen = attempt(() => defaultModel(folders));
  const own = new Set(folders.filter(existsSync).map((folder) => realpathSync(folder)));
  const paths = [...own].flatMap((folder) =>
    readdirSync(folder)
      .sort()
      .map((name) => join(folder, name))
      .filter((path) => path.endsWith('.safetensors') || existsSync(join(path, MANIFEST_NAME))),
  );
  return paths.map((path) => {
    const exported = statSync(path).isDirectory();
    const weights = exported ? join(path, WEIGHTS_NAME) : path;
    const about = attempt(() => metadataOf(weights)) ?? {};
    const files = exported ? readdirSync(path).map((name) => join(path, name)) : [path];
    const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0);
    const { name, license, sha256 } = about;
    const isDefault = chosen !== undefined && realpathSync(chosen.checkpoint) === realpathSync(weights);
    return { path, isDefault, bytes, name, license, sha256 };
  });
}

/**
 * Checks that a model's files are as they were written: the hash of its weights, and of an exported one all files.
 *
 * @returns the hash of the weights
 * @throws CheckpointError or ExportedModelError that names what is damaged or missing
 */
export async function verifyModel(path: string): Promise<string> {
  const exported = existsSync(join(path, MANIFEST_NAME));
  if (exported) for (const file of exportedFiles(readManifest(path))) checkExportedFile(path, file);
  const weights = exported ? join(path, WEIGHTS_NAME) : path;
  const identity = identifyModel(weights);
  if (identity) return identity.sha256;
  throw new CheckpointError(weights, `states no hash to check, as ${basename(weights)} is no model file of dagan`);
}

const metadataOf = (path: string): Readonly<Record<string, string>> => {
  using file = openCheckpoint(path);
  return file.metadata;
};

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
