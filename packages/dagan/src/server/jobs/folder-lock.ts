// Who serves a folder of jobs: one process at a time, on whichever machine, also where the one before was ended by force.
import { randomUUID } from 'node:crypto';
import { readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname, uptime } from 'node:os';
import { join } from 'node:path';
import { DaganError } from '../../errors.js';
import { systemCode, toMediaError } from '../../media/errors.js';

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

export class FolderLock {
  readonly #path: string;
  readonly #nonce = randomUUID();
  readonly #touching: NodeJS.Timeout;
  readonly #release = (): void => {
    if (this.#isOurs()) rmSync(this.#path, { force: true });
  };

  /**
   * Takes the folder's lock; one that a process left behind which is no more does not count.
   *
   * @throws DaganError if another process has it, MediaError if the folder cannot be written to
   */
  constructor(folder: string) {
    this.#path = join(folder, LOCK);
    while (!this.#take(folder)) {
      const other = holderOf(this.#path);
      if (isHeld(this.#path, other)) throw inUse(folder, other);
      rmSync(this.#path, { force: true });
    }
    held.add(this.#nonce);
    this.#touching = setInterval(() => this.#touch(), TOUCHING).unref();
    process.on('exit', this.#release);
  }

  /** Lets others have the folder. */
  release(): void {
    process.off('exit', this.#release);
    clearInterval(this.#touching);
    this.#release();
    held.delete(this.#nonce);
  }

  /** Writes the lock, if there is none; whether it is ours then. */
  #take(folder: string): boolean {
    const holder: Holder = { host: hostname(), pid: process.pid, nonce: this.#nonce };
    try {
      writeFileSync(this.#path, JSON.stringify(holder), { flag: 'wx' });
      return true;
    } catch (error) {
      if (systemCode(error) === 'EEXIST') return false;
      rmSync(this.#path, { force: true }); // a full disk leaves an empty one
      throw toMediaError(folder, error, 'cannot be written to');
    }
  }

  #isOurs(): boolean {
    return holderOf(this.#path)?.nonce === this.#nonce;
  }

  /** Shows other machines that the folder is still served. */
  #touch(): void {
    try {
      if (this.#isOurs()) utimesSync(this.#path, new Date(), new Date());
    } catch {
      // The folder is gone, or cannot be reached now: the jobs will tell.
    }
  }
}

function inUse(folder: string, holder: Holder | undefined): DaganError {
  const elsewhere = holder && holder.host !== hostname() ? ` on ${holder.host}` : '';
  const name = holder ? `process ${holder.pid}${elsewhere}` : 'another process';
  const values = { path: folder, process: holder?.pid ?? 0 };
  return new DaganError('folder-in-use', `${folder}: ${name} serves its jobs`, values);
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
