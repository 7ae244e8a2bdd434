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
import type { SoundRange, VideoContainer } from '../process/messages.js';
import type { Mediabunny } from './codecs.js';
import type { Edit } from './edit-list.js';
import type { ReaderEvents } from './reader.js';

/** The file that holds the sound, and which part of it goes along. */
export type Sound = {
  source: Source;
  range: Omit<SoundRange, 'path'>;
  /** Samples of silence with which the platform's AAC encoder begins without saying so. Default 0. */
  aacDelay?: number;
};

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
  { source, range, aacDelay = 0 }: Sound,
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
    const skipsLeadIn = container === 'mp4' || container === 'mov';
    const inside = skipsLeadIn ? 'aac' : 'opus';
    const cut = new Cut(range, skipsLeadIn);
    const feed = isCopied(codec, range, copied)
      ? await copyPackets(mb, track, codec, output, cut)
      : await encodeAnew(mb, track, output, cut, copied.includes(codec) && isPcm(codec) ? codec : inside, aacDelay);
    return new FedTrack(input, feed, cut, events);
  } catch (error) {
    input.dispose();
    events.warning(`written without sound: ${firstLine(error)}`);
    return undefined;
  }
}

type PcmCodec = Extract<AudioCodec, `pcm-${string}`>;

const isPcm = (codec: AudioCodec): codec is PcmCodec => codec.startsWith('pcm-');

/**
 * Whether packets go along as they are. Parts that follow each other can be joined only as samples; so are those of PCM, whose
 * packets may last for seconds, unless they are taken from the beginning.
 */
function isCopied(codec: AudioCodec, range: Sound['range'], copied: readonly AudioCodec[]): boolean {
  if (!copied.includes(codec) || range.edits.length > 1) return false;
  return !isPcm(codec) || (range.fromBeginning && range.end === undefined);
}

/** Which part of the sound is wanted, and its place in the output. Times are those of the file's presentation. */
class Cut {
  /** Second that becomes 0 in the output. */
  readonly origin: number;
  /** First second that is taken. */
  readonly first: number;
  /** Second before which to stop. */
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
  const { start, end, shift } = cut.range.edits[0]!;
  // Before an edit that begins later than the pictures there is nothing to be heard, lead-in neither.
  const first = start > cut.origin - shift + 1e-6 ? start : cut.first - shift;
  const packets = sink.packets((await sink.getPacket(first)) ?? undefined);
  let coming: EncodedPacket | undefined;
  const advance = async () => {
    const result = await packets.next();
    coming = result.done === true ? undefined : result.value;
  };
  return {
    async next() {
      if (!coming) await advance();
      while (coming && coming.timestamp < first - 1e-6) await advance();
      if (!coming || coming.timestamp >= Math.min(end, cut.end - shift) - 1e-6) return undefined;
      await source.add(coming.clone({ timestamp: coming.timestamp + shift - cut.origin }), { decoderConfig });
      await advance();
      return coming && coming.timestamp + shift;
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
  codec: AudioCodec,
  aacDelay: number,
): Promise<Feed> {
  if (!(await track.canDecode()))
    throw new Error(`the sound's codec (${await track.getCodec()}) cannot be decoded here`);
  const sampleRate = codec === 'opus' ? 48_000 : await track.getSampleRate();
  const blocks = new EqualBlocks(mb, codec === 'aac' ? aacDelay : 0);
  const source: AudioSampleSource = isPcm(codec)
    ? new mb.AudioSampleSource({ codec })
    : new mb.AudioSampleSource({
        codec,
        quality: new mb.Quality('high'),
        transform: { sampleRate, process: (sample) => blocks.take(sample) },
      });
  output.addAudioTrack(source);
  const samples = presentedSamples(mb, track, cut);
  let last: { end: number; channels: number; rate: number } | undefined;
  const addSilence = async ({ end, channels, rate }: NonNullable<typeof last>, seconds: number) => {
    const data = new Float32Array(Math.ceil(seconds * rate - 1e-6) * channels);
    if (data.length === 0) return;
    const about = { format: 'f32' as const, numberOfChannels: channels, sampleRate: rate, timestamp: end };
    using silence = new mb.AudioSample({ data, ...about });
    await source.add(silence);
  };
  return {
    async next() {
      const result = await samples.next();
      if (result.done === true) return undefined;
      const { edit, ...read } = result.value;
      using sample = read.sample;
      const rate = sample.sampleRate;
      const time = sample.timestamp + edit.shift;
      const [begin, end] = [Math.max(cut.origin, edit.start + edit.shift), Math.min(cut.end, edit.end + edit.shift)];
      const from = Math.max(0, Math.round((begin - time) * rate));
      const to = Math.min(sample.numberOfFrames, Math.round((end - time) * rate));
      if (to <= from) return time + sample.duration;
      using part = sample.trim(from, to);
      part.setTimestamp(Math.max(0, part.timestamp + edit.shift - cut.origin));
      if (last && part.timestamp > last.end + 1e-3) await addSilence(last, part.timestamp - last.end);
      await source.add(part);
      last = { end: part.timestamp + part.duration, channels: part.numberOfChannels, rate };
      return time + sample.duration;
    },
    async finish() {
      await samples.return();
      // Silence as long as one block (after resampling) pushes the last, incomplete one out.
      if (last && !isPcm(codec)) await addSilence(last, BLOCK / sampleRate);
    },
  };
}

/** The sound of the edits, one after the other, as far as it is wanted. */
async function* presentedSamples(
  mb: Mediabunny,
  track: InputAudioTrack,
  cut: Cut,
): AsyncGenerator<{ sample: AudioSample; edit: Edit }, void, undefined> {
  for (const edit of cut.range.edits) {
    const from = Math.max(cut.origin - edit.shift, edit.start);
    const to = Math.min(cut.end - edit.shift, edit.end);
    if (to <= from) continue;
    for await (const sample of new mb.AudioSampleSink(track).samples(from, to)) yield { sample, edit };
  }
}

/** Cuts samples of any length into blocks of equal length; what is left over waits for the next sample. */
class EqualBlocks {
  readonly #mb: Mediabunny;
  #rest = new Float32Array(0);
  #time: number | undefined;
  readonly #delay: number;

  /** @param delay samples by which the encoder's sound comes late */
  constructor(mb: Mediabunny, delay: number) {
    this.#mb = mb;
    this.#delay = delay;
  }

  take(sample: AudioSample): AudioSample[] {
    const { numberOfChannels, sampleRate } = sample;
    const added = new Float32Array(sample.numberOfFrames * numberOfChannels);
    sample.copyTo(added, { planeIndex: 0, format: 'f32' });
    const all = new Float32Array(this.#rest.length + added.length);
    all.set(this.#rest);
    all.set(added, this.#rest.length);
    this.#time ??= sample.timestamp - this.#delay / sampleRate;
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
