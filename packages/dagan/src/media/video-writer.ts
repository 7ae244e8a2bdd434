/** Video files: pixels converted by our code, H.264 or VP9 by the codec library, sound copied or coded anew. */

import { open } from 'node:fs/promises';
import type { Output, OutputFormat, StreamTarget, StreamTargetChunk, VideoSampleSource } from 'mediabunny';
import { loadCodecs, type Mediabunny } from './codecs.js';
import { pictureToI420, type YuvColor } from './color.js';
import { writeAll } from './files.js';
import type { Container, EncodeJob } from './messages.js';
import { originTags, xmpPacket } from './provenance.js';
import type { ReaderEvents, ReaderFrame } from './reader.js';
import { openSound, type SoundTrack } from './sound.js';
import type { FrameSink } from './writer.js';
import { appendXmpBox } from './xmp-box.js';

/** Containers written through the video library. */
export type VideoContainer = Exclude<Container, 'gif' | 'webp' | 'folder'>;

/**
 * The matrix a player expects at this size if it ignores the tags: BT.601 up to standard definition, BT.709 above.
 * Primaries and transfer are those of the pictures, sRGB's.
 */
function outputColor(height: number): { yuv: YuvColor; tags: VideoColorSpaceInit } {
  const matrix = height > 576 ? 'bt709' : 'bt601';
  return {
    yuv: { matrix, fullRange: false },
    tags: {
      primaries: 'bt709',
      transfer: 'bt709',
      matrix: matrix === 'bt709' ? 'bt709' : 'smpte170m',
      fullRange: false,
    },
  };
}

function outputFormat(mb: Mediabunny, container: VideoContainer): OutputFormat {
  switch (container) {
    case 'mp4':
      return new mb.Mp4OutputFormat({ fastStart: false });
    case 'mov':
      return new mb.MovOutputFormat({ fastStart: false });
    case 'webm':
      return new mb.WebMOutputFormat();
    case 'mkv':
      return new mb.MkvOutputFormat();
  }
}

/** A file as target. The library's own does not notice when a full disk takes only a part of what is written. */
async function fileTarget(mb: Mediabunny, path: string): Promise<StreamTarget> {
  const file = await open(path, 'w');
  const writable = new WritableStream<StreamTargetChunk>({
    write: ({ data, position }) => writeAll(file, data, position),
    close: () => file.close(),
  });
  return new mb.StreamTarget(writable, { chunked: true });
}

/** Opens `job.part` as a video file. */
export async function openVideoSink(
  job: EncodeJob,
  container: VideoContainer,
  events: ReaderEvents,
): Promise<FrameSink> {
  const mb = await loadCodecs();
  const color = outputColor(job.height);
  const format = outputFormat(mb, container);
  const output = new mb.Output({ format, target: await fileTarget(mb, job.part) });
  const video = new mb.VideoSampleSource({
    codec: container === 'webm' ? 'vp9' : 'avc',
    quality: new mb.Quality(job.quality),
    onEncodedPacket(_packet, meta) {
      // The encoder tags nothing itself; without this, players guess the matrix, and differently.
      if (meta?.decoderConfig) meta.decoderConfig.colorSpace = color.tags;
    },
  });
  output.addVideoTrack(video, job.frameRate === undefined ? {} : { frameRate: job.frameRate });
  const sound = job.sound && (await openSound(mb, job.sound, output, container, events));
  const { title, comment, origin } = job.metadata ?? {};
  const hasBoxes = container === 'mp4' || container === 'mov';
  output.setMetadataTags({ title, comment, raw: hasBoxes ? {} : originTags(origin) });
  await output.start();
  const packet = hasBoxes ? xmpPacket(job.metadata) : undefined;
  return new VideoSink(mb, output, video, sound, color, async () => {
    if (packet !== undefined) await appendXmpBox(job.part, packet);
  });
}

class VideoSink implements FrameSink {
  private end = 0;

  constructor(
    private readonly mb: Mediabunny,
    private readonly output: Output,
    private readonly video: VideoSampleSource,
    private readonly sound: SoundTrack | undefined,
    private readonly color: ReturnType<typeof outputColor>,
    private readonly complete: () => Promise<void>,
  ) {}

  async add({ picture, timestamp, duration }: ReaderFrame): Promise<void> {
    const { width, height, data } = pictureToI420(picture, this.color.yuv);
    using sample = new this.mb.VideoSample(data, {
      format: 'I420',
      codedWidth: width,
      codedHeight: height,
      timestamp,
      duration,
      colorSpace: this.color.tags,
    });
    await this.video.add(sample);
    this.end = timestamp + duration;
    await this.sound?.addUntil(this.end);
  }

  async finish(): Promise<void> {
    await this.sound?.finish(this.end);
    await this.output.finalize();
    await this.complete();
  }
}
