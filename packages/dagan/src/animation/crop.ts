// Which square of a picture the networks get to see, and cutting it out. Pure arithmetic on pixels: runs in Node and in
// browsers.
import { type Square, squareForFaces } from '../faces/framing.js';
import { type Box, unionOf } from '../faces/geometry.js';
import { createPicture, type Picture, type Rectangle } from '../media/pictures/picture.js';
import { type PictureTransform, transformPicture } from '../media/pictures/resize.js';

/**
 * How a face lies in squares that need no cutting any more, as parts of the square's side: the height of its mesh, and
 * the middle of it. Of 283 clips and portraits that had been cut for training, by several hands, all lie within; their
 * faces have 0.43 to 0.79 of the height. A larger one is left alone too, as long as nothing could be gained but edges.
 */
export const FRAMED = {
  height: [0.42, 0.9],
  centerX: [0.36, 0.64],
  centerY: [0.36, 0.68],
} as const;

/** A picture whose shorter side is at least this part of the longer one may count as square. */
const NEARLY_SQUARE = 0.9;

/** Where the picture is too small for the square a face should have, the face may fill so much of its height. */
const LARGEST_FACE = 0.75;

/** A square may be moved by this part of its side to lie inside the picture; what still stands out is made up. */
const MOST_SHIFT = 0.15;

/** A square that was found for a face. */
export type Framing = {
  /** In whole pixels; it may reach outside the picture. */
  square: Square;
  /** `whole`: the picture is framed as training clips are, and all of it is used. `face`: cut out around the face. */
  kind: 'whole' | 'face';
};

/** The largest square around a picture's centre. */
export function centeredSquare(width: number, height: number): Square {
  const side = Math.min(width, height);
  return { left: Math.floor((width - side) / 2), top: Math.floor((height - side) / 2), side };
}

/**
 * The square for a face, framed as the clips that DaGAN is trained on: that of `squareForFaces`, but
 *
 * - the whole picture, if it is nearly square and the face lies in it as `FRAMED` says;
 * - smaller where the picture has no room for it, as long as the face does not fill more than three quarters;
 * - moved into the picture by up to 15 % of its side.
 *
 * What reaches outside after that is for `cutSquare` to make up (`outsideOf` tells how much).
 *
 * @param boxes around the mesh of one face, in the portrait or in frames of a clip; at least one
 */
export function frameFace(boxes: readonly Box[], width: number, height: number): Framing {
  if (boxes.length === 0) throw new RangeError('there is no face to frame');
  const whole = centeredSquare(width, height);
  if (Math.min(width, height) >= NEARLY_SQUARE * Math.max(width, height) && isFramed(middleOf(boxes), whole)) {
    return { square: whole, kind: 'whole' };
  }
  const wanted = squareForFaces(boxes);
  const room = unionOf(boxes);
  const least = Math.max(middleOf(boxes).height / LARGEST_FACE, room.width, room.height);
  const side = Math.round(Math.min(wanted.side, Math.max(least, Math.min(width, height))));
  const place = (start: number, length: number): number => {
    const at = Math.round(start + (wanted.side - side) / 2);
    const inside = Math.min(Math.max(at, Math.min(0, length - side)), Math.max(0, length - side));
    const most = Math.round(MOST_SHIFT * side);
    return Math.min(Math.max(inside, at - most), at + most);
  };
  return { square: { left: place(wanted.left, width), top: place(wanted.top, height), side }, kind: 'face' };
}

/** The box in the middle of all: the median of centres and sizes. */
function middleOf(boxes: readonly Box[]): Box {
  const median = (value: (box: Box) => number): number =>
    boxes.map(value).sort((a, b) => a - b)[Math.floor(boxes.length / 2)]!;
  const width = median((box) => box.width);
  const height = median((box) => box.height);
  return {
    left: median((box) => box.left + box.width / 2) - width / 2,
    top: median((box) => box.top + box.height / 2) - height / 2,
    width,
    height,
  };
}

function isFramed(box: Box, { left, top, side }: Square): boolean {
  const within = (value: number, [least, most]: readonly [number, number]): boolean => value >= least && value <= most;
  return (
    within(box.height / side, FRAMED.height) &&
    within((box.left + box.width / 2 - left) / side, FRAMED.centerX) &&
    within((box.top + box.height / 2 - top) / side, FRAMED.centerY)
  );
}

/** The part of a square's area that lies outside the picture, 0 to 1. */
export function outsideOf(square: Square, width: number, height: number): number {
  const inside = insideOf(square, width, height);
  return 1 - (inside.width * inside.height) / square.side ** 2;
}

/** The part of a square that lies inside the picture; of no size where there is none. */
function insideOf({ left, top, side }: Square, width: number, height: number): Rectangle {
  const [x, y] = [Math.max(0, left), Math.max(0, top)];
  return {
    left: x,
    top: y,
    width: Math.max(0, Math.min(width, left + side) - x),
    height: Math.max(0, Math.min(height, top + side) - y),
  };
}

/** How a square is cut out of pictures of one size: `transform` them, then put the result into its place (`padCut`). */
export type SquareCut = {
  /** The part that lies inside the picture, at its size in the result. Pictures are best transformed when decoded. */
  transform: PictureTransform & { size: readonly [width: number, height: number] };
  /** Where that part lies in the result. */
  left: number;
  top: number;
  /** Side of the result. */
  size: number;
};

/**
 * Plans the cutting of a square out of `width` x `height` pictures.
 *
 * @param square in whole pixels
 * @param size side of the result in pixels
 * @throws RangeError if the square lies outside altogether or is not of whole pixels
 */
export function planCut(square: Square, width: number, height: number, size: number): SquareCut {
  const { left, top, side } = square;
  const crop = insideOf(square, width, height);
  if (![left, top, side].every(Number.isInteger) || crop.width < 1 || crop.height < 1) {
    throw new RangeError(`no square of ${side} at (${left}, ${top}) can be cut out of a ${width} x ${height} picture`);
  }
  const along = (start: number, from: number, length: number): [at: number, size: number] => {
    const first = Math.min(size - 1, Math.round(((from - start) / side) * size));
    return [first, Math.max(1, Math.round(((from + length - start) / side) * size) - first)];
  };
  const [x, columns] = along(left, crop.left, crop.width);
  const [y, rows] = along(top, crop.top, crop.height);
  return { transform: { crop, size: [columns, rows] }, left: x, top: y, size };
}

/** The square out of what the cut's transform has left of a picture: edges repeat outwards where it had reached out. */
export function padCut(part: Picture, { left, top, size }: SquareCut): Picture {
  const { width, height, data } = part;
  if (width === size && height === size) return part;
  const result = createPicture(size, size);
  for (let y = 0; y < size; y++) {
    const row = Math.min(Math.max(y - top, 0), height - 1) * width;
    const line = result.data.subarray(y * size * 3, (y + 1) * size * 3);
    line.set(data.subarray(row * 3, (row + width) * 3), left * 3);
    const first = data.subarray(row * 3, row * 3 + 3);
    for (let x = 0; x < left; x++) line.set(first, x * 3);
    const last = data.subarray((row + width - 1) * 3, (row + width) * 3);
    for (let x = left + width; x < size; x++) line.set(last, x * 3);
  }
  return result;
}

/** Cuts a square out of a picture and brings it to `size` x `size`; beyond the picture its edges are repeated. */
export function cutSquare(picture: Picture, square: Square, size: number): Picture {
  const cut = planCut(square, picture.width, picture.height, size);
  return padCut(transformPicture(picture, cut.transform), cut);
}
