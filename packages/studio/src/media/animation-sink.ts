// Animated GIF and WebP, in memory: frames are encoded one by one, by gifenc or by the browser itself, and joined.
import {
  type FrameSink,
  gifComment,
  gifXmp,
  type MediaMetadata,
  metadataText,
  type Picture,
  type ReaderFrame,
  riffChunk,
  riffChunks,
  TickedFrames,
  type Ticks,
  webpAnimationHeader,
  webpFrames,
  webpHeaderLength,
  xmpPacket,
} from 'dagan/media/portable';
import { applyPalette, GIFEncoder, quantize } from 'gifenc';
import { rgbaOf } from '../canvas.js';
import type { AnimationFormat } from './formats.js';

export type AnimationOrder = { width: number; height: number; metadata: MediaMetadata };

/** Encodes frames, with delays in ticks. */
type Encoder = Ticks & {
  add(picture: Picture, delay: number): Promise<void>;
  finish(): Promise<Uint8Array<ArrayBuffer>[]>;
};

/** Whether this browser can encode WebP. */
export async function encodesWebp(): Promise<boolean> {
  const canvas = new OffscreenCanvas(1, 1);
  canvas.getContext('2d'); // without one there is nothing to encode
  return (await canvas.convertToBlob({ type: WEBP })).type === WEBP;
}

/** An animation being written; `parts` gives its bytes when it is finished. */
export class AnimationSink implements FrameSink {
  readonly #encoder: Encoder;
  readonly #onWarning: (text: string) => void;
  readonly #ticked: TickedFrames;
  #parts: Uint8Array<ArrayBuffer>[] = [];

  constructor(container: AnimationFormat['container'], order: AnimationOrder, onWarning: (text: string) => void) {
    this.#encoder = container === 'gif' ? new GifEncoder(order) : new WebpEncoder(order);
    this.#onWarning = onWarning;
    this.#ticked = new TickedFrames(this.#encoder, (picture, delay) => this.#encoder.add(picture, delay));
  }

  get parts(): Uint8Array<ArrayBuffer>[] {
    return this.#parts;
  }

  add(frame: ReaderFrame): Promise<void> {
    return this.#ticked.add(frame);
  }

  async finish(): Promise<void> {
    await this.#ticked.finish();
    this.#parts = await this.#encoder.finish();
    const { warning } = this.#ticked;
    if (warning) this.#onWarning(warning);
  }
}

const COLOURS = 256;

class GifEncoder implements Encoder {
  readonly ticksPerSecond = 100;
  readonly leastTicks = 2;
  readonly #metadata: MediaMetadata;
  readonly #file = GIFEncoder();

  constructor({ metadata }: AnimationOrder) {
    this.#metadata = metadata;
  }

  async add(picture: Picture, delay: number): Promise<void> {
    const { width, height } = picture;
    const pixels = new Uint8Array(rgbaOf(picture).data.buffer);
    const palette = quantize(pixels, COLOURS);
    this.#file.writeFrame(applyPalette(pixels, palette), width, height, { palette, delay: 10 * delay });
  }

  async finish(): Promise<Uint8Array<ArrayBuffer>[]> {
    const { stream } = this.#file;
    const packet = xmpPacket(this.#metadata);
    stream.writeBytesView(gifComment(metadataText(this.#metadata)));
    if (packet !== undefined) stream.writeBytesView(gifXmp(packet));
    this.#file.finish();
    return [this.#file.bytesView()];
  }
}

const WEBP = 'image/webp';

/** 0 to 1; as `dagan animate` writes it. */
const WEBP_QUALITY = 0.82;

class WebpEncoder implements Encoder {
  readonly ticksPerSecond = 1000;
  readonly leastTicks = 11;
  readonly #order: AnimationOrder;
  readonly #canvas: OffscreenCanvas;
  readonly #frames: Uint8Array<ArrayBuffer>[] = [];

  constructor(order: AnimationOrder) {
    this.#order = order;
    this.#canvas = new OffscreenCanvas(order.width, order.height);
  }

  async add(picture: Picture, delay: number): Promise<void> {
    this.#canvas.getContext('2d', { alpha: false })!.putImageData(rgbaOf(picture), 0, 0);
    const blob = await this.#canvas.convertToBlob({ type: WEBP, quality: WEBP_QUALITY });
    const chunks = riffChunks(new Uint8Array(await blob.arrayBuffer()));
    const { frames } = webpFrames(chunks, picture.width, picture.height, [delay]);
    this.#frames.push(...frames.map((frame) => new Uint8Array(frame)));
  }

  async finish(): Promise<Uint8Array<ArrayBuffer>[]> {
    const { width, height, metadata } = this.#order;
    const packet = xmpPacket(metadata);
    const words = packet === undefined ? [] : [riffChunk('XMP ', new TextEncoder().encode(packet))];
    const parts = [...this.#frames, ...words];
    const length = parts.reduce((sum, part) => sum + part.length, webpHeaderLength);
    const about = { width, height, length, alpha: false, exif: false, xmp: words.length > 0 };
    return [webpAnimationHeader(about), ...parts];
  }
}
