// FFmpeg's program, which reads cameras and writes virtual ones where it is installed. Nothing else needs it.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { MediaError } from '../errors.js';

/** Whether a path names a device of the system rather than a file. */
export const isDevice = (path: string): boolean => path.startsWith('/dev/');

/**
 * Checks before any work what can be checked of a device.
 *
 * @param missing what is said if it is not there
 * @throws MediaError if it is not, or FFmpeg is not installed
 */
export function requireDevice(path: string, missing: string): void {
  if (process.platform !== 'linux') {
    throw new MediaError(path, 'cameras are read and written on Linux; elsewhere the studio does it in a browser');
  }
  if (!existsSync(path)) throw new MediaError(path, missing);
  const folders = (process.env.PATH ?? '').split(delimiter);
  if (folders.some((folder) => folder !== '' && existsSync(join(folder, 'ffmpeg')))) return;
  const reason = 'FFmpeg, which reads and writes cameras, is not installed (Debian and Ubuntu: apt install ffmpeg)';
  throw new MediaError(path, reason);
}

/** FFmpeg at work on a device. */
export class Ffmpeg {
  readonly path: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #ended: Promise<MediaError | undefined>;
  #said = '';
  #closing = false;

  /**
   * @param path the device that messages name
   * @throws MediaError as `requireDevice`
   */
  constructor(path: string, words: readonly string[], missing: string) {
    requireDevice(path, missing);
    this.path = path;
    this.#child = spawn('ffmpeg', ['-hide_banner', '-loglevel', 'error', ...words], { stdio: 'pipe' });
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(-2000);
    });
    this.#child.stdin.on('error', () => {}); // it has ended, and says why
    this.#ended = new Promise((resolve) => {
      this.#child.on('error', (error) => resolve(new MediaError(path, `FFmpeg cannot be started: ${error.message}`)));
      this.#child.on('close', (code) => resolve(code === 0 || this.#closing ? undefined : this.#failed(code)));
    });
  }

  /** What it writes, until it ends. @throws MediaError if it fails */
  async *output(): AsyncGenerator<Uint8Array> {
    try {
      yield* this.#child.stdout as AsyncIterable<Uint8Array>;
    } catch (error) {
      throw (await this.#ended) ?? error;
    }
    const failure = await this.#ended;
    if (failure) throw failure;
  }

  /** Hands bytes over, and waits until they are taken. @throws MediaError if it has ended */
  async write(bytes: Uint8Array): Promise<void> {
    const written = new Promise<boolean>((resolve) => this.#child.stdin.write(bytes, (error) => resolve(!error)));
    const taken = await Promise.race([written, this.#ended.then(() => false)]);
    if (!taken) throw (await this.#ended) ?? new MediaError(this.path, 'FFmpeg has ended');
  }

  /** Says that there is no more to write, and waits until it has written all. @throws MediaError if it fails */
  async finish(): Promise<void> {
    this.#child.stdin.end();
    const failure = await this.#ended;
    if (failure) throw failure;
  }

  /** Ends it, and waits for that. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#child.stdin.end();
    this.#child.stdout.destroy();
    this.#child.kill();
    await this.#ended;
  }

  #failed(code: number | null): MediaError {
    const lines = this.#said.split('\n').filter((line) => line.trim() !== '');
    return new MediaError(this.path, `FFmpeg says: ${lines.at(-1) ?? `nothing, and ended with code ${code}`}`);
  }
}
