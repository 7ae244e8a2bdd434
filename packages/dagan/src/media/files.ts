// Writing whole files or none: everything is made beside its target under a name of its own and then renamed.
import { randomBytes } from 'node:crypto';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { type FileHandle, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { MediaError, systemCode, toMediaError } from './errors.js';

/** Unfinished outputs of this process, removed should it end before they are finished. */
const unfinished = new Set<string>();
process.on('exit', () => {
  for (const part of unfinished) rmSync(part, { recursive: true, force: true, maxRetries: 3 }); // an encoder may still be filling it
});

/** Takes a `part` over that another process has begun: it is removed should this one end, as it does when that one was killed. */
export function adoptPart(part: string): void {
  unfinished.add(part);
}

/** Bytes that a name made here may have, however short the final one is. */
const SHORT_NAME = 64;

/** The beginning of a name, of at most so many bytes and of whole characters. */
export function cutName(name: string, bytes: number): string {
  let cut = '';
  for (const character of name) {
    if (Buffer.byteLength(cut + character) > bytes) break;
    cut += character;
  }
  return cut;
}

/**
 * A new name beside `path`; what lies there already may be the user's, or of another command with the same output. It is no
 * longer than the final one, which may have all the bytes that the file system allows.
 */
function besides(path: string, ending: 'part' | 'old'): string {
  const name = basename(path);
  const tail = `.${process.pid}-${randomBytes(4).toString('hex')}.${ending}`;
  const room = Math.max(Buffer.byteLength(name), SHORT_NAME) - 1 - tail.length;
  return join(dirname(path), `.${cutName(name, room)}${tail}`);
}

/** Checks that `path` can be written as a file and makes its unfinished, empty `.part` file, whose name is returned. */
export async function beginFile(path: string): Promise<string> {
  const part = besides(path, 'part');
  unfinished.add(part);
  try {
    const folder = dirname(path);
    const found = await stat(folder).catch((error: unknown) => {
      if (systemCode(error) === 'ENOENT') throw new MediaError(path, `the folder ${folder} does not exist`);
      throw error;
    });
    if (!found.isDirectory()) throw new MediaError(path, `${folder} is not a folder`);
    const existing = await stat(path).catch(() => undefined);
    if (existing?.isDirectory()) throw new MediaError(path, 'is a folder; give a file name, or end the name with /');
    await writeFile(part, '', { flag: 'wx' });
    return part;
  } catch (error) {
    await abandon(part);
    throw toMediaError(path, error, 'cannot be written');
  }
}

/** Gives the finished `part` of `beginFile` its name. */
export async function commitFile(part: string, path: string): Promise<void> {
  try {
    await rename(part, path);
    unfinished.delete(part);
  } catch (error) {
    await abandon(part);
    throw toMediaError(path, error, 'cannot be written');
  }
}

/** Removes the `part` of `beginFile` or `beginFolder` with all it holds. Never throws. */
export async function abandon(part: string): Promise<void> {
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
    await abandon(part);
    throw toMediaError(path, error, 'cannot be written');
  }
  await commitFile(part, path);
}

/** The same at once: for the short files of programs that wait for them anyway. */
export function writeWholeSync(path: string, data: string | Uint8Array): void {
  const part = besides(path, 'part');
  writing(path, () => {
    try {
      writeFileSync(part, data);
      renameSync(part, path);
    } catch (error) {
      rmSync(part, { force: true });
      throw error;
    }
  });
}

/** Does what is written at `path`. @throws MediaError that names it, where the system refuses */
export function writing<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw systemCode(error) === undefined ? error : toMediaError(path, error, 'cannot be written');
  }
}

/** Several files that belong together: they get their names when all of them are written. */
export class WholeFiles implements AsyncDisposable {
  readonly #parts = new Map<string, string>();

  /** Begins the file `path` and gives the name under which it is to be written. */
  async begin(path: string): Promise<string> {
    const part = await beginFile(path);
    this.#parts.set(path, part);
    return part;
  }

  /** Writes the file `path`. */
  async write(path: string, data: Uint8Array): Promise<void> {
    const part = await this.begin(path);
    await writeFile(part, data).catch((error: unknown) => {
      throw toMediaError(path, error, 'cannot be written');
    });
  }

  /** Gives all files their names, in the order in which they were begun. */
  async commit(): Promise<void> {
    for (const [path, part] of this.#parts) {
      await commitFile(part, path);
      this.#parts.delete(path);
    }
  }

  /** Removes what was not committed. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#parts.values()].map(abandon));
    this.#parts.clear();
  }
}

/** Name of the `index`-th frame in a folder of frames. */
export function frameName(index: number): string {
  return `${String(index).padStart(6, '0')}.png`;
}

/** Refuses a folder that holds anything but such frames, as finishing replaces it. */
async function refuseForeign(path: string): Promise<void> {
  const held = await readdir(path).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  });
  const foreign = held.find((name) => !/^\d{6,}\.png$/.test(name));
  if (foreign !== undefined) {
    throw new MediaError(path, `holds ${foreign}, which is not a frame of an earlier run; choose a new folder`);
  }
}

/** Checks that `path` can be written as a folder of frames and makes its `.part` folder, whose name is returned. */
export async function beginFolder(path: string): Promise<string> {
  const part = besides(path, 'part');
  unfinished.add(part);
  try {
    await refuseForeign(path);
    await mkdir(part, { recursive: true });
    return part;
  } catch (error) {
    await abandon(part);
    throw toMediaError(path, error, 'cannot be written');
  }
}

/** Puts the finished `part` of `beginFolder` in its place, replacing the frames of an earlier run. */
export async function commitFolder(part: string, path: string): Promise<void> {
  const target = path.replace(/[/\\]+$/, '');
  const old = besides(path, 'old');
  try {
    await refuseForeign(path);
    await rename(target, old).catch((error: unknown) => {
      if (systemCode(error) !== 'ENOENT') throw error;
    });
    try {
      await rename(part, target);
    } catch (error) {
      await rename(old, target).catch(() => undefined); // the earlier frames, if there were any, stay
      throw error;
    }
    unfinished.delete(part);
    await rm(old, { recursive: true, force: true });
  } catch (error) {
    await abandon(part);
    throw toMediaError(path, error, 'cannot be written');
  }
}
