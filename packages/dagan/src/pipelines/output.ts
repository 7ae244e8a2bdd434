// Where the frames of an animation go: a clip, or a picture where there is but one.
import { extname } from 'node:path';
import { MediaError } from '../media/errors.js';
import { writePicture } from '../media/pictures/images.js';
import type { Picture } from '../media/pictures/picture.js';
import {
  type ClipWriterOptions,
  containerOf,
  createClipWriter,
  holdsAlpha,
  WITHOUT_ALPHA,
} from '../media/process/clip-writer.js';

/** What frames are added to. Nothing is seen under its path before `finish`. */
export type Output = AsyncDisposable & {
  readonly frameCount: number;
  add(picture: Picture, timestamp?: number, duration?: number): Promise<void>;
  finish(): Promise<void>;
};

/** Whether a name is that of a picture, and of no clip. */
export const isPictureOutput = (path: string): boolean =>
  ['.png', '.jpg', '.jpeg'].includes(extname(path).toLowerCase());

/** Whether it is a video, which may have sound and whose sides are even. */
export const isVideoOutput = (path: string): boolean =>
  !isPictureOutput(path) && !['gif', 'webp', 'folder'].includes(containerOf(path));

/**
 * Checks the name of an output: pictures take one frame, and few kinds of file are transparent.
 *
 * @param isOne whether one frame comes out
 * @throws MediaError that says what outputs there are
 */
export function checkOutput(path: string, { isOne, transparent }: { isOne: boolean; transparent: boolean }): void {
  const picture = isOne && isPictureOutput(path);
  const keepsAlpha = picture ? extname(path).toLowerCase() === '.png' : holdsAlpha(path);
  if (transparent && !keepsAlpha) throw new MediaError(path, WITHOUT_ALPHA);
}

/** Begins an output. @throws MediaError if it cannot be written */
export async function createOutput(path: string, options: ClipWriterOptions): Promise<Output> {
  return isPictureOutput(path) ? new PictureOutput(path, options) : createClipWriter(path, options);
}

class PictureOutput implements Output {
  frameCount = 0;
  #picture: Picture | undefined;
  readonly #path: string;
  readonly #metadata: ClipWriterOptions['metadata'];

  constructor(path: string, { metadata, signer }: ClipWriterOptions) {
    if (signer) throw new MediaError(path, 'pictures are not signed; name a clip (.mp4 .mov .gif .webp)');
    this.#path = path;
    this.#metadata = metadata;
  }

  async add(picture: Picture): Promise<void> {
    this.frameCount++;
    this.#picture ??= picture;
  }

  async finish(): Promise<void> {
    if (!this.#picture) throw new MediaError(this.#path, 'is not written as it would have no frames');
    await writePicture(this.#path, this.#picture, { metadata: this.#metadata });
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
