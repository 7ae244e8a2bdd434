// Frames of video files: mediabunny demuxes and decodes, our code converts the pixels. Runs in Node and in browsers; whoever
// calls brings the library and opens the file.
import type { Input, InputTrack, InputVideoTrack, Source, VideoSample } from 'mediabunny';
import { firstLine, MediaError } from '../errors.js';
import { resizePicture } from '../pictures/resize.js';
import { SampleConverter, yuvColor } from '../pictures/sample.js';
import { checkReadableSize } from '../pictures/size-limit.js';
import { hdrTransfer } from '../pictures/tone-map.js';
import type { DecodeJob, SoundRange } from '../process/messages.js';
import type { Mediabunny } from './codecs.js';
import { type Edit, isShown, type ReadBytes, readEdits, UNEDITED } from './edit-list.js';
import { PacketTimes, type Shown } from './packet-times.js';
import type { FrameReader, ReaderEvents, ReaderFrame } from './reader.js';
import { unknownCoding } from './transport-stream.js';

/** A file as the library's input, of any kind but playlists: they would make reading one file fetch others. */
export function videoInput(mb: Mediabunny, source: Source): Input {
  return new mb.Input({ source, formats: mb.ALL_FORMATS.filter((format) => format !== mb.HLS) });
}

/**
 * Opens the pictures of a video. The input stays the caller's, to dispose of when the last frame has been read.
 *
 * @param read reads the same file byte by byte
 * @param job its `path` names the file in messages
 * @throws MediaError if the input is no video, is damaged from the start, or cannot be decoded
 */
export async function openVideoFrames(
  mb: Mediabunny,
  input: Input,
  read: ReadBytes,
  job: DecodeJob,
  events: ReaderEvents,
): Promise<FrameReader> {
  const { path } = job;
  const track = await videoTrack(mb, input, read, path);
  const [width, height] = [await track.getDisplayWidth(), await track.getDisplayHeight()];
  checkReadableSize(path, width, height);

  const indexed = await isIndexed(mb, input);
  const editsOf = async ({ id }: InputTrack): Promise<readonly Edit[]> =>
    indexed ? readEdits(read, path, id) : UNEDITED;
  const soundTrack = await input.getPrimaryAudioTrack();
  const edits = await editsOf(track);
  return openPart(job, {
    ...{ mb, track, width, height, indexed, edits, events },
    times: new PacketTimes(new mb.EncodedPacketSink(track), edits, indexed, () => events.progress()),
    soundEdits: soundTrack ? await editsOf(soundTrack) : undefined,
  });
}

/** What is known of a file whatever frames are asked for. */
type Opened = {
  mb: Mediabunny;
  track: InputVideoTrack;
  width: number;
  height: number;
  indexed: boolean;
  edits: readonly Edit[];
  times: PacketTimes;
  /** The edits of its sound, if it has any. */
  soundEdits: readonly Edit[] | undefined;
  events: ReaderEvents;
};

async function openPart(job: DecodeJob, file: Opened): Promise<FrameReader> {
  const { path, start } = job;
  const { mb, track, width, height, indexed, edits, events, soundEdits } = file;
  const { shown, complete } = await file.times.upTo(job);
  const first = shown[start];
  if (first === undefined) {
    const count = shown.length;
    if (count === 0) throw new MediaError(path, 'has no pictures; the file is damaged or cut off');
    throw new MediaError(path, `has ${count} frames, so there is no frame ${start} (the first is 0)`);
  }
  const firstTime = first.time;
  const { frameRate, constant } = frameRateOf(shown.map(({ time }) => time));
  const endTime = job.end === undefined ? undefined : shown[job.end]?.time;
  const lastEdit = edits[edits.length - 1]!;
  const editedEnd = lastEdit.end + lastEdit.shift;
  const declared = await track.getDurationFromMetadata();
  const lastTime = complete ? shown[shown.length - 1]?.time : undefined;
  const trackEnd = lastTime === undefined ? declared : lastTime + 1 / frameRate;
  const clipEnd = endTime ?? (trackEnd === null ? null : Math.min(trackEnd, editedEnd));
  const duration = clipEnd === null ? undefined : Math.max(0, clipEnd - firstTime);
  const counted = complete ? Math.min(job.end ?? Infinity, shown.length) - start : undefined;
  const estimated = duration === undefined ? undefined : Math.round(duration * frameRate);

  const listed = indexed && complete; // then missing frames are noticed one by one
  const declaredEnd = endTime === undefined && !listed ? (declared ?? undefined) : undefined;
  const range: Range = {
    path,
    events,
    width,
    height,
    parts: partsOf(edits, shown, job),
    firstTime,
    endTime: endTime ?? editedEnd,
    count: counted,
    declaredEnd,
    frameRate,
    every: job.every ?? 1,
  };

  const sound: SoundRange | undefined = soundEdits && {
    ...{ path, start: firstTime, end: endTime, fromBeginning: start === 0, duration, edits: soundEdits },
  };
  return {
    info: {
      kind: 'video',
      width,
      height,
      frameRate,
      constantFrameRate: constant,
      frameCount: counted ?? estimated,
      duration,
      sound,
    },
    frames: () => new FrameIteration(mb, track, range).run(),
    part: (other) => openPart(other, file),
  };
}

/** The track to read; all the ways in which a file can turn out to have none become plain words. */
async function videoTrack(mb: Mediabunny, input: Input, read: ReadBytes, path: string): Promise<InputVideoTrack> {
  let track: InputVideoTrack | null;
  try {
    track = await input.getPrimaryVideoTrack();
    const unknown = track ? undefined : await unknownCoding(read);
    if (unknown !== undefined) throw new MediaError(path, notDecoded(unknown));
    if (!track && (await input.getPrimaryAudioTrack())) throw new MediaError(path, 'has sound but no video track');
  } catch (error) {
    if (error instanceof MediaError) throw error;
    if (error instanceof mb.UnsupportedInputFormatError) {
      throw new MediaError(path, 'is not a video (mp4, mov, webm, mkv, ts), an animation (gif, webp) or a picture');
    }
    throw new MediaError(path, `is damaged: ${firstLine(error)}`, { cause: error });
  }
  if (!track) throw new MediaError(path, 'has no video track; the file is damaged or cut off');
  if (!(await track.canDecode())) {
    const codec = (await track.getCodec()) ?? (await track.getInternalCodecId()) ?? 'unknown';
    throw new MediaError(path, notDecoded(`'${String(codec)}'`));
  }
  return track;
}

const notDecoded = (coding: string): string =>
  `is coded as ${coding}, which cannot be decoded here; convert it to H.264 first, for example with: ffmpeg -i IN OUT.mp4`;

async function isIndexed(mb: Mediabunny, input: Input): Promise<boolean> {
  return (await input.getFormat()) instanceof mb.IsobmffInputFormat;
}

/** A stretch of the file that is decoded in one go. */
type Part = {
  edit: Edit;
  /** Where to begin, in the file's time. */
  from: number;
  /** Where to stop; absent: with the edit. */
  to?: number;
};

/** The stretches of the file that hold the frames of a range. */
function partsOf(edits: readonly Edit[], shown: readonly Shown[], { start, end = Infinity }: DecodeJob): Part[] {
  return edits.flatMap((edit) => {
    const first = shown.findIndex((frame, index) => index >= start && frame.edit === edit);
    if (first < 0 || first >= end) return [];
    const next = shown[end];
    return [{ edit, from: shown[first]!.stored, to: next?.edit === edit ? next.stored : undefined }];
  });
}

/** Average rate, put onto a customary one (integer, or integer times 1000/1001) if it is within 0.1 %. */
function frameRateOf(times: number[]): { frameRate: number; constant: boolean } {
  const first = times[0] ?? 0;
  const span = (times[times.length - 1] ?? 0) - first;
  if (times.length < 2 || !(span > 0)) return { frameRate: 25, constant: true };
  const measured = (times.length - 1) / span;
  const customary = [Math.round(measured), (Math.round((measured * 1001) / 1000) * 1000) / 1001];
  const near = customary.find((rate) => Math.abs(rate - measured) < measured * 1e-3);
  const frameRate = near ?? measured;
  // Matroska rounds to milliseconds; beyond that a frame may be off its place by a tenth of a frame.
  const tolerance = Math.max(0.0011, 0.1 / frameRate);
  const constant = times.every((time, index) => Math.abs(time - first - index / frameRate) <= tolerance);
  return { frameRate, constant };
}

type Range = {
  path: string;
  events: ReaderEvents;
  /** Size of every frame, whatever that of its coded picture is. */
  width: number;
  height: number;
  parts: readonly Part[];
  /** Where the range begins and ends in the presentation; `Infinity` for the end of the file. */
  firstTime: number;
  endTime: number;
  /** Number of frames there should be, where known. */
  count: number | undefined;
  /** Where the file says that it ends, if it has no list of its frames. */
  declaredEnd: number | undefined;
  frameRate: number;
  /** One of so many frames is handed out. */
  every: number;
};

type Held = { frame: ReaderFrame; time: number };

/** One pass over the frames of the range; goes on at the next key frame after a damaged part. */
class FrameIteration {
  readonly #mb: Mediabunny;
  readonly #track: InputVideoTrack;
  readonly #range: Range;
  /** Frames decoded so far, and when the last of them is shown. */
  #decoded = 0;
  #lastTime: number | undefined;
  /** The first error of the decoder. */
  #problem: unknown;
  #converter = new SampleConverter();
  /** Held back until the next frame tells how long it is shown. */
  #held: Held | undefined;

  constructor(mb: Mediabunny, track: InputVideoTrack, range: Range) {
    this.#mb = mb;
    this.#track = track;
    this.#range = range;
  }

  async *run(): AsyncGenerator<ReaderFrame, void, undefined> {
    const { parts, firstTime, endTime, path } = this.#range;
    for (const part of parts) yield* this.#part(part);
    const last = this.#held;
    if (last) {
      const end = Math.min(endTime, last.time + last.frame.duration);
      yield { ...last.frame, duration: Math.max(0, end - last.time) || 1 / this.#range.frameRate };
    }
    if (this.#decoded === 0) {
      const why = this.#problem === undefined ? 'no frame could be decoded' : firstLine(this.#problem);
      throw new MediaError(path, `is damaged: ${why}`, { cause: this.#problem });
    }
    this.#warnOfLosses(this.#lastTime ?? firstTime);
  }

  async *#part(part: Part): AsyncGenerator<ReaderFrame, void, undefined> {
    const to = part.to ?? (part.edit.end === Infinity ? undefined : part.edit.end);
    let from: number | undefined = part.from;
    while (from !== undefined) {
      let reached: number = from;
      let broken = false;
      const samples = new this.#mb.VideoSampleSink(this.#track).samples(from, to);
      try {
        for await (const sample of samples) {
          using owned = sample;
          reached = owned.timestamp;
          const frame = await this.#convert(owned, part);
          if (frame) yield frame;
        }
      } catch (error) {
        this.#problem ??= error;
        broken = true;
      }
      from = broken ? await this.#nextKeyTime(reached, to) : undefined;
    }
  }

  /** Converts a sample and returns the one before it, whose duration is now known. */
  async #convert(sample: VideoSample, { edit, from }: Part): Promise<ReaderFrame | undefined> {
    const { firstTime, width, height } = this.#range;
    const time = sample.timestamp + edit.shift;
    const before = this.#held;
    // The seek may land on the frame that is being shown at that time; after damage frames could come twice.
    const again = this.#lastTime !== undefined && time <= this.#lastTime;
    if (!isShown(sample.timestamp, edit) || sample.timestamp < from - 1e-6 || again) {
      this.#range.events.progress();
      return undefined;
    }
    const ended = before && { ...before.frame, duration: time - before.time };
    if (this.#decoded % this.#range.every !== 0) {
      this.#range.events.progress();
      this.#advance(time, undefined);
      return ended;
    }
    const tags = await this.#track.getColorSpace();
    const color = yuvColor({
      matrix: tags.matrix ?? sample.colorSpace.matrix,
      fullRange: sample.colorSpace.fullRange ?? tags.fullRange,
    });
    let picture = await this.#converter.toPicture(sample, color, hdrTransfer(tags.transfer));
    // A recording may change its size on the way: a camera that is turned, a call with a poor connection.
    if (picture.width !== width || picture.height !== height) picture = resizePicture(picture, width, height);
    this.#advance(time, { time, frame: { picture, timestamp: time - firstTime, duration: sample.duration } });
    return ended;
  }

  #advance(time: number, held: Held | undefined): void {
    this.#decoded++;
    this.#lastTime = time;
    this.#held = held;
  }

  async #nextKeyTime(after: number, to: number | undefined): Promise<number | undefined> {
    const sink = new this.#mb.EncodedPacketSink(this.#track);
    try {
      const here = await sink.getPacket(after, { metadataOnly: true });
      const next = here && (await sink.getNextKeyPacket(here, { metadataOnly: true }));
      if (!next || next.timestamp <= after) return undefined;
      return to === undefined || next.timestamp < to ? next.timestamp : undefined;
    } catch {
      return undefined; // the index itself is damaged: what was read so far is all there is
    }
  }

  #warnOfLosses(lastTime: number): void {
    const problem = this.#problem;
    const { count, declaredEnd, events } = this.#range;
    const missing = count === undefined ? 0 : count - this.#decoded;
    if (missing > 0) {
      events.warning(`the file is damaged or cut off: ${this.#decoded} of ${count} frames could be read`);
    } else if (declaredEnd !== undefined && lastTime < 0.9 * declaredEnd - 1) {
      const [seen, said] = [lastTime.toFixed(1), declaredEnd.toFixed(1)];
      events.warning(`the file is damaged or cut off: it ends after ${seen} of ${said} seconds`);
    } else if (problem !== undefined) {
      events.warning(`a part of the file is damaged (${firstLine(problem)}); the frames there were left out`);
    }
  }
}
