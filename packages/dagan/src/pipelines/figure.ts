// Figures as files: a picture or a clip, as the name says.
import { extname } from 'node:path';
import { DaganError } from '../errors.js';
import { MediaError } from '../media/errors.js';
import { writePicture } from '../media/pictures/images.js';
import type { Picture } from '../media/pictures/picture.js';
import { containerOf, createClipWriter } from '../media/process/clip-writer.js';
import type { MediaMetadata } from '../media/provenance/provenance.js';
import type { ModelMetadata } from '../models/files/model-file.js';
import { VERSION } from '../version.js';
import type { Teller } from './events.js';

/** Title and comment of a figure: what it shows, and what computed it. */
export function figureMetadata(title: string, { name, sha256 }: ModelMetadata): MediaMetadata {
  const model = [name, sha256 && `sha256 ${sha256}`].filter((part) => part).join(', ');
  return { title, comment: `Computed by dagan ${VERSION}${model ? `, model ${model}` : ''}.` };
}

const PICTURES = ['.png', '.jpg', '.jpeg', '.webp'];

/** What a figure's name says it is. Throws a DaganError for a name that says neither. */
export function figureKind(output: string): 'picture' | 'clip' {
  if (PICTURES.includes(extname(output).toLowerCase())) return 'picture';
  try {
    containerOf(output);
  } catch {
    const clips = '.mp4 .mov .mkv .webm .gif, or folder/ of frames';
    const message = `${output}: a figure is a picture (${PICTURES.join(' ')}) or a clip (${clips})`;
    throw new DaganError('figure-format', message, { path: output });
  }
  return 'clip';
}

/** Pictures to be written, with their times. */
export type DrawnFrame = { picture: Picture; timestamp: number; duration: number };

/** Writes drawn frames as a clip, or the first as a picture, as the output's name says. Whole or not at all. */
export async function writeFigure(
  output: string,
  frames: AsyncIterable<DrawnFrame>,
  {
    frameRate,
    frameCount,
    metadata,
    tell,
  }: { frameRate?: number; frameCount?: number; metadata: MediaMetadata; tell: Teller },
): Promise<number> {
  const still = figureKind(output) === 'picture';
  const iterator = frames[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done) throw new MediaError(output, 'is not written as it would have no frames');
  const { width, height } = first.value.picture;
  if (still) {
    await writePicture(output, first.value.picture, { metadata });
    await iterator.return?.();
    return 1;
  }
  const onWarning = (text: string): void => tell.warn('codec', text, {});
  await using writer = await createClipWriter(output, { width, height, frameRate, metadata, onWarning });
  const progress = tell.progress(output, frameCount);
  for (let next: IteratorResult<DrawnFrame> = first; !next.done; next = await iterator.next()) {
    const { picture, timestamp, duration } = next.value;
    await writer.add(picture, timestamp, duration);
    progress.update(writer.frameCount);
  }
  progress.end();
  await writer.finish();
  return writer.frameCount;
}
