// Video being written: pixels converted by our code, coded by the codec library, sound copied or coded anew. Runs in Node and
// in browsers; whoever calls brings the library and the place to write to.
import type { Output, OutputFormat, Target, VideoCodec, VideoSampleSource } from 'mediabunny';
import { pictureToI420, type YuvColor } from '../pictures/color.js';
import type { Picture } from '../pictures/picture.js';
import type { Quality, VideoContainer } from '../process/messages.js';
import { type MediaMetadata, originTags } from '../provenance/provenance.js';
import type { Mediabunny } from './codecs.js';
import type { ReaderEvents, ReaderFrame } from './reader.js';
import { openSound, type Sound, type SoundTrack } from './sound.js';
import type { FrameSink } from './writer.js';

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

function outputFormat(mb: Mediabunny, container: VideoContainer, indexFirst: boolean): OutputFormat {
  const fastStart = indexFirst ? 'in-memory' : false;
  switch (container) {
    case 'mp4':
      return new mb.Mp4OutputFormat({ fastStart });
    case 'mov':
      return new mb.MovOutputFormat({ fastStart });
    case 'webm':
      return new mb.WebMOutputFormat();
    case 'mkv':
      return new mb.MkvOutputFormat();
  }
}

/** What is written, and where to. */
export type VideoSinkOptions = {
  container: VideoContainer;
  codec: VideoCodec;
  target: Target;
  /** Rows of the pictures; decides on the matrix of their colours. */
  height: number;
  /** Frames per second where constant. */
  frameRate?: number;
  quality: Quality;
  /** Pictures bring how opaque their pixels are (VP9 in webm and mkv). */
  alpha?: boolean;
  sound?: Sound;
  /** Title and comment; what Matroska can say of the origin. The XMP packet of the others is added to the finished file. */
  metadata?: MediaMetadata;
  /** Puts the index of mp4 and mov first, so that players can start before they have all; takes the file's size in memory. */
  indexFirst?: boolean;
};

/** Whether files of this kind hold an XMP packet, in a box of their own. */
export const takesXmp = (container: VideoContainer): boolean => container === 'mp4' || container === 'mov';

/** Starts a video. The sink's `finish` completes it. */
export async function openVideoSink(
  mb: Mediabunny,
  options: VideoSinkOptions,
  events: ReaderEvents,
): Promise<FrameSink> {
  const { container, frameRate } = options;
  const color = outputColor(options.height);
  const output = new mb.Output({
    format: outputFormat(mb, container, options.indexFirst === true),
    target: options.target,
  });
  const video = new mb.VideoSampleSource({
    codec: options.codec,
    quality: new mb.Quality(options.quality),
    alpha: options.alpha ? 'keep' : 'discard',
    onEncodedPacket(_packet, meta) {
      // The encoder tags nothing itself; without this, players guess the matrix, and differently.
      if (meta?.decoderConfig) meta.decoderConfig.colorSpace = color.tags;
    },
  });
  output.addVideoTrack(video, frameRate === undefined ? {} : { frameRate });
  const sound = options.sound && (await openSound(mb, options.sound, output, container, events));
  const { title, comment, origin } = options.metadata ?? {};
  output.setMetadataTags({ title, comment, raw: takesXmp(container) ? {} : originTags(origin) });
  await output.start();
  return new VideoSink(mb, output, video, sound, color);
}

class VideoSink implements FrameSink {
  readonly #mb: Mediabunny;
  readonly #output: Output;
  readonly #video: VideoSampleSource;
  readonly #sound: SoundTrack | undefined;
  readonly #color: ReturnType<typeof outputColor>;
  #end = 0;

  constructor(
    mb: Mediabunny,
    output: Output,
    video: VideoSampleSource,
    sound: SoundTrack | undefined,
    color: ReturnType<typeof outputColor>,
  ) {
    this.#mb = mb;
    this.#output = output;
    this.#video = video;
    this.#sound = sound;
    this.#color = color;
  }

  async add({ picture, timestamp, duration }: ReaderFrame): Promise<void> {
    const { width, height, data: planes } = pictureToI420(picture, this.#color.yuv);
    const data = picture.alpha ? withAlphaPlane(planes, picture, width, height) : planes;
    using sample = new this.#mb.VideoSample(data, {
      format: picture.alpha ? 'I420A' : 'I420',
      codedWidth: width,
      codedHeight: height,
      timestamp,
      duration,
      colorSpace: this.#color.tags,
    });
    await this.#video.add(sample);
    this.#end = timestamp + duration;
    await this.#sound?.addUntil(this.#end);
  }

  async finish(): Promise<void> {
    await this.#sound?.finish(this.#end);
    await this.#output.finalize();
  }
}

/** The planes and how opaque each pixel is, of an even size: an odd last column or row is repeated. */
function withAlphaPlane(planes: Uint8Array, picture: Picture, width: number, height: number): Uint8Array {
  const joined = new Uint8Array(planes.length + width * height);
  joined.set(planes);
  for (let row = 0, to = planes.length; row < height; row++) {
    const from = Math.min(row, picture.height - 1) * picture.width;
    for (let column = 0; column < width; column++) {
      joined[to++] = picture.alpha![from + Math.min(column, picture.width - 1)]!;
    }
  }
  return joined;
}
