// Bounded random access to a file on disk; every failure becomes a CheckpointError that names the file.
import fs from 'node:fs';
import { type ByteSource, endsTooEarly, errorAbout } from './byte-source.js';
import { CheckpointError } from './errors.js';

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file; check the path',
  ENOTDIR: 'no such file; a part of the path is not a folder',
  EACCES: 'cannot be read; check its permissions',
  EPERM: 'cannot be read; check its permissions',
  EMFILE: 'cannot be opened because this process has too many open files',
};

/** An open regular file, read at positions. */
export class FileSource implements ByteSource {
  readonly size: number;
  #descriptor: number | undefined;

  /** @throws CheckpointError if the path is not a readable regular file. */
  constructor(readonly path: string) {
    try {
      // Looked at before it is opened, since opening a named pipe would wait for a writer.
      const kind = fs.statSync(path);
      if (kind.isDirectory()) throw this.error('is a folder; name the checkpoint file inside it');
      if (!kind.isFile()) throw this.error('is not a regular file; copy the checkpoint into one');
      this.#descriptor = fs.openSync(path, 'r');
      this.size = fs.fstatSync(this.#descriptor).size;
    } catch (cause) {
      this.close();
      throw this.#wrap(cause);
    }
  }

  /** A CheckpointError about this file. */
  error(problem: string, cause?: unknown): CheckpointError {
    return errorAbout(this.path, problem, cause);
  }

  /**
   * Reads `length` bytes at `position` into a new buffer.
   * @throws CheckpointError if they lie outside the file, the file is closed or shrank, or the disk fails.
   */
  read(position: number, length: number): Uint8Array<ArrayBuffer> {
    if (this.#descriptor === undefined) throw this.error('is closed; read its tensors before closing it');
    if (position < 0 || length < 0 || position + length > this.size) {
      throw this.error(endsTooEarly(position + length, this.size));
    }
    const bytes = new Uint8Array(length);
    let done = 0;
    try {
      while (done < length) {
        // One call of the operating system moves at most 2 GiB.
        const count = fs.readSync(this.#descriptor, bytes, done, Math.min(length - done, 2 ** 30), position + done);
        if (count === 0) throw this.error('became shorter while it was read');
        done += count;
      }
    } catch (cause) {
      throw this.#wrap(cause);
    }
    return bytes;
  }

  /** Closes the file. Closing twice is harmless. */
  close(): void {
    const descriptor = this.#descriptor;
    this.#descriptor = undefined;
    if (descriptor !== undefined) fs.closeSync(descriptor);
  }

  #wrap(cause: unknown): CheckpointError {
    if (cause instanceof CheckpointError) return cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    return this.error(REASONS[code ?? ''] ?? `cannot be read (${message})`, cause);
  }
}
