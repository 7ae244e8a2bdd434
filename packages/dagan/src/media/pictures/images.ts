// Still images in Node, through sharp.
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { firstLine, MediaError, toMediaError } from '../errors.js';
import { writeWhole } from '../files.js';
import { insertPngXmp } from '../provenance/png-xmp.js';
import { type MediaMetadata, metadataText, xmpPacket } from '../provenance/provenance.js';
import { foreignPicture } from './foreign-kinds.js';
import { checkPicture, createPicture, type Picture } from './picture.js';
import { shrinkingOf } from './size-limit.js';

/** File name endings that `readPicture` and folders of frames accept. */
export const PICTURE_EXTENSIONS: readonly string[] = [
  '.png',
  '.jpg',
  '.jpeg',
  '.webp',
  '.gif',
  '.tif',
  '.tiff',
  '.avif',
];

/** How a picture is to be read. */
export type PictureOptions = {
  /** Told, in one line, of what is wrong with a picture that is read nevertheless. */
  onWarning?: (text: string) => void;
};

/**
 * Reads a PNG, JPEG, WebP, GIF, TIFF or AVIF file as 8-bit RGB: the EXIF orientation is applied, transparency is
 * composited onto white, grey, palette, 16-bit and CMYK pictures are converted, of an animation the first frame is taken.
 * One of more than 8192 x 8192 pixels is read at a half or a third of its size. Throws a `MediaError` for a missing, empty,
 * damaged, foreign or too large file (beyond 16384 x 16384 pixels).
 */
export async function readPicture(path: string, { onWarning }: PictureOptions = {}): Promise<Picture> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw toMediaError(path, error, 'cannot be read');
  }
  return pictureOf(path, bytes, (text) => onWarning?.(`${path}: ${text}`));
}

/** The picture of a file's bytes, as `readPicture` reads it. @param warn is told, without the path */
export async function pictureOf(path: string, bytes: Buffer, warn: (text: string) => void): Promise<Picture> {
  if (bytes.length === 0) throw new MediaError(path, 'is empty');
  const foreign = foreignPicture(bytes);
  if (foreign !== undefined) throw new MediaError(path, foreign);
  try {
    return await decodeFile(path, bytes, 'truncated', warn);
  } catch (error) {
    if (error instanceof MediaError) throw error;
    const mended = await decodeWithEnd(path, bytes, warn);
    if (mended) return mended;
    throw new MediaError(path, `cannot be read as a picture: ${imageReason(error)}`, { cause: error });
  }
}

async function decodeFile(
  path: string,
  bytes: Buffer,
  failOn: 'truncated' | 'warning',
  warn: (text: string) => void,
): Promise<Picture> {
  const image = sharp(bytes, { failOn, limitInputPixels: false, sequentialRead: true });
  const { width, height } = (await image.metadata()).autoOrient;
  const shrinking = shrinkingOf(path, width, height);
  if (shrinking === 1) return decodeImage(image.autoOrient());
  warn(`has ${width} x ${height} pixels and is read at 1/${shrinking} of that size`);
  const [smallWidth, smallHeight] = [Math.ceil(width / shrinking), Math.ceil(height / shrinking)];
  return decodeImage(image.autoOrient().resize(smallWidth, smallHeight, { fit: 'fill' }));
}

const JPEG_START = Buffer.from([0xff, 0xd8, 0xff]);
const JPEG_END = Buffer.from([0xff, 0xd9]);

/** A JPEG that lacks nothing but its end marker, as some cameras and programs leave it out; undefined for all others. */
async function decodeWithEnd(path: string, bytes: Buffer, warn: (text: string) => void): Promise<Picture | undefined> {
  if (!bytes.subarray(0, 3).equals(JPEG_START)) return undefined;
  try {
    // The decoder warns of each block that is missing; then the picture itself is cut off.
    const picture = await decodeFile(path, Buffer.concat([bytes, JPEG_END]), 'warning', warn);
    warn('has no end marker; the picture itself is whole');
    return picture;
  } catch {
    return undefined;
  }
}

/** Runs a sharp pipeline to 8-bit RGB on white. */
export async function decodeImage(pipeline: Sharp): Promise<Picture> {
  const { data, info } = await pipeline
    .flatten({ background: '#ffffff' })
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  return packChannels(data, info.width, info.height, info.channels);
}

/** 1 (grey), 3 or 4 interleaved channels to RGB; a fourth channel is left out. */
export function packChannels(data: Uint8Array, width: number, height: number, channels: number): Picture {
  if (channels === 3) return { width, height, data: new Uint8Array(data) };
  const picture = createPicture(width, height);
  const [green, blue] = channels < 3 ? [0, 0] : [1, 2];
  for (let from = 0, to = 0; to < picture.data.length; from += channels, to += 3) {
    picture.data[to] = data[from]!;
    picture.data[to + 1] = data[from + green]!;
    picture.data[to + 2] = data[from + blue]!;
  }
  return picture;
}

/** sharp's message in one line of plain words. */
export function imageReason(error: unknown): string {
  const text = firstLine(error);
  return /unsupported image format/i.test(text)
    ? 'not an image format known here (png, jpeg, webp, gif, tiff, avif)'
    : text;
}

/**
 * Writes a picture whole or not at all; the ending of `path` selects `.png` (lossless), `.jpg` (quality 95, 4:4:4) or
 * `.webp` (quality 92). `metadata` goes into the file's EXIF description and XMP. Throws a `MediaError`.
 */
export async function writePicture(
  path: string,
  picture: Picture,
  options: { metadata?: MediaMetadata } = {},
): Promise<void> {
  const encode = pictureEncoder(path);
  let bytes: Buffer;
  try {
    bytes = await encode(picture, options.metadata);
  } catch (error) {
    throw new MediaError(path, `cannot be encoded: ${firstLine(error)}`, { cause: error });
  }
  await writeWhole(path, bytes);
}

/** A sharp pipeline that starts with `picture`. */
export function pictureToSharp(picture: Picture): Sharp {
  checkPicture(picture);
  const { width, height, data, alpha } = picture;
  if (!alpha) return sharp(data, { raw: { width, height, channels: 3 } });
  return sharp(withAlpha(data, alpha), { raw: { width, height, channels: 4 } });
}

/** R, G, B and alpha of every pixel: [height, width, 4]. */
function withAlpha(data: Uint8Array, alpha: Uint8Array): Uint8Array {
  const joined = new Uint8Array(4 * alpha.length);
  for (let pixel = 0; pixel < alpha.length; pixel++) {
    joined.set(data.subarray(3 * pixel, 3 * pixel + 3), 4 * pixel);
    joined[4 * pixel + 3] = alpha[pixel]!;
  }
  return joined;
}

/** PNG settings for results and frames: fast, as the pictures are natural ones. */
export function encodePng(pipeline: Sharp): Sharp {
  return pipeline.png({ compressionLevel: 6, adaptiveFiltering: true });
}

/** A PNG file with what is said of it. */
export async function pngFile(picture: Picture, metadata: MediaMetadata | undefined): Promise<Buffer> {
  const png = await encodePng(withDescription(pictureToSharp(picture), metadata)).toBuffer();
  const packet = xmpPacket(metadata);
  // sharp would compress the packet, which XMP forbids in PNG files.
  return packet === undefined ? png : insertPngXmp(png, packet);
}

type PictureEncoder = (picture: Picture, metadata: MediaMetadata | undefined) => Promise<Buffer>;

function pictureEncoder(path: string): PictureEncoder {
  const through =
    (encode: (pipeline: Sharp) => Sharp): PictureEncoder =>
    (picture, metadata) =>
      encode(withMetadata(pictureToSharp(picture), metadata)).toBuffer();
  const extension = extname(path).toLowerCase();
  if (extension === '.png') return pngFile;
  if (extension === '.jpg' || extension === '.jpeg') {
    return through((pipeline) => pipeline.jpeg({ quality: 95, chromaSubsampling: '4:4:4' }));
  }
  if (extension === '.webp') return through((pipeline) => pipeline.webp({ quality: 92 }));
  throw new MediaError(path, `cannot be written: pictures end in .png, .jpg or .webp, not '${extension}'`);
}

/** Adds title and comment as the EXIF field `ImageDescription`, and what is stated of the origin as XMP. */
export function withMetadata(pipeline: Sharp, metadata: MediaMetadata | undefined): Sharp {
  const packet = xmpPacket(metadata);
  const described = withDescription(pipeline, metadata);
  return packet === undefined ? described : described.withXmp(packet);
}

function withDescription(pipeline: Sharp, metadata: MediaMetadata | undefined): Sharp {
  const text = metadataText(metadata);
  return text === '' ? pipeline : pipeline.withExif({ IFD0: { ImageDescription: text } });
}
