// An exported model's folder on disk: its manifest, and files that are the ones the manifest was written for.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { oneLine } from '../media/errors.js';
import { checkManifest, type ExportedFile, MANIFEST_NAME, type Manifest } from './manifest.js';

/** A folder does not hold a usable exported model. The message names the file and the remedy. */
export class ExportedModelError extends Error {
  override readonly name = 'ExportedModelError';
}

/** Reads the manifest of an exported model's folder. @throws ExportedModelError */
export function readManifest(folder: string): Manifest {
  const path = join(folder, MANIFEST_NAME);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    throw new ExportedModelError(`${path} cannot be read: name the folder that \`dagan export\` wrote`);
  }
  try {
    return checkManifest(JSON.parse(text));
  } catch (error) {
    throw new ExportedModelError(`${path}: ${oneLine(error)}; export the model again`);
  }
}

/** All files of an exported model but the manifest itself. */
export const exportedFiles = ({ graphs, weights }: Manifest): ExportedFile[] => [...Object.values(graphs), weights];

/** Reads a file of an exported model. @throws ExportedModelError if it is missing or not what the manifest says */
export async function readExportedFile(folder: string, described: ExportedFile): Promise<Uint8Array> {
  const path = join(folder, described.file);
  const bytes = await readFile(path).catch(() => {
    throw unreadable(path);
  });
  requireSame(path, bytes, described);
  return bytes;
}

/**
 * The path of the file of weights in an exported model's folder, which is a model file of ours that LibTorch loads.
 *
 * @throws ExportedModelError if it is missing or not what the manifest says
 */
export function weightsIn(folder: string): string {
  const { weights } = readManifest(folder);
  const path = join(folder, weights.file);
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch {
    throw unreadable(path);
  }
  requireSame(path, bytes, weights);
  return path;
}

const unreadable = (path: string): ExportedModelError =>
  new ExportedModelError(`${path} cannot be read: export the model again, or copy its whole folder`);

function requireSame(path: string, bytes: Uint8Array, { sha256 }: ExportedFile): void {
  if (createHash('sha256').update(bytes).digest('hex') === sha256) return;
  throw new ExportedModelError(
    `${path} is not the file that its manifest was written for: export the model again, or copy its whole folder`,
  );
}
