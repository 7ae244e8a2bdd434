// Where live pictures go: a virtual camera of the system, or a clip.
import type { Picture } from '../pictures/picture.js';
import { type ClipWriter, createClipWriter } from '../process/clip-writer.js';
import type { MediaMetadata } from '../provenance/provenance.js';
import { Ffmpeg, isDevice, requireDevice } from './ffmpeg.js';

/** What pictures are shown to, one at a time. */
export type LiveOutput = AsyncDisposable & {
  /** Shows a picture until the next one. @param seconds since the first */
  show(picture: Picture, seconds: number): Promise<void>;
  /** Completes what is written; a clip is seen under its path only then. */
  finish(): Promise<void>;
};

export type LiveOutputOptions = {
  /** Size of every picture. */
  width: number;
  height: number;
  metadata?: MediaMetadata;
  onWarning?: (text: string) => void;
};

/** Opens a device under /dev, or begins a clip. @throws MediaError if it is not there or cannot be written */
export async function openLiveOutput(path: string, options: LiveOutputOptions): Promise<LiveOutput> {
  return isDevice(path) ? new DeviceOutput(path, options) : new ClipOutput(await createClipWriter(path, options));
}

const MISSING =
  'there is no such virtual camera; make one with v4l2loopback ' +
  '(apt install v4l2loopback-dkms; modprobe v4l2loopback video_nr=10 exclusive_caps=1)';

/** Checks before any work what can be checked. @throws MediaError if the device is not there, or FFmpeg is not installed */
export const requireVirtualCamera = (path: string): void => requireDevice(path, MISSING);

/** Pictures a second that the device is told of; it shows them when they come. */
const TOLD_RATE = 30;

/** A virtual camera (v4l2loopback), written by FFmpeg. */
class DeviceOutput implements LiveOutput {
  readonly #ffmpeg: Ffmpeg;

  constructor(path: string, { width, height }: LiveOutputOptions) {
    const words = [
      ...['-f', 'rawvideo', '-pix_fmt', 'rgb24', '-video_size', `${width}x${height}`, '-framerate', `${TOLD_RATE}`],
      ...['-i', '-', '-vf', 'pad=ceil(iw/2)*2:ceil(ih/2)*2', '-f', 'v4l2', '-pix_fmt', 'yuv420p', path],
    ];
    this.#ffmpeg = new Ffmpeg(path, words, MISSING);
  }

  show({ data }: Picture): Promise<void> {
    return this.#ffmpeg.write(data);
  }

  finish(): Promise<void> {
    return this.#ffmpeg.finish();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#ffmpeg.close();
  }
}

/** Seconds for which a clip's last picture is shown: nothing came after it that would tell. */
const LAST = 1 / 25;

/** A clip of variable rate. */
class ClipOutput implements LiveOutput {
  readonly #writer: ClipWriter;
  #last: { picture: Picture; seconds: number } | undefined;

  constructor(writer: ClipWriter) {
    this.#writer = writer;
  }

  async show(picture: Picture, seconds: number): Promise<void> {
    await this.#addLast(seconds);
    this.#last = { picture, seconds };
  }

  async finish(): Promise<void> {
    if (this.#last) await this.#addLast(this.#last.seconds + LAST);
    await this.#writer.finish();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#writer[Symbol.asyncDispose]();
  }

  async #addLast(until: number): Promise<void> {
    if (!this.#last) return;
    const { picture, seconds } = this.#last;
    await this.#writer.add(picture, seconds, Math.max(0.001, until - seconds));
  }
}
