// Video files as a reader.
import type { DecodeJob } from '../process/messages.js';
import { loadCodecs } from './codecs.js';
import type { FrameReader, ReaderEvents } from './reader.js';
import { openVideoFrames, videoInput } from './video-frames.js';

/** Opens a video file. Throws a `MediaError`. */
export async function openVideo(job: DecodeJob, events: ReaderEvents): Promise<FrameReader> {
  const mb = await loadCodecs();
  return openVideoFrames(mb, videoInput(mb, new mb.FilePathSource(job.path)), job, events);
}
