/** Writing whole files or none: everything is made beside its target under a `.part` name and then renamed. */

import { rmSync } from 'node:fs';
import { type FileHandle, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { MediaError, systemCode, toMediaError } from './errors.js';

/** Unfinished outputs of this process, removed should it end before they are finished. */
const unfinished = new Set<string>();
process.on('exit', () => {
  for (const part of unfinished) rmSync(part, { recursive: true, force: true });
});

/** The name under which the output `path` is made. */
function partPath(path: string): string {
  return `${path.replace(/[/\\]+$/, '')}.part`;
}

/** Checks that `path` can be written as a file and registers its `.part` name, which is returned. */
export async function beginFile(path: string): Promise<string> {
  try {
    const folder = dirname(path);
    const found = await stat(folder).catch((error: unknown) => {
      if (systemCode(error) === 'ENOENT') throw new MediaError(path, `the folder ${folder} does not exist`);
      throw error;
    });
    if (!found.isDirectory()) throw new MediaError(path, `${folder} is not a folder`);
    const existing = await stat(path).catch(() => undefined);
    if (existing?.isDirectory()) throw new MediaError(path, 'is a folder; give a file name, or end the name with /');
    const part = partPath(path);
    unfinished.add(part);
    await writeFile(part, '');
    return part;
  } catch (error) {
    unfinished.delete(partPath(path));
    throw toMediaError(path, error, 'cannot be written');
  }
}

/** Gives a finished `.part` file its name. */
export async function commitFile(path: string): Promise<void> {
  const part = partPath(path);
  try {
    await rename(part, path);
    unfinished.delete(part);
  } catch (error) {
    await abandon(path);
    throw toMediaError(path, error, 'cannot be written');
  }
}

/** Removes what was made so far for `path`, a file or a folder. Never throws. */
export async function abandon(path: string): Promise<void> {
  const part = partPath(path);
  await rm(part, { recursive: true, force: true }).catch(() => undefined);
  unfinished.delete(part);
}

/** Writes all of `data` at `position`, or where the last write ended: the system may take only a part at a time. */
export async function writeAll(file: FileHandle, data: Uint8Array, position?: number): Promise<void> {
  for (let done = 0; done < data.length; ) {
    const at = position === undefined ? null : position + done;
    done += (await file.write(data, done, data.length - done, at)).bytesWritten;
  }
}

/** Writes a file whole or not at all. */
export async function writeWhole(path: string, data: Uint8Array): Promise<void> {
  const part = await beginFile(path);
  try {
    await writeFile(part, data);
  } catch (error) {
    await abandon(path);
    throw toMediaError(path, error, 'cannot be written');
  }
  await commitFile(path);
}

/** Name of the `index`-th frame in a folder of frames. */
export function frameName(index: number): string {
  return `${String(index).padStart(6, '0')}.png`;
}

/**
 * Makes the `.part` folder for a folder of frames. An existing target is refused if it holds anything that is not such a
 * frame, as finishing replaces it.
 */
export async function beginFolder(path: string): Promise<string> {
  const part = partPath(path);
  try {
    const held = await readdir(path).catch((error: unknown) => {
      if (systemCode(error) === 'ENOENT') return [];
      throw error;
    });
    const foreign = held.find((name) => !/^\d{6,}\.png$/.test(name));
    if (foreign !== undefined) {
      throw new MediaError(path, `holds ${foreign}, which is not a frame of an earlier run; choose a new folder`);
    }
    unfinished.add(part);
    await rm(part, { recursive: true, force: true });
    await mkdir(part, { recursive: true });
    return part;
  } catch (error) {
    unfinished.delete(part);
    throw toMediaError(path, error, 'cannot be written');
  }
}

/** Puts a finished folder of frames in its place, replacing the frames of an earlier run. */
export async function commitFolder(path: string): Promise<void> {
  const part = partPath(path);
  const target = part.slice(0, -'.part'.length);
  const old = join(dirname(target), `.${basename(target)}.old`);
  try {
    await rm(old, { recursive: true, force: true });
    await rename(target, old).catch((error: unknown) => {
      if (systemCode(error) !== 'ENOENT') throw error;
    });
    await rename(part, target);
    unfinished.delete(part);
    await rm(old, { recursive: true, force: true });
  } catch (error) {
    await abandon(path);
    throw toMediaError(path, error, 'cannot be written');
  }
}
