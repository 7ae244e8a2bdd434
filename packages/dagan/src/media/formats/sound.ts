// The sound that goes with a written video: packets are copied where the container takes them, else coded anew. Runs in Node
// and in browsers.
import type {
  AudioCodec,
  AudioSample,
  AudioSampleSource,
  EncodedAudioPacketSource,
  EncodedPacket,
  Input,
  InputAudioTrack,
  Output,
  Source,
} from 'mediabunny';
import { firstLine } from '../errors.js';
import type { SoundRange } from '../process/messages.js';
import type { Mediabunny } from './codecs.js';
import type { ReaderEvents } from './reader.js';
import type { VideoContainer } from './video-sink.js';

/** The file that holds the sound, and which part of it goes along. */
export type Sound = { source: Source; range: Omit<SoundRange, 'path'> };

/** A sound track being filled beside the pictures, which keeps the two interleaved in the file. */
export type SoundTrack = {
  /** Adds the sound up to `time` seconds of the output. */
  addUntil(time: number): Promise<void>;
  /** Adds the rest; `videoEnd` is where the pictures of the output end. */
  finish(videoEnd: number): Promise<void>;
};

/** Codecs that are copied, by container: what its usual players understand. Matroska takes all that mediabunny can put there. */
const COPIED: Partial<Record<VideoContainer, readonly AudioCodec[]>> = {
  mp4: ['aac', 'mp3', 'opus', 'ac3', 'eac3'],
  mov: ['aac', 'mp3', 'ac3', 'eac3', 'pcm-s16', 'pcm-s16be', 'pcm-s24', 'pcm-s24be', 'pcm-f32', 'pcm-f32be'],
  webm: ['opus', 'vorbis'],
};

/** Codecs need some sound before the cut to start cleanly; players skip it where the container can say so (mp4, mov). */
const LEAD_IN_SECONDS = 0.1;

/** Samples per block given to an encoder. They are all equal: the library's encoder fails on blocks that grow. */
const BLOCK = 1024;

/**
 * Adds a track for that part of the sound to an output that has not started. Returns nothing, after a warning, where there is no
 * way to carry the sound.
 */
export async function openSound(
  mb: Mediabunny,
  { source, range }: Sound,
  output: Output,
  container: VideoContainer,
  events: ReaderEvents,
): Promise<SoundTrack | undefined> {
  const input = new mb.Input({ source, formats: mb.ALL_FORMATS });
  try {
    const track = await input.getPrimaryAudioTrack();
    const codec = await track?.getCodec();
    if (!track || !codec) throw new Error('the sound is coded in a way not known here');
    const copied = COPIED[container] ?? output.format.getSupportedAudioCodecs();
    const cut = new Cut(range, container === 'mp4' || container === 'mov');
    const feed = copied.includes(codec)
      ? await copyPackets(mb, track, codec, output, cut)
      : await encodeAnew(mb, track, output, cut, container === 'webm' ? 'opus' : 'aac');
    return new FedTrack(input, feed, cut, events);
  } catch (error) {
    input.dispose();
    events.warning(`written without sound: ${firstLine(error)}`);
    return undefined;
  }
}

/** Which part of the sound is wanted, and its place in the output. */
class Cut {
  /** Seconds of the sound's file that become 0 in the output. */
  readonly origin: number;
  /** First second of the file that is taken. */
  readonly first: number;
  /** Second of the file before which to stop. */
  end: number;

  constructor(
    readonly range: Sound['range'],
    leadIn: boolean,
  ) {
    this.origin = range.start;
    this.first = range.start - (leadIn ? LEAD_IN_SECONDS : 0);
    this.end = range.end ?? Infinity;
  }

  /** Stops with the pictures where fewer of them were written than the clip has. */
  endWith(videoEnd: number): void {
    const { duration } = this.range;
    if (duration === undefined || videoEnd < duration - 0.1) this.end = Math.min(this.end, this.origin + videoEnd);
  }
}

/** Steps through the sound: adds one piece and says where in the file the next one starts, or that there is none. */
type Feed = {
  next(): Promise<number | undefined>;
  finish(): Promise<void>;
};

class FedTrack implements SoundTrack {
  readonly #input: Input;
  readonly #feed: Feed;
  readonly #cut: Cut;
  readonly #events: ReaderEvents;
  #reached = -Infinity;
  #ended = false;

  constructor(input: Input, feed: Feed, cut: Cut, events: ReaderEvents) {
    this.#input = input;
    this.#feed = feed;
    this.#cut = cut;
    this.#events = events;
  }

  async addUntil(time: number): Promise<void> {
    const until = Math.min(this.#cut.end, this.#cut.origin + time);
    while (!this.#ended && this.#reached < until) {
      try {
        const reached = await this.#feed.next();
        if (reached === undefined) this.#ended = true;
        else this.#reached = reached;
      } catch (error) {
        this.#ended = true;
        this.#events.warning(`the sound stops early, its source is damaged: ${firstLine(error)}`);
      }
      this.#events.progress();
    }
  }

  async finish(videoEnd: number): Promise<void> {
    this.#cut.endWith(videoEnd);
    await this.addUntil(Infinity);
    await this.#feed.finish();
    this.#input.dispose();
  }
}

async function copyPackets(
  mb: Mediabunny,
  track: InputAudioTrack,
  codec: AudioCodec,
  output: Output,
  cut: Cut,
): Promise<Feed> {
  const decoderConfig = (await track.getDecoderConfig()) ?? undefined;
  const source: EncodedAudioPacketSource = new mb.EncodedAudioPacketSource(codec);
  output.addAudioTrack(source);
  const sink = new mb.EncodedPacketSink(track);
  const start = (await sink.getPacket(cut.first)) ?? undefined;
  const packets = sink.packets(start);
  let coming: EncodedPacket | undefined;
  const advance = async () => {
    const result = await packets.next();
    coming = result.done === true ? undefined : result.value;
  };
  return {
    async next() {
      if (!coming) await advance();
      while (coming && coming.timestamp < cut.first - 1e-6) await advance();
      if (!coming || coming.timestamp >= cut.end - 1e-6) return undefined;
      await source.add(coming.clone({ timestamp: coming.timestamp - cut.origin }), { decoderConfig });
      await advance();
      return coming?.timestamp;
    },
    async finish() {
      await packets.return();
    },
  };
}

async function encodeAnew(
  mb: Mediabunny,
  track: InputAudioTrack,
  output: Output,
  cut: Cut,
  codec: 'aac' | 'opus',
): Promise<Feed> {
  if (!(await track.canDecode()))
    throw new Error(`the sound's codec (${await track.getCodec()}) cannot be decoded here`);
  const sampleRate = codec === 'opus' ? 48_000 : await track.getSampleRate();
  const blocks = new EqualBlocks(mb);
  const source: AudioSampleSource = new mb.AudioSampleSource({
    codec,
    quality: new mb.Quality('high'),
    transform: { sampleRate, process: (sample) => blocks.take(sample) },
  });
  output.addAudioTrack(source);
  const samples = new mb.AudioSampleSink(track).samples(Math.max(cut.origin, 0), cut.end);
  let last: { end: number; channels: number; rate: number } | undefined;
  return {
    async next() {
      const result = await samples.next();
      if (result.done === true) return undefined;
      using sample = result.value;
      const rate = sample.sampleRate;
      const from = Math.max(0, Math.round((cut.origin - sample.timestamp) * rate));
      const to = Math.min(sample.numberOfFrames, Math.round((cut.end - sample.timestamp) * rate));
      if (to <= from) return sample.timestamp + sample.duration;
      using part = sample.trim(from, to);
      part.setTimestamp(Math.max(0, part.timestamp - cut.origin));
      await source.add(part);
      last = { end: part.timestamp + part.duration, channels: part.numberOfChannels, rate };
      return sample.timestamp + sample.duration;
    },
    async finish() {
      await samples.return();
      if (!last) return;
      // Silence as long as one block (after resampling) pushes the last, incomplete one out.
      const data = new Float32Array(Math.ceil((BLOCK * last.rate) / sampleRate) * last.channels);
      using silence = new mb.AudioSample({
        data,
        format: 'f32',
        numberOfChannels: last.channels,
        sampleRate: last.rate,
        timestamp: last.end,
      });
      await source.add(silence);
    },
  };
}

/** Cuts samples of any length into blocks of equal length; what is left over waits for the next sample. */
class EqualBlocks {
  readonly #mb: Mediabunny;
  #rest = new Float32Array(0);
  #time: number | undefined;

  constructor(mb: Mediabunny) {
    this.#mb = mb;
  }

  take(sample: AudioSample): AudioSample[] {
    const { numberOfChannels, sampleRate } = sample;
    const added = new Float32Array(sample.numberOfFrames * numberOfChannels);
    sample.copyTo(added, { planeIndex: 0, format: 'f32' });
    const all = new Float32Array(this.#rest.length + added.length);
    all.set(this.#rest);
    all.set(added, this.#rest.length);
    this.#time ??= sample.timestamp;
    const length = BLOCK * numberOfChannels;
    const blocks: AudioSample[] = [];
    let at = 0;
    for (; at + length <= all.length; at += length) {
      const data = all.slice(at, at + length);
      blocks.push(
        new this.#mb.AudioSample({ data, format: 'f32', numberOfChannels, sampleRate, timestamp: this.#time }),
      );
      this.#time += BLOCK / sampleRate;
    }
    this.#rest = all.slice(at);
    return blocks;
  }
}
