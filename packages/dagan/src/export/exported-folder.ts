// An exported model's folder on disk: its manifest, and files that are the ones the manifest was written for.
import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
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
export const exportedFiles = ({ graphs, int8, weights }: Manifest): ExportedFile[] => [
  ...Object.values(graphs),
  ...(int8 ? [int8] : []),
  weights,
];

/**
 * Checks a file of an exported model, piece by piece, so that none of it stays in memory.
 *
 * @throws ExportedModelError if it is missing or not what the manifest says
 */
export function checkExportedFile(folder: string, { file, sha256 }: ExportedFile): void {
  const path = join(folder, file);
  let found: Omit<ExportedFile, 'file'>;
  try {
    found = digestOf(path);
  } catch {
    throw new ExportedModelError(`${path} cannot be read: export the model again, or copy its whole folder`);
  }
  if (found.sha256 === sha256) return;
  throw new ExportedModelError(
    `${path} is not the file that its manifest was written for: export the model again, or copy its whole folder`,
  );
}

/** Bytes of a file that are looked at together. */
const PIECE = 2 ** 20;

/** Length and SHA-256 of a file. */
export function digestOf(path: string): Omit<ExportedFile, 'file'> {
  const hash = createHash('sha256');
  const piece = new Uint8Array(PIECE);
  const file = openSync(path, 'r');
  let bytes = 0;
  try {
    for (let read = readSync(file, piece); read > 0; read = readSync(file, piece)) {
      hash.update(piece.subarray(0, read));
      bytes += read;
    }
  } finally {
    closeSync(file);
  }
  return { bytes, sha256: hash.digest('hex') };
}

/**
 * The path of the file of weights in an exported model's folder, which is a model file of ours that LibTorch loads.
 *
 * @throws ExportedModelError if it is missing or not what the manifest says
 */
export function weightsIn(folder: string): string {
  const { weights } = readManifest(folder);
  checkExportedFile(folder, weights);
  return join(folder, weights.file);
}
