// Mouth and eyes, which are a few per cent of the picture and most of what people look at.
import type { Picture, Rectangle } from '../media/pictures/picture.js';
import { type Box, boundsOf } from './geometry.js';

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
