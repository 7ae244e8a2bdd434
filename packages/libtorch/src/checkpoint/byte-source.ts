// Bytes that are read at positions, of a file or in memory, and the errors that name whose they are.
import { CheckpointError } from './errors.js';

/** Bytes of a checkpoint. */
export type ByteSource = {
  /** The file that they are of, for messages. */
  readonly path: string;
  readonly size: number;
  /** A CheckpointError about this file. */
  error(problem: string, cause?: unknown): CheckpointError;
  /**
   * `length` bytes at `position`, in a new buffer.
   * @throws CheckpointError if they lie outside, or can no longer be read
   */
  read(position: number, length: number): Uint8Array<ArrayBuffer>;
  /** Closing twice is harmless. */
  close(): void;
};

/** Characters of an error message after the path. */
const MAX_MESSAGE = 600;

/** An error about a file. Names quoted from a hostile one neither steer a terminal nor flood it. */
export function errorAbout(path: string, problem: string, cause?: unknown): CheckpointError {
  const text = problem.replace(/\p{Cc}/gu, '?');
  const shown = text.length > MAX_MESSAGE ? `${text.slice(0, MAX_MESSAGE)}...` : text;
  return new CheckpointError(path, shown, cause === undefined ? undefined : { cause });
}

/** What is said where `needed` bytes are wanted of a file of `size`. */
export const endsTooEarly = (needed: number, size: number): string =>
  `ends too early: ${needed} bytes are needed, it has ${size}. Was it downloaded incompletely?`;

/** A whole file in memory. */
export class MemorySource implements ByteSource {
  readonly #bytes: Uint8Array;

  /** @param path the name that errors give */
  constructor(
    readonly path: string,
    bytes: Uint8Array,
  ) {
    this.#bytes = bytes;
  }

  get size(): number {
    return this.#bytes.length;
  }

  error(problem: string, cause?: unknown): CheckpointError {
    return errorAbout(this.path, problem, cause);
  }

  read(position: number, length: number): Uint8Array<ArrayBuffer> {
    const end = position + length;
    if (position < 0 || length < 0 || end > this.size) throw this.error(endsTooEarly(end, this.size));
    return new Uint8Array(this.#bytes.subarray(position, end));
  }

  close(): void {}
}
