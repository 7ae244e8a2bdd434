// Frames of animated pictures (GIF, WebP, APNG, AVIF), and single pictures as clips of one frame; the browser decodes them.
import { checkReadableSize, type FrameReader, type ReaderFrame } from 'dagan/media/portable';
import { pixelsOf } from '../canvas.js';

/** Seconds for which a single picture is shown, and for which browsers show frames that ask for 10 ms or less. */
const DEFAULT_DELAY = 0.1;

/** Kinds of pictures by how their files begin. */
const BEGINNINGS: readonly [type: string, pattern: RegExp][] = [
  ['image/gif', /^GIF8/],
  ['image/webp', /^RIFF.{4}WEBP/s],
  ['image/png', /^\x89PNG/],
  ['image/jpeg', /^\xff\xd8\xff/],
  ['image/avif', /^.{4}ftypavi[fs]/s],
];

/** Kinds that may move. */
const MOVING: readonly string[] = ['image/gif', 'image/webp', 'image/png', 'image/avif'];

/** The type of a picture file by its first bytes; undefined where it is none. */
export async function imageTypeOf(file: Blob): Promise<string | undefined> {
  const start = String.fromCharCode(...new Uint8Array(await file.slice(0, 16).arrayBuffer()));
  return BEGINNINGS.find(([, pattern]) => pattern.test(start))?.[0];
}

/** Which frames are wanted: from `start` to before `end`, one of `every`. */
type Range = { start?: number; end?: number; every?: number };

/**
 * Opens a picture file as a clip.
 *
 * @param type as `imageTypeOf` tells it
 * @throws Error that names the file and says what to do
 */
export async function openImageFrames(file: File, type: string, range: Range = {}): Promise<FrameReader> {
  if (MOVING.includes(type) && typeof ImageDecoder !== 'undefined' && (await ImageDecoder.isTypeSupported(type))) {
    const facts = await factsOf(file, type);
    if (facts.length > 1) return openAnimation(file, type, facts, range);
  }
  return openPicture(file);
}

type Facts = { width: number; height: number; delay: number };

/** Size of each frame, and how long it is shown, in seconds. */
async function factsOf(file: File, type: string): Promise<Facts[]> {
  const facts: Facts[] = [];
  const frames = decoded(file, type, ({ displayWidth: width, displayHeight: height, duration }) => {
    const delay = (duration ?? 0) / 1e6;
    return { width, height, delay: delay <= 0.01 ? DEFAULT_DELAY : delay };
  });
  for await (const frame of frames) facts.push(frame);
  return facts;
}

function openAnimation(
  file: File,
  type: string,
  all: readonly Facts[],
  { start = 0, end = all.length, every = 1 }: Range,
): FrameReader {
  const { width, height } = all[0]!;
  checkReadableSize(file.name, width, height);
  const delays = all.slice(start, end).map(({ delay }) => delay);
  const duration = delays.reduce((sum, delay) => sum + delay, 0);

  async function* frames(): AsyncGenerator<ReaderFrame, void, undefined> {
    const wanted = (index: number): boolean => index >= start && (index - start) % every === 0;
    const pictures = decoded(file, type, (frame, index) => (wanted(index) ? pixelsOf(frame) : null));
    let timestamp = 0;
    let index = 0;
    for await (const picture of pictures) {
      const delay = delays[index - start];
      if (index++ < start) continue;
      if (delay === undefined) return;
      if (picture) yield { picture, timestamp, duration: delay };
      timestamp += delay;
    }
  }

  return {
    info: {
      kind: 'animation',
      ...{ width, height, frameRate: delays.length / duration, frameCount: delays.length, duration },
      constantFrameRate: delays.every((delay) => delay === delays[0]),
    },
    frames,
  };
}

async function openPicture(file: File): Promise<FrameReader> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: 'from-image', premultiplyAlpha: 'none' });
  } catch {
    throw new Error(`${file.name}: is a picture that this browser cannot read; convert it to PNG, or choose a clip`);
  }
  const { width, height } = bitmap;
  checkReadableSize(file.name, width, height);
  const picture = pixelsOf(bitmap);
  bitmap.close();
  return {
    info: {
      kind: 'image',
      ...{ width, height, frameRate: 1 / DEFAULT_DELAY, constantFrameRate: true, frameCount: 1 },
      duration: DEFAULT_DELAY,
    },
    async *frames() {
      yield { picture: { width, height, data: picture.data.slice() }, timestamp: 0, duration: DEFAULT_DELAY };
    },
  };
}

/** What is taken of each frame, in order. */
async function* decoded<Taken>(
  file: File,
  type: string,
  take: (frame: VideoFrame, index: number) => Taken,
): AsyncGenerator<Taken, void, undefined> {
  const decoder = new ImageDecoder({ data: await file.arrayBuffer(), type });
  try {
    await Promise.all([decoder.tracks.ready, decoder.completed]);
    const count = decoder.tracks.selectedTrack?.frameCount ?? 0;
    for (let frameIndex = 0; frameIndex < count; frameIndex++) {
      const { image } = await decoder.decode({ frameIndex });
      try {
        yield take(image, frameIndex);
      } finally {
        image.close();
      }
    }
  } catch (error) {
    throw new Error(`${file.name}: is damaged: ${(error as Error).message}`);
  } finally {
    decoder.close();
  }
}
