// Video files: H.264 or VP9 in the containers that players know.
import { open } from 'node:fs/promises';
import type { StreamTarget, StreamTargetChunk } from 'mediabunny';
import { writeAll } from '../files.js';
import type { EncodeJob, VideoContainer } from '../process/messages.js';
import { xmpPacket } from '../provenance/provenance.js';
import { appendXmpBox } from '../provenance/xmp-box.js';
import { loadCodecs, type Mediabunny } from './codecs.js';
import type { ReaderEvents } from './reader.js';
import { openVideoSink, takesXmp } from './video-sink.js';
import type { FrameSink } from './writer.js';

/** A file as target. The library's own does not notice when a full disk takes only a part of what is written. */
async function fileTarget(mb: Mediabunny, path: string): Promise<StreamTarget> {
  const file = await open(path, 'w');
  const writable = new WritableStream<StreamTargetChunk>({
    write: ({ data, position }) => writeAll(file, data, position),
    close: () => file.close(),
  });
  return new mb.StreamTarget(writable, { chunked: true });
}

/** FFmpeg's AAC encoder begins with a block of silence, for which the library moves all that follows. */
const AAC_DELAY = 1024;

/** Opens `job.part` as a video file. */
export async function openVideoFile(
  job: EncodeJob,
  container: VideoContainer,
  events: ReaderEvents,
): Promise<FrameSink> {
  const mb = await loadCodecs();
  const { part, sound, height, frameRate, quality, metadata, alpha } = job;
  const sink = await openVideoSink(
    mb,
    {
      container,
      codec: container === 'webm' ? 'vp9' : 'avc',
      target: await fileTarget(mb, part),
      sound: sound && { source: new mb.FilePathSource(sound.path), range: sound, aacDelay: AAC_DELAY },
      ...{ height, frameRate, quality, metadata, alpha },
    },
    events,
  );
  const packet = takesXmp(container) ? xmpPacket(metadata) : undefined;
  return {
    add: (frame) => sink.add(frame),
    finish: async () => {
      await sink.finish();
      if (packet !== undefined) await appendXmpBox(part, packet);
    },
  };
}
