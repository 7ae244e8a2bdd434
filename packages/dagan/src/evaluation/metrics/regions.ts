// Errors in the mouth and in the eyes, which are a few per cent of the picture and most of what people look at.
import { type Box, boundsOf } from '../../faces/geometry.js';
import type { Rectangle } from '../../media/picture.js';
import { checkSameSize, type Picture } from './pictures.js';
import { psnrOfError } from './psnr.js';

/** Parts of the face. */
export type FaceRegion = 'mouth' | 'eyes';

/** Mesh points around the lips and around each eye. */
const OUTLINES: Readonly<Record<FaceRegion, readonly (readonly number[])[]>> = {
  mouth: [[61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185]],
  eyes: [
    [33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246],
    [263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466],
  ],
};

/** How far a region reaches beyond the box around its points, as a part of the box's width. */
const MARGIN = 0.25;

/**
 * The rectangles of a region in a picture, by its mesh; none of it lies outside. Without pixels inside the list is empty.
 *
 * @param points x, y, z of every mesh point, in pixels
 */
export function regionRectangles(
  region: FaceRegion,
  points: ArrayLike<number>,
  { width, height }: Pick<Picture, 'width' | 'height'>,
): Rectangle[] {
  return OUTLINES[region].flatMap((outline) => {
    const box = boundsOf(
      outline.flatMap((index) => [points[index * 3]!, points[index * 3 + 1]!]),
      2,
    );
    return clipped(box, MARGIN * box.width, width, height);
  });
}

function clipped(box: Box, margin: number, width: number, height: number): Rectangle[] {
  const [left, top] = [Math.max(0, Math.floor(box.left - margin)), Math.max(0, Math.floor(box.top - margin))];
  const right = Math.min(width, Math.ceil(box.left + box.width + margin));
  const bottom = Math.min(height, Math.ceil(box.top + box.height + margin));
  return right > left && bottom > top ? [{ left, top, width: right - left, height: bottom - top }] : [];
}

/** L1 (colours in [0, 1]) and PSNR (dB) inside rectangles; null if there is nothing inside. */
export function regionErrors(
  a: Picture,
  b: Picture,
  rectangles: readonly Rectangle[],
): { l1: number; psnr: number } | null {
  checkSameSize(a, b);
  let [absolute, squared, count] = [0, 0, 0];
  for (const { left, top, width, height } of rectangles) {
    for (let y = top; y < top + height; y++) {
      const start = (y * a.width + left) * 3;
      for (let i = start; i < start + width * 3; i++) {
        const difference = Math.abs(a.data[i]! - b.data[i]!);
        absolute += difference;
        squared += difference ** 2;
      }
    }
    count += width * height * 3;
  }
  if (count === 0) return null;
  return { l1: absolute / count / 255, psnr: psnrOfError(squared / count / 255 ** 2) };
}
