// Jobs on disk: a folder for each, with its files and `job.json`, which is written whole or not at all. What was asked for is
// there again when the server starts anew.
import { randomUUID } from 'node:crypto';
import { readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { hostname, uptime } from 'node:os';
import { join, resolve, sep } from 'node:path';
import { DaganError } from '../../errors.js';
import { systemCode, toMediaError } from '../../media/errors.js';
import { writeWhole } from '../../media/files.js';
import type { Job } from './job.js';

/** Names of the folders of jobs: nothing else in the folder is touched. */
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const STATE = 'job.json';

/** Says who serves the folder. */
const LOCK = 'lock';

/** Who serves a folder: containers have their own numbers of processes, and a process may serve several folders. */
type Holder = { host: string; pid: number; nonce: string };

/** Milliseconds after which a lock is touched again, and after which one of another machine counts as left behind. */
const TOUCHING = 10_000;
const LEFT_BEHIND = 60_000;

/** The same of this machine, where a process is seen to run that may be another by now, and the server may only be slow. */
const LEFT_BEHIND_HERE = 600_000;

/** Nonces of the folders that this process serves. */
const held = new Set<string>();

export class JobFolder {
  readonly path: string;
  readonly #nonce: string;
  readonly #touching: NodeJS.Timeout;
  readonly #release = (): void => {
    if (this.#isOurs()) rmSync(join(this.path, LOCK), { force: true });
  };

  private constructor(path: string, nonce: string) {
    this.path = path;
    this.#nonce = nonce;
    this.#touching = setInterval(() => this.#touch(), TOUCHING).unref();
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
    return new JobFolder(folder, lock(folder));
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
    clearInterval(this.#touching);
    this.#release();
    held.delete(this.#nonce);
  }

  #isOurs(): boolean {
    return holderOf(join(this.path, LOCK))?.nonce === this.#nonce;
  }

  /** Shows other machines that the folder is still served. */
  #touch(): void {
    try {
      if (this.#isOurs()) utimesSync(join(this.path, LOCK), new Date(), new Date());
    } catch {
      // The folder is gone, or cannot be reached now: the jobs will tell.
    }
  }
}

/** Takes the folder's lock, and gives its nonce; one that a process left behind which is no more does not count. */
function lock(folder: string): string {
  const path = join(folder, LOCK);
  const holder: Holder = { host: hostname(), pid: process.pid, nonce: randomUUID() };
  const take = (): void => writeFileSync(path, JSON.stringify(holder), { flag: 'wx' });
  try {
    take();
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') {
      rmSync(path, { force: true }); // a full disk leaves an empty one
      throw toMediaError(folder, error, 'cannot be written to');
    }
    const other = holderOf(path);
    if (isHeld(path, other)) {
      const elsewhere = other && other.host !== holder.host ? ` on ${other.host}` : '';
      const name = other ? `process ${other.pid}${elsewhere}` : 'another process';
      throw new DaganError('folder-in-use', `${folder}: ${name} serves its jobs`, {
        path: folder,
        process: other?.pid ?? 0,
      });
    }
    rmSync(path, { force: true });
    take();
  }
  held.add(holder.nonce);
  return holder.nonce;
}

/** Who holds a lock; undefined if it is not there, or does not say. */
function holderOf(path: string): Holder | undefined {
  try {
    const { host, pid, nonce } = JSON.parse(readFileSync(path, 'utf8')) as Partial<Holder>;
    return host !== undefined && pid !== undefined && nonce !== undefined ? { host, pid, nonce } : undefined;
  } catch {
    return undefined;
  }
}

/** Whether whoever took a lock still serves the folder. Of other machines only the time of the file tells. */
function isHeld(path: string, holder: Holder | undefined): boolean {
  const touched = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const silent = Date.now() - touched;
  if (holder?.host !== hostname()) return silent < LEFT_BEHIND;
  // In containers the number of a process that has ended is often this one's own.
  if (holder.pid === process.pid) return held.has(holder.nonce);
  // Since the machine was started anew it may be another program's.
  return isAlive(holder.pid) && silent < Math.min(LEFT_BEHIND_HERE, 1000 * uptime());
}

/** Whether a process of this number runs on this machine. */
function isAlive(id: number): boolean {
  if (!Number.isInteger(id) || id <= 0) return false;
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    return systemCode(error) === 'EPERM';
  }
}
