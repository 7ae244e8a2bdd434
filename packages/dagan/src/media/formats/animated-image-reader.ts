// Animated GIF and WebP files, and single pictures, as a reader.
import { readFile } from 'node:fs/promises';
import sharp, { type Metadata } from 'sharp';
import { MediaError } from '../errors.js';
import { imageReason, packChannels, pictureOf } from '../pictures/images.js';
import type { Picture } from '../pictures/picture.js';
import { checkReadableSize } from '../pictures/size-limit.js';
import type { DecodeJob } from '../process/messages.js';
import type { FrameReader, ReaderEvents, ReaderFrame } from './reader.js';

/** Decoded bytes held at a time. Each batch decodes the file anew from its start, so fewer batches are faster. */
const BATCH_BYTES = 64 * 2 ** 20;

/** A delay of 0 or 10 ms in a file is shown by browsers as this. */
const DEFAULT_DELAY_MS = 100;

/** Opens an image file, animated or not. Throws a `MediaError`. */
export async function openAnimation(job: DecodeJob, events: ReaderEvents): Promise<FrameReader> {
  const bytes = await readFile(job.path);
  let metadata: Metadata;
  try {
    metadata = await sharp(bytes, { animated: true, limitInputPixels: false }).metadata();
  } catch (error) {
    throw new MediaError(job.path, `cannot be read: ${imageReason(error)}`, { cause: error });
  }
  const total = metadata.pages ?? 1;
  if (total === 1) return stillReader(job, await pictureOf(job.path, bytes, (text) => events.warning(text)));
  const { width, height } = metadata.autoOrient;
  const pageHeight = metadata.pageHeight ?? height;
  checkReadableSize(job.path, width, pageHeight); // in place of sharp's limit, which counts all frames together
  const last = Math.min(job.end ?? total, total);
  if (job.start >= total) {
    throw new MediaError(job.path, `has ${total} frames, so there is no frame ${job.start} (the first is 0)`);
  }
  const delays = Array.from({ length: total }, (_, page) => {
    const delay = metadata.delay?.[page] ?? DEFAULT_DELAY_MS;
    return delay <= 10 ? DEFAULT_DELAY_MS : delay;
  }).slice(job.start, last);
  const duration = delays.reduce((sum, delay) => sum + delay, 0) / 1000;
  const batch = Math.max(1, Math.floor(BATCH_BYTES / (width * pageHeight * 4)));

  async function* frames(): AsyncGenerator<ReaderFrame, void, undefined> {
    let shownAt = 0;
    for (let page = job.start; page < last; page += batch) {
      const pages = Math.min(batch, last - page);
      const strip = await decodePages(job.path, bytes, page, pages);
      const size = strip.data.length / pages;
      for (let i = 0; i < pages; i++) {
        const index = page + i - job.start;
        const delay = delays[index] ?? DEFAULT_DELAY_MS;
        if (index % (job.every ?? 1) === 0) {
          const data = strip.data.slice(i * size, (i + 1) * size);
          const picture = { width: strip.width, height: strip.height / pages, data };
          yield { picture, timestamp: shownAt / 1000, duration: delay / 1000 };
        }
        shownAt += delay;
      }
    }
  }

  return {
    info: {
      kind: 'animation',
      width,
      height: pageHeight,
      frameRate: delays.length / duration,
      constantFrameRate: delays.every((delay) => delay === delays[0]),
      frameCount: delays.length,
      duration,
    },
    frames,
  };
}

/** A picture as a clip of one frame. */
function stillReader(job: DecodeJob, picture: Picture): FrameReader {
  if (job.start > 0) throw new MediaError(job.path, `has 1 frame, so there is no frame ${job.start} (the first is 0)`);
  const duration = DEFAULT_DELAY_MS / 1000;
  return {
    info: {
      kind: 'image',
      width: picture.width,
      height: picture.height,
      frameRate: 1 / duration,
      constantFrameRate: true,
      frameCount: 1,
      duration,
    },
    async *frames() {
      yield { picture: { ...picture, data: picture.data.slice() }, timestamp: 0, duration };
    },
  };
}

/** Pages one below the other, as 8-bit RGB on white. */
async function decodePages(path: string, bytes: Buffer, page: number, pages: number) {
  try {
    const { data, info } = await sharp(bytes, { page, pages, failOn: 'truncated', limitInputPixels: false })
      .autoOrient()
      .flatten({ background: '#ffffff' })
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    return packChannels(data, info.width, info.height, info.channels);
  } catch (error) {
    throw new MediaError(path, `frame ${page} cannot be decoded: ${imageReason(error)}`, { cause: error });
  }
}
