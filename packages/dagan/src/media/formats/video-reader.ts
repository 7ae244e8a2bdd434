// Video files as a reader.
import { open } from 'node:fs/promises';
import type { DecodeJob } from '../process/messages.js';
import { loadCodecs } from './codecs.js';
import type { ReadBytes } from './edit-list.js';
import type { FrameReader, ReaderEvents } from './reader.js';
import { openVideoFrames, videoInput } from './video-frames.js';

/** Reads parts of a file; it stays open as long as the process, as the clip does. */
async function readerOf(path: string): Promise<ReadBytes> {
  const file = await open(path);
  return async (start, end) => {
    const bytes = new Uint8Array(end - start);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, start);
    return bytes.subarray(0, bytesRead);
  };
}

/** Opens a video file. Throws a `MediaError`. */
export async function openVideo(job: DecodeJob, events: ReaderEvents): Promise<FrameReader> {
  const mb = await loadCodecs();
  return openVideoFrames(mb, videoInput(mb, new mb.FilePathSource(job.path)), await readerOf(job.path), job, events);
}
