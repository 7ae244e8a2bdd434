// Reads back what a picture, a clip or a folder of frames says of its origin. Nothing is decoded.
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import sharp from 'sharp';
import { firstLine, MediaError, toMediaError } from '../errors.js';
import { gifWords } from '../formats/gif-blocks.js';
import { imageReason, PICTURE_EXTENSIONS } from '../pictures/images.js';
import { type MediaMetadata, metadataFromTags, parseXmp } from './provenance.js';
import { readXmpBox } from './xmp-box.js';

/**
 * Title, comment and origin that a file states: from its XMP packet, from the tags of a video, from the comment of a GIF; of
 * a folder of frames, from its first one. An empty object if it states nothing.
 *
 * @throws MediaError for a file that is missing, damaged, or neither picture nor video
 */
export async function readMetadata(path: string): Promise<MediaMetadata> {
  let start: string;
  try {
    if ((await stat(path)).isDirectory()) return readMetadata(join(path, await firstPicture(path)));
    await using file = await open(path);
    const { bytesRead, buffer } = await file.read(Buffer.alloc(12), 0, 12, 0);
    start = buffer.toString('latin1', 0, bytesRead);
  } catch (error) {
    throw toMediaError(path, error, 'cannot be read');
  }
  if (start === '') throw new MediaError(path, 'is empty');
  if (start.length < 12) throw new MediaError(path, 'is neither a picture nor a video');
  if (start.startsWith('GIF8')) return readGif(path);
  return IMAGE.test(start) ? readImage(path) : readVideo(path, start.startsWith('ftyp', 4));
}

/** How PNG, JPEG, WebP, TIFF and AVIF files begin. */
const IMAGE = /^(\x89PNG|\xff\xd8\xff|RIFF.{4}WEBP|II\*\0|MM\0\*|.{4}ftypavi[fs])/s;

async function firstPicture(folder: string): Promise<string> {
  const names = (await readdir(folder)).filter((name) => PICTURE_EXTENSIONS.includes(extname(name).toLowerCase()));
  const first = names.sort()[0];
  if (first === undefined) throw new MediaError(folder, 'is a folder without pictures');
  return first;
}

async function readImage(path: string): Promise<MediaMetadata> {
  try {
    const { xmpAsString } = await sharp(path, { limitInputPixels: false }).metadata();
    return xmpAsString === undefined ? {} : parseXmp(xmpAsString);
  } catch (error) {
    throw new MediaError(path, `cannot be read: ${imageReason(error)}`, { cause: error });
  }
}

async function readGif(path: string): Promise<MediaMetadata> {
  try {
    const { comment, xmp } = gifWords(await readFile(path));
    return { ...(comment !== undefined && { comment }), ...(xmp !== undefined && parseXmp(xmp)) };
  } catch (error) {
    throw new MediaError(path, `is damaged: ${firstLine(error)}`, { cause: error });
  }
}

/** Tags alone need no codecs, so this works where those are not installed. */
async function readVideo(path: string, hasBoxes: boolean): Promise<MediaMetadata> {
  const mb = await import('mediabunny');
  mb.Logging.level = mb.LogLevel.Silent;
  try {
    const formats = mb.ALL_FORMATS.filter((format) => format !== mb.HLS); // playlists would make it fetch other files
    using input = new mb.Input({ source: new mb.FilePathSource(path), formats });
    const tags = metadataFromTags(await input.getMetadataTags());
    const packet = hasBoxes ? await readXmpBox(path) : undefined;
    return packet === undefined ? tags : { ...tags, ...parseXmp(packet) };
  } catch (error) {
    if (error instanceof mb.UnsupportedInputFormatError) throw new MediaError(path, 'is neither a picture nor a video');
    throw new MediaError(path, `is damaged: ${firstLine(error)}`, { cause: error });
  }
}
