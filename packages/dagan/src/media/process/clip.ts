// Reading clips in Node: videos, animated GIF and WebP, folders of frames. Decoding runs in a process of its own.
import { MediaError } from '../errors.js';
import type { Picture } from '../pictures/picture.js';
import { type PictureTransform, transformedSize } from '../pictures/resize.js';
import { MediaProcess } from './media-process.js';
import type { ClipInfo, DecodeJob, DecodeOrder, DecodePart, DecodeReport } from './messages.js';

/** How a clip is to be read. */
export type ClipOptions = {
  /** First frame to hand out, counted from 0. Default 0. */
  start?: number;
  /** The frame before which to stop (exclusive). Default: the end of the clip. */
  end?: number;
  /**
   * Hands out every so many-th frame only, beginning with the first of the range; what lies between is decoded where
   * that must be, but not converted. `frameCount` still counts all. Default 1.
   */
  every?: number;
  /** Cropping and resizing, done where the frames are decoded, before they are handed over. */
  transform?: PictureTransform;
  /** Frames per second of a folder of frames, which has no clock of its own. Default 25. */
  frameRate?: number;
  /** Seconds that decoding may stand still while a frame is waited for. Default 20. */
  timeLimit?: number;
  /** Told, in one line, of what could not be read although reading goes on. */
  onWarning?: (text: string) => void;
};

/** One frame of a clip. */
export type ClipFrame = {
  picture: Picture;
  /** Seconds since the clip's first frame (of the range). */
  timestamp: number;
  /** Seconds until the next frame. */
  duration: number;
};

/** Bytes of decoded frames that may wait to be fetched, and bounds on their number. */
const QUEUE_BYTES = 48 * 2 ** 20;
const QUEUE_FRAMES = { least: 2, most: 24 };

/**
 * Opens a video (mp4, mov, webm, mkv, ts), an animated GIF or WebP, a single picture or a folder of pictures (in natural
 * order of their names). Throws a `MediaError` for what is missing, empty, damaged or something else.
 */
export async function openClip(path: string, options: ClipOptions = {}): Promise<Clip> {
  const job: DecodeJob = { path, frameRate: options.frameRate, ...checkedPart(options) };
  return Clip.open(job, options);
}

/** Which frames are read, and how they are handed out. */
type ClipPart = Pick<ClipOptions, 'start' | 'end' | 'every' | 'transform'>;

function checkedPart({ start = 0, end, every = 1, transform }: ClipPart): DecodePart {
  if (!Number.isInteger(start) || start < 0) throw new RangeError(`the first frame must be 0 or more, not ${start}`);
  if (end !== undefined && (!Number.isInteger(end) || end <= start)) {
    throw new RangeError(`the frame range must end after frame ${start}, not at ${end}`);
  }
  if (!Number.isInteger(every) || every < 1)
    throw new RangeError(`every must be a whole number from 1 on, not ${every}`);
  return { start, end, every, transform };
}

/** An open clip. Frames are decoded as they are asked for; only a few are held at a time. */
export class Clip implements AsyncDisposable {
  readonly #options: ClipOptions;
  #info!: ClipInfo;
  #run = 0;
  #queue: ClipFrame[] = [];
  #ended = false;
  readonly #decoder: MediaProcess<DecodeOrder, DecodeReport>;

  private constructor(
    /** The file or folder, as given to `openClip`. */
    readonly path: string,
    job: DecodeJob,
    options: ClipOptions,
  ) {
    this.#options = options;
    this.#decoder = new MediaProcess(
      new URL('./decode-process.js', import.meta.url),
      job,
      path,
      options.timeLimit ?? 20,
      (report) => this.#take(report),
    );
  }

  /** @internal */
  static async open(job: DecodeJob, options: ClipOptions): Promise<Clip> {
    const clip = new Clip(job.path, job, options);
    try {
      await clip.#decoder.wait(() => clip.#info);
    } catch (error) {
      await clip.#decoder.close();
      throw error;
    }
    return clip;
  }

  /** What the clip was read from. */
  get kind(): ClipInfo['kind'] {
    return this.#info.kind;
  }
  /** Width of the frames in pixels: rotation, square pixels and the transform applied. */
  get width(): number {
    return this.#info.width;
  }
  /** Height of the frames in pixels. */
  get height(): number {
    return this.#info.height;
  }
  /** Width as the file is shown, before the transform. */
  get sourceWidth(): number {
    return this.#info.sourceWidth;
  }
  /** Height as the file is shown, before the transform. */
  get sourceHeight(): number {
    return this.#info.sourceHeight;
  }
  /** Average frames per second. */
  get frameRate(): number {
    return this.#info.frameRate;
  }
  /** Whether all frames lie on the grid of `frameRate`; if not, keep the timestamps. */
  get constantFrameRate(): boolean {
    return this.#info.constantFrameRate;
  }
  /** Number of frames in the range, for progress: exact for animations, folders and indexed files, else an estimate. */
  get frameCount(): number | undefined {
    return this.#info.frameCount;
  }
  /** Seconds the range lasts, where known. */
  get duration(): number | undefined {
    return this.#info.duration;
  }
  /** Whether there is sound that a writer can take over (pass the clip as its `sound`). */
  get hasAudio(): boolean {
    return this.#info.sound !== undefined;
  }
  /** @internal The part of the file's sound that belongs to the frames. */
  get sound(): ClipInfo['sound'] {
    return this.#info.sound;
  }

  /**
   * The frames of the range in order. Each call starts from the first one and ends an earlier iteration. A damaged part
   * in the middle is left out with a warning; the iteration throws a `MediaError` if nothing can be read.
   *
   * @param part other frames than those the clip was opened for, or handed out otherwise; what it leaves out stays
   */
  async *frames(part?: ClipPart): AsyncGenerator<ClipFrame, void, undefined> {
    const other = part && checkedPart({ ...this.#options, ...part });
    const run = ++this.#run;
    const [width, height] = other
      ? transformedSize(this.sourceWidth, this.sourceHeight, other.transform ?? {})
      : [this.width, this.height];
    const bytes = width * height * 3;
    const credit = Math.max(QUEUE_FRAMES.least, Math.min(QUEUE_FRAMES.most, Math.floor(QUEUE_BYTES / bytes)));
    this.#queue = [];
    this.#ended = false;
    this.#decoder.post({ type: 'start', run, credit, part: other });
    while (true) {
      const frame = await this.#decoder.wait(() => {
        if (run !== this.#run) return 'superseded';
        return this.#queue.shift() ?? (this.#ended ? 'end' : undefined);
      });
      if (frame === 'end') return;
      if (frame === 'superseded') throw new MediaError(this.path, 'a newer iteration over this clip was started');
      this.#decoder.post({ type: 'credit', run });
      yield frame;
    }
  }

  /** Ends decoding and frees the file. */
  async close(): Promise<void> {
    this.#run++;
    this.#queue = [];
    await this.#decoder.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #take(report: Exclude<DecodeReport, { type: 'failure' }>): void {
    if (report.type === 'opened') this.#info = report.info;
    else if (report.type === 'warning') this.#options.onWarning?.(`${this.path}: ${report.text}`);
    else if (report.type === 'progress' || report.run !== this.#run) return;
    else if (report.type === 'end') this.#ended = true;
    else {
      const { width, height, data, timestamp, duration } = report;
      // The received bytes lie somewhere inside a message; a copy of their own can be handed on freely.
      this.#queue.push({ picture: { width, height, data: new Uint8Array(data) }, timestamp, duration });
    }
  }
}
