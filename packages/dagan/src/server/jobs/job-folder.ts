// Jobs on disk: a folder for each, with its files and `job.json`, which is written whole or not at all. What was asked for is
// there again when the server starts anew.
import { randomUUID } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import { DaganError } from '../../errors.js';
import { systemCode, toMediaError } from '../../media/errors.js';
import { writeWhole } from '../../media/files.js';
import type { Job } from './job.js';

/** Names of the folders of jobs: nothing else in the folder is touched. */
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const STATE = 'job.json';

/** Holds the number of the process that serves the folder. */
const LOCK = 'lock';

export class JobFolder {
  readonly path: string;
  readonly #release = (): void => rmSync(join(this.path, LOCK), { force: true });

  private constructor(path: string) {
    this.path = path;
    process.on('exit', this.#release);
  }

  /**
   * Opens the folder for this process alone, and makes it if it is not there.
   *
   * @throws DaganError if another process has it, MediaError if it cannot be made
   */
  static async open(path: string): Promise<JobFolder> {
    const folder = resolve(path);
    await mkdir(folder, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
      throw toMediaError(path, error, 'cannot be made');
    });
    await lock(folder);
    return new JobFolder(folder);
  }

  /** The folder of a job, or a file in it. @param id of `create`, or as it was asked for: what is no name of a job is refused */
  place(id: string, name = ''): string {
    if (!ID.test(id)) throw new RangeError(`${id} is no job`);
    return join(this.path, id, name);
  }

  /** A folder for a new job; it counts as one once it has been written. */
  async create(): Promise<string> {
    const id = randomUUID();
    await mkdir(this.place(id), { mode: 0o700 });
    return id;
  }

  async write(job: Job): Promise<void> {
    await writeWhole(this.place(job.id, STATE), Buffer.from(`${JSON.stringify(job, undefined, 2)}\n`));
  }

  /** All jobs, the oldest first. Folders whose job was never written, as its files did not arrive whole, are removed. */
  async read(): Promise<Job[]> {
    const ids = (await readdir(this.path)).filter((name) => ID.test(name));
    const jobs: Job[] = [];
    for (const id of ids) {
      try {
        jobs.push(JSON.parse(await readFile(this.place(id, STATE), 'utf8')) as Job);
      } catch (error) {
        if (systemCode(error) !== 'ENOENT') throw toMediaError(this.place(id, STATE), error, 'cannot be read');
        await this.remove(id);
      }
    }
    return jobs.sort((a, b) => a.created.localeCompare(b.created));
  }

  /** Removes a job, or files of it. */
  async remove(id: string, names: readonly string[] = ['']): Promise<void> {
    for (const name of names) await rm(this.place(id, name), { recursive: true, force: true });
  }

  /** A text, or values, without the names of this machine's folders. */
  tidied<T>(told: T): T {
    const written = JSON.stringify(told);
    if (written === undefined) return told;
    const folder = JSON.stringify(`${this.path}${sep}`).slice(1, -1);
    const escaped = folder.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    const separator = sep === '\\' ? '\\\\\\\\' : '/';
    return JSON.parse(written.replace(new RegExp(`${escaped}[0-9a-f-]{36}(${separator})?`, 'g'), '')) as T;
  }

  /** Lets others have the folder. */
  close(): void {
    process.off('exit', this.#release);
    this.#release();
  }
}

/** Takes the folder's lock; one that a process left behind which is no more does not count. */
async function lock(folder: string): Promise<void> {
  const path = join(folder, LOCK);
  const take = (): void => writeFileSync(path, `${process.pid}`, { flag: 'wx' });
  try {
    take();
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw toMediaError(folder, error, 'cannot be written to');
    const holder = Number(await readFile(path, 'utf8').catch(() => ''));
    if (isAlive(holder)) {
      throw new DaganError('folder-in-use', `${folder}: process ${holder} serves its jobs`, {
        path: folder,
        process: holder,
      });
    }
    await rm(path, { force: true });
    take();
  }
}

/** Whether another process of this number runs. In containers the number of one that has ended is often this one's own. */
function isAlive(id: number): boolean {
  if (!Number.isInteger(id) || id <= 0 || id === process.pid) return false;
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    return systemCode(error) === 'EPERM';
  }
}
