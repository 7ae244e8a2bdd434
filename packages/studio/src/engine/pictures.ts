// Pictures of all kinds that the page hands over as RGB bytes: whole, or one square of them at the networks' size.
import { centeredSquare, padCut, planCut } from 'dagan/animation';
import { cropPicture, type Picture, type Rectangle, transformPicture } from 'dagan/media/portable';
import { pixelsOf } from '../canvas.js';
import { type PictureInput, type Square, StudioEngineError } from './api.js';

/** The size of a picture. */
export function sizeOf({ width, height }: PictureInput): { width: number; height: number } {
  if (width > 0 && height > 0) return { width, height };
  throw new StudioEngineError(
    'bad-picture',
    'The picture has no size: it may have been closed before it was handed over.',
  );
}

/** All of a picture, or a part of it. */
export function readPicture(input: PictureInput, part?: Rectangle): Picture {
  const { width, height } = sizeOf(input);
  if (input instanceof ImageBitmap) return pixelsOf(input, part);
  if (input.data.length !== 3 * width * height) {
    throw new StudioEngineError(
      'bad-picture',
      `A ${width} x ${height} picture cannot have ${input.data.length} bytes.`,
    );
  }
  return part ? cropPicture(input, part) : input;
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
