// Pictures of all kinds that the page hands over as RGB bytes: whole, or one square of them at the networks' size.
import { centeredSquare, padCut, planCut } from 'dagan/animation';
import { cropPicture, type Picture, type Rectangle, rgbaToPicture, transformPicture } from 'dagan/media/portable';
import { type PictureInput, type Square, StudioEngineError } from './api.js';
import { isBitmap } from './rpc.js';

/** The size of a picture as it is shown. */
export function sizeOf(input: PictureInput): { width: number; height: number } {
  const [width, height] =
    'displayWidth' in input ? [input.displayWidth, input.displayHeight] : [input.width, input.height];
  if (width > 0 && height > 0) return { width, height };
  throw new StudioEngineError(
    'bad-picture',
    'The picture has no size: it may have been closed before it was handed over.',
  );
}

/** All of a picture, or a part of it. */
export function readPicture(input: PictureInput, part?: Rectangle): Picture {
  const { width, height } = sizeOf(input);
  const { left, top, ...size } = part ?? { left: 0, top: 0, width, height };
  if (isBitmap(input)) {
    const context = new OffscreenCanvas(size.width, size.height).getContext('2d', { willReadFrequently: true });
    if (!context)
      throw new StudioEngineError('out-of-memory', `The browser cannot draw a ${width} x ${height} picture.`);
    context.drawImage(input, -left, -top, width, height);
    return fromRgba(context.getImageData(0, 0, size.width, size.height));
  }
  const { data } = input;
  const channels = data.length / (width * height);
  if (channels !== 3 && channels !== 4) {
    throw new StudioEngineError('bad-picture', `A ${width} x ${height} picture cannot have ${data.length} bytes.`);
  }
  const rgb = channels === 3 ? (input as Picture) : fromRgba(input);
  return part ? cropPicture(rgb, part) : rgb;
}

/**
 * A square of a picture at `size` x `size`: the one given, or the largest around the centre.
 *
 * @throws StudioEngineError `bad-picture` if it lies outside
 */
export function readSquare(
  input: PictureInput,
  square: Square | null,
  size: number,
): { square: Square; picture: Picture } {
  const { width, height } = sizeOf(input);
  const chosen = square ?? centeredSquare(width, height);
  let cut: ReturnType<typeof planCut>;
  try {
    cut = planCut(chosen, width, height, size);
  } catch (error) {
    throw new StudioEngineError('bad-picture', (error as Error).message);
  }
  const { crop, size: goal } = cut.transform;
  const inside = readPicture(input, crop);
  return { square: chosen, picture: padCut(transformPicture(inside, { size: goal }), cut) };
}

/** The picture, made smaller if its longer side has more than `longest` pixels. */
export function shrink(picture: Picture, longest: number): Picture {
  const scale = Math.min(1, longest / Math.max(picture.width, picture.height));
  const along = (length: number): number => Math.max(1, Math.round(length * scale));
  return transformPicture(picture, { size: [along(picture.width), along(picture.height)] });
}

function fromRgba({
  width,
  height,
  data,
}: {
  width: number;
  height: number;
  data: Uint8Array | Uint8ClampedArray;
}): Picture {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return rgbaToPicture({ width, height, data: bytes, stride: 4 * width }, 'rgba', false);
}
