// The worker that decodes clips and encodes results, so that the page stays free while it happens.
import {
  type ClipInfo,
  type FrameReader,
  type FrameSink,
  type MediaMetadata,
  openVideoFrames,
  openVideoSink,
  type Picture,
  type PictureTransform,
  type ReaderFrame,
  takesXmp,
  transformPicture,
  videoInput,
  xmpBox,
  xmpPacket,
} from 'dagan/media/portable';
import * as mediabunny from 'mediabunny';
import { serve } from '../rpc.js';
import { AnimationSink, encodesWebp } from './animation-sink.js';
import { type AnimationFormat, isVideo, SAVED_FORMATS, type SavedFormat, type VideoFormat } from './formats.js';
import { imageTypeOf, openImageFrames } from './image-frames.js';

mediabunny.Logging.level = mediabunny.LogLevel.Silent;

/** What is known of a clip. */
export type ClipFacts = Omit<ClipInfo, 'sourceWidth' | 'sourceHeight' | 'kind'>;

/** Which frames are wanted, and what is done to them. */
export type FrameOrder = { start?: number; end?: number; every?: number; transform: PictureTransform };

export type SaveOrder = {
  width: number;
  height: number;
  /** Frames per second where constant. */
  frameRate?: number;
  format: SavedFormat;
  metadata: MediaMetadata;
  /** The file whose sound goes along, and its part. */
  sound?: { file: Blob; range: NonNullable<ClipFacts['sound']> };
};

type OpenClip = {
  /** Opens the file's frames. */
  open: (order?: Partial<FrameOrder>) => Promise<FrameReader>;
  /** Frees the file. */
  dispose: () => void;
  reader: FrameReader;
  frames?: AsyncGenerator<ReaderFrame, void, undefined>;
  transform?: PictureTransform;
};

let clip: OpenClip | undefined;
let saving: { order: SaveOrder; sink: FrameSink; parts: () => BlobPart[] } | undefined;
let warnings: string[] = [];

const events = {
  warning: (text: string): void => void warnings.push(text),
  progress: (): void => {},
};

/** How the frames of a file are opened, by what kind of file it is. */
async function openerOf(file: File): Promise<Pick<OpenClip, 'open' | 'dispose'>> {
  const type = await imageTypeOf(file);
  if (type !== undefined) return { open: (order) => openImageFrames(file, type, order), dispose: () => {} };
  if (typeof VideoDecoder === 'undefined') {
    throw new Error(`${file.name}: this browser cannot decode clips frame by frame (no WebCodecs); use a newer one`);
  }
  const input = videoInput(mediabunny, new mediabunny.BlobSource(file));
  const read = async (from: number, to: number): Promise<Uint8Array> =>
    new Uint8Array(await file.slice(from, to).arrayBuffer());
  let known: FrameReader | undefined;
  const open = async ({ start = 0, end, every }: Partial<FrameOrder> = {}): Promise<FrameReader> => {
    const job = { path: file.name, start, end, every };
    known = await (known?.part?.(job) ?? openVideoFrames(mediabunny, input, read, job, events));
    return known;
  };
  return { open, dispose: () => input.dispose() };
}

const handlers = {
  /** Kinds of file that can be written at a size. */
  formats: async ({ width, height }: { width: number; height: number }): Promise<SavedFormat[]> => {
    const even = { width: width + (width & 1), height: height + (height & 1) };
    const able = await Promise.all(
      SAVED_FORMATS.map(async (format) => {
        if (isVideo(format))
          return typeof VideoEncoder !== 'undefined' && mediabunny.canEncodeVideo(format.codec, even);
        return format.container === 'gif' || encodesWebp();
      }),
    );
    return SAVED_FORMATS.filter((_format, i) => able[i]);
  },

  /** Opens a clip; replaces the one before. */
  open: async (file: File): Promise<ClipFacts> => {
    await handlers.close();
    warnings = [];
    const { open, dispose } = await openerOf(file);
    try {
      const reader = await open();
      clip = { open, dispose, reader };
      return reader.info;
    } catch (error) {
      dispose();
      throw error;
    }
  },

  /** What is known of a part of the clip. */
  facts: async (range: Pick<FrameOrder, 'start' | 'end'>): Promise<ClipFacts> => {
    if (!clip) throw new Error('there is no clip');
    await clip.frames?.return();
    return (await clip.open(range)).info;
  },

  /** Begins to read frames; ends an earlier reading. */
  read: async (order: FrameOrder): Promise<void> => {
    if (!clip) throw new Error('there is no clip');
    await clip.frames?.return();
    warnings = [];
    clip.reader = await clip.open(order);
    clip.frames = clip.reader.frames();
    clip.transform = order.transform;
  },

  /** The next frame; null after the last. */
  next: async (): Promise<ReaderFrame | null> => {
    const { value } = (await clip?.frames?.next()) ?? {};
    if (!value) return null;
    return { ...value, picture: transformPicture(value.picture, clip!.transform ?? {}) };
  },

  /** Ends the reading. @returns what was wrong with the file */
  stop: async (): Promise<string[]> => {
    await clip?.frames?.return();
    if (clip) clip.frames = undefined;
    return warnings;
  },

  close: async (): Promise<void> => {
    await clip?.frames?.return();
    clip?.dispose();
    clip = undefined;
  },

  /** Begins a file. */
  save: async (order: SaveOrder): Promise<void> => {
    warnings = [];
    const { format } = order;
    saving = { order, ...(isVideo(format) ? await openVideo(order, format) : openAnimation(order, format.container)) };
  },

  add: async (frame: { picture: Picture; timestamp: number; duration: number }): Promise<void> => {
    if (!saving) throw new Error('no file has been begun');
    await saving.sink.add(frame);
  },

  /** Completes the file. */
  finish: async (): Promise<{ file: Blob; warnings: string[] }> => {
    if (!saving) throw new Error('no file has been begun');
    const { sink, parts, order } = saving;
    saving = undefined;
    await sink.finish();
    return { file: new Blob(parts(), { type: order.format.mimeType }), warnings };
  },
};

async function openVideo(order: SaveOrder, { container, codec }: VideoFormat) {
  const target = new mediabunny.BufferTarget();
  const { height, frameRate, metadata, sound } = order;
  const sink = await openVideoSink(
    mediabunny,
    {
      ...{ container, codec, target, height, frameRate, metadata },
      quality: 'high',
      sound: sound && { source: new mediabunny.BlobSource(sound.file), range: sound.range },
      indexFirst: true,
    },
    events,
  );
  const packet = takesXmp(container) ? xmpPacket(metadata) : undefined;
  return { sink, parts: () => [target.buffer!, ...(packet === undefined ? [] : [xmpBox(packet)])] };
}

function openAnimation(order: SaveOrder, container: AnimationFormat['container']) {
  if (order.sound) warnings.push(`written without sound: ${container} holds none`);
  const sink = new AnimationSink(container, order, events.warning);
  return { sink, parts: () => sink.parts };
}

export type MediaHandlers = typeof handlers;

serve(handlers);
