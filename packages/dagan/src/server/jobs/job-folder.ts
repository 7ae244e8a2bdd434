// Jobs on disk: a folder for each, with its files and `job.json`, which is written whole or not at all. What was asked for is
// there again when the server starts anew.
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import { isDiskFull, systemCode, toMediaError } from '../../media/errors.js';
import { writeWhole } from '../../media/files.js';
import { FolderLock } from './folder-lock.js';
import { isFinished, type Job } from './job.js';

/** Names of the folders of jobs: nothing else in the folder is touched. */
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const STATE = 'job.json';

export class JobFolder {
  readonly path: string;
  readonly #lock: FolderLock;

  private constructor(path: string) {
    this.path = path;
    this.#lock = new FolderLock(path);
  }

  /**
   * Opens the folder for this process alone, and makes it if it is not there.
   *
   * @throws DaganError if another process has it, MediaError if it cannot be made or written to
   */
  static async open(path: string): Promise<JobFolder> {
    const folder = resolve(path);
    await mkdir(folder, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
      throw toMediaError(path, error, 'cannot be made');
    });
    return new JobFolder(folder);
  }

  /** The folder of a job, or a file in it. @param id of `create`, or as it was asked for: what is no name of a job is refused */
  place(id: string, name = ''): string {
    if (!ID.test(id)) throw new RangeError(`${id} is no job`);
    return join(this.path, id, name);
  }

  /** A folder for a new job; it counts as one once it has been written. @throws MediaError if it cannot be made */
  async create(): Promise<string> {
    const id = randomUUID();
    await mkdir(this.place(id), { mode: 0o700 }).catch((error: unknown) => {
      throw toMediaError(this.place(id), error, 'cannot be made');
    });
    return id;
  }

  /**
   * Writes a job. Of a finished one the files that were sent are no longer needed; where the disk is full, they make room for it.
   *
   * @throws MediaError if it cannot be written
   */
  async write(job: Job): Promise<void> {
    const write = (): Promise<void> =>
      writeWhole(this.place(job.id, STATE), Buffer.from(`${JSON.stringify(job, undefined, 2)}\n`));
    if (!isFinished(job)) return write();
    const removeSent = (): Promise<void> => this.remove(job.id, sentOf(job));
    await write().catch(async (error: unknown) => {
      if (!isDiskFull(error)) throw error;
      await removeSent();
      await write();
    });
    await removeSent();
  }

  /**
   * All jobs, the oldest first. What a server left behind that was ended in the middle is removed: half-written results, and
   * folders whose job was never written, as its files did not arrive whole.
   *
   * @param tellFault is told of jobs that cannot be read; they stay where they are
   * @throws MediaError if the folder cannot be read
   */
  async read(tellFault: (error: unknown) => void): Promise<Job[]> {
    const names = await readdir(this.path).catch((error: unknown) => {
      throw toMediaError(this.path, error, 'cannot be read');
    });
    const jobs: Job[] = [];
    for (const id of names.filter((name) => ID.test(name))) {
      try {
        const job = JSON.parse(await readFile(this.place(id, STATE), 'utf8')) as Job;
        const kept = [STATE, ...(isFinished(job) ? [job.files.result] : sentOf(job))];
        const left = (await readdir(this.place(id))).filter((name) => !kept.includes(name));
        await this.remove(id, left);
        jobs.push(job);
      } catch (error) {
        if (systemCode(error) === 'ENOENT') await this.remove(id);
        else tellFault(toMediaError(this.place(id, STATE), error, 'cannot be read'));
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
    this.#lock.release();
  }
}

/** Names of the files that were sent for a job. */
const sentOf = ({ files: { portrait, driving } }: Job): string[] => [
  portrait,
  ...(driving === undefined ? [] : [driving]),
];
