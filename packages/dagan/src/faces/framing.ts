// The square that is cut out around a face, framed as the clips that DaGAN is trained on.
import type { Rectangle } from '../media/pictures/picture.js';
import { type Box, unionOf } from './geometry.js';

/**
 * Where the face mesh lies in the training clips, as parts of the square's side (measured on the published example
 * clip): its height, and how far down its middle is.
 */
export const TRAINING_FRAME = { faceHeight: 0.555, faceCenterY: 0.554 } as const;

/** Faces are looked for in frames of clips whose longer side has so many pixels at most. */
export const ANALYSIS_SIDE = 640;

/** The size of the picture in which the face of a `width` x `height` one is looked for. */
export function analysisSize(width: number, height: number): [width: number, height: number] {
  const shrink = Math.min(1, ANALYSIS_SIDE / Math.max(width, height));
  return [Math.max(1, Math.round(width * shrink)), Math.max(1, Math.round(height * shrink))];
}

/** A square in pixels; it may reach outside the picture. */
export type Square = { left: number; top: number; side: number };

/** The square for a face that keeps still, from the box around its mesh. */
export function squareOfFace({ left, top, width, height }: Box): Square {
  const side = height / TRAINING_FRAME.faceHeight;
  return {
    left: left + width / 2 - side / 2,
    top: top + height / 2 - TRAINING_FRAME.faceCenterY * side,
    side,
  };
}

/**
 * One square for a face that moves: around the squares of all its boxes. A still face gets the square of
 * `squareOfFace`, a moving one room to move in, on all sides alike where it moves along one axis only.
 */
export function squareForFaces(boxes: readonly Box[]): Square {
  const around = unionOf(
    boxes.map((box) => {
      const { left, top, side } = squareOfFace(box);
      return { left, top, width: side, height: side };
    }),
  );
  const side = Math.max(around.width, around.height);
  return { left: around.left + (around.width - side) / 2, top: around.top + (around.height - side) / 2, side };
}

/**
 * A square of whole pixels inside a picture: moved, and made smaller where the picture is, as long as `keep` stays
 * inside. Undefined where it cannot.
 */
export function fitSquare(square: Square, keep: Box, width: number, height: number): Rectangle | undefined {
  const side = Math.min(Math.round(square.side), width, height);
  const place = (start: number, wanted: number, length: number): number =>
    Math.round(Math.min(Math.max(start + (wanted - side) / 2, 0), length - side));
  const left = place(square.left, square.side, width);
  const top = place(square.top, square.side, height);
  const inside =
    keep.left >= left &&
    keep.top >= top &&
    keep.left + keep.width <= left + side &&
    keep.top + keep.height <= top + side;
  return inside ? { left, top, width: side, height: side } : undefined;
}
