// Writing clips in Node: videos, animated GIF and WebP, folders of PNG frames. Encoding runs in a process of its own.
import { extname } from 'node:path';
import { MediaError } from '../errors.js';
import { abandon, beginFile, beginFolder, commitFile, commitFolder } from '../files.js';
import { checkPicture, type Picture } from '../pictures/picture.js';
import type { ContentSigner } from '../provenance/content-credentials.js';
import type { MediaMetadata } from '../provenance/provenance.js';
import type { Clip } from './clip.js';
import { MediaProcess } from './media-process.js';
import type { Container, EncodeJob, EncodeOrder, EncodeReport, Quality } from './messages.js';

/** How a clip is to be written. */
export type ClipWriterOptions = {
  /** Size of every picture that will be added. */
  width: number;
  height: number;
  /**
   * Frames per second of a clip of constant rate; timestamps given to `add` are then not used. Left out, the rate is
   * variable and every `add` needs its timestamp.
   */
  frameRate?: number;
  /**
   * The clip whose sound goes along. Packets are copied where the container can take them, else coded anew; GIF, WebP and
   * folders hold no sound and leave it out.
   */
  sound?: Clip;
  /** How much of the picture the encoder keeps. Default `very-high` (H.264: constant quantizer 16). */
  quality?: Quality;
  /** Pictures bring how opaque their pixels are; webm and folders hold it. */
  alpha?: boolean;
  /** Title, comment and origin stored in the file. */
  metadata?: MediaMetadata;
  /** Signs the finished file with content credentials, which webm, mkv and folders cannot hold. Needs `metadata` with an origin. */
  signer?: ContentSigner;
  /** Seconds that encoding may stand still while it is waited for. Default 60. */
  timeLimit?: number;
  /** Told, in one line, of what had to be left out. */
  onWarning?: (text: string) => void;
};

const CONTAINERS: Partial<Record<string, Container>> = {
  '.mp4': 'mp4',
  '.m4v': 'mp4',
  '.mov': 'mov',
  '.webm': 'webm',
  '.mkv': 'mkv',
  '.gif': 'gif',
  '.webp': 'webp',
};

/** What `createClipWriter` makes of a path: a name that ends in `/` or has no ending is a folder of frames. */
export function containerOf(path: string): Container {
  const extension = /[/\\]$/.test(path) ? '' : extname(path).toLowerCase();
  if (extension === '') return 'folder';
  const container = CONTAINERS[extension];
  if (!container) {
    const known = Object.keys(CONTAINERS).join(' ');
    throw new MediaError(path, `clips are written as ${known} or as a folder/ of PNG frames, not as '${extension}'`);
  }
  return container;
}

/** Whether clips of this name hold how opaque their pixels are. */
export const holdsAlpha = (path: string): boolean => ['webm', 'folder'].includes(containerOf(path));

/** What is said of other names. */
export const WITHOUT_ALPHA = 'is written without transparency; name a .webm, or a folder/ of PNG frames';

/** Pictures that may wait for the encoder, in bytes and in number. */
const QUEUE_BYTES = 48 * 2 ** 20;
const QUEUE_FRAMES = { least: 2, most: 24 };

/**
 * Starts a clip at `path`: `.mp4`, `.mov` and `.mkv` hold H.264, `.webm` VP9, further `.gif`, `.webp`, and `folder/` a
 * lossless sequence 000000.png ... Nothing is seen under `path` before `finish`.
 *
 * H.264 needs even sizes: an odd last column or row is repeated once, so that a 255 x 257 clip becomes 256 x 258.
 * Throws a `MediaError` if the path cannot be written.
 */
export async function createClipWriter(path: string, options: ClipWriterOptions): Promise<ClipWriter> {
  const { width, height, frameRate } = options;
  if (!Number.isInteger(width) || !Number.isInteger(height) || width < 1 || height < 1) {
    throw new RangeError(`a clip's size must be two positive integers, not ${width} x ${height}`);
  }
  if (frameRate !== undefined && !(frameRate > 0 && frameRate <= 1000)) {
    throw new RangeError(`the frame rate must be between 0 and 1000, not ${frameRate}`);
  }
  const container = containerOf(path);
  if (options.alpha && !holdsAlpha(path)) throw new MediaError(path, WITHOUT_ALPHA);
  if (options.signer && !options.metadata?.origin?.digitalSourceType) {
    throw new RangeError('a clip can be signed only with metadata that state its digital source type');
  }
  options.signer?.check(path);
  const part = container === 'folder' ? await beginFolder(path) : await beginFile(path);
  const job: EncodeJob = {
    path,
    part,
    container,
    width,
    height,
    frameRate,
    quality: options.quality ?? 'very-high',
    metadata: options.metadata,
    alpha: options.alpha,
    sound: options.sound?.sound,
  };
  return ClipWriter.start(job, options);
}

/** A clip being written. Call `finish`, or `cancel` (also at the end of an `await using` block) to leave no trace. */
export class ClipWriter implements AsyncDisposable {
  readonly #job: EncodeJob;
  readonly #options: ClipWriterOptions;
  #opened = false;
  #finished = false;
  #waiting = 0;
  #added = 0;
  #lastTime = -Infinity;
  #state: 'open' | 'done' = 'open';
  readonly #most: number;
  readonly #encoder: MediaProcess<EncodeOrder, EncodeReport>;

  private constructor(job: EncodeJob, options: ClipWriterOptions) {
    this.#job = job;
    this.#options = options;

    const bytes = job.width * job.height * 3;
    this.#most = Math.max(QUEUE_FRAMES.least, Math.min(QUEUE_FRAMES.most, Math.floor(QUEUE_BYTES / bytes)));
    this.#encoder = new MediaProcess(
      new URL('./encode-process.js', import.meta.url),
      job,
      job.path,
      options.timeLimit ?? 60,
      (report) => this.#take(report),
    );
  }

  /** @internal */
  static async start(job: EncodeJob, options: ClipWriterOptions): Promise<ClipWriter> {
    const writer = new ClipWriter(job, options);
    await writer.#guard(writer.#encoder.wait(() => writer.#opened || undefined));
    return writer;
  }

  /** Frames added so far. */
  get frameCount(): number {
    return this.#added;
  }

  /**
   * Adds a frame; the picture may be changed afterwards. Resolves when there is room for the next one. With variable rate
   * `timestamp` (seconds, ascending) is required; `duration` matters for the last frame only.
   */
  async add(picture: Picture, timestamp?: number, duration?: number): Promise<void> {
    this.#checkOpen();
    const { width, height, frameRate } = this.#job;
    checkPicture(picture);
    if (picture.width !== width || picture.height !== height) {
      throw new RangeError(`the clip is ${width} x ${height}, the added picture ${picture.width} x ${picture.height}`);
    }
    const time = frameRate === undefined ? timestamp : this.#added / frameRate;
    if (time === undefined || !Number.isFinite(time) || time <= this.#lastTime) {
      throw new RangeError(`the frame's timestamp must be a number after ${this.#lastTime} seconds, not ${time}`);
    }
    this.#lastTime = time;
    this.#added++;
    this.#waiting++;
    const length = frameRate === undefined ? (duration ?? 0) : 1 / frameRate;
    const { data, alpha } = picture;
    if ((alpha !== undefined) !== (this.#job.alpha === true)) {
      throw new RangeError('pictures bring how opaque they are if the clip was begun so, and only then');
    }
    this.#encoder.post({ type: 'frame', data, ...(alpha && { alpha }), timestamp: time, duration: length });
    await this.#guard(this.#encoder.wait(() => this.#waiting < this.#most || undefined));
  }

  /** Encodes what is left and puts the file in its place. Throws a `MediaError`, then nothing is left behind. */
  async finish(): Promise<void> {
    this.#checkOpen();
    const { path, part, container } = this.#job;
    if (this.#added === 0) {
      await this.cancel();
      throw new MediaError(path, 'is not written as it would have no frames');
    }
    this.#encoder.post({ type: 'finish' });
    await this.#guard(this.#encoder.wait(() => this.#finished || undefined));
    this.#state = 'done';
    await this.#encoder.close();
    await this.#sign();
    await (container === 'folder' ? commitFolder(part, path) : commitFile(part, path));
  }

  async #sign(): Promise<void> {
    const { path, part, metadata = {} } = this.#job;
    try {
      await this.#options.signer?.sign(path, part, metadata);
    } catch (error) {
      await abandon(part);
      throw error;
    }
  }

  /** Ends writing and removes what was made. Does nothing after `finish`. */
  async cancel(): Promise<void> {
    if (this.#state === 'done') return;
    this.#state = 'done';
    await this.#encoder.close();
    await abandon(this.#job.part);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.cancel();
  }

  #checkOpen(): void {
    if (this.#state === 'done') throw new MediaError(this.#job.path, 'is no longer open for writing');
  }

  async #guard<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      await this.cancel();
      throw error;
    }
  }

  #take(report: Exclude<EncodeReport, { type: 'failure' }>): void {
    if (report.type === 'opened') this.#opened = true;
    else if (report.type === 'taken') this.#waiting--;
    else if (report.type === 'finished') this.#finished = true;
    else if (report.type === 'warning') this.#options.onWarning?.(`${this.#job.path}: ${report.text}`);
  }
}
