// Several animated squares back into one picture. Squares of neighbours overlap, and each shows a part of the other's face as
// its own networks paint it: so the picture is divided among the faces, softly, and nobody overwrites anybody.
import type { Square } from '../faces/framing.js';
import type { Box } from '../faces/geometry.js';
import type { Picture } from '../media/pictures/picture.js';
import { PasteBack, smoothStep } from './paste-back.js';

/** A face of the picture: its square, its mesh's box, and the square as the networks make it without motion. */
export type PastedFace = { square: Square; box: Box; still?: Picture };

/**
 * Half the width of the soft border between two faces, as a difference of the relative distance d / (d + d') from both: at
 * most so much, at least so much where faces touch.
 */
const BORDER = { most: 0.12, least: 0.02 } as const;

/** Puts the animated squares of several faces into one portrait. */
export class PasteFaces {
  readonly #portrait: Picture;
  readonly #parts: readonly PasteBack[];

  /** @throws RangeError as `PasteBack` */
  constructor(portrait: Picture, faces: readonly PastedFace[]) {
    this.#portrait = portrait;
    const shares = dividedAmong(faces.map(({ box }) => box));
    this.#parts = faces.map(
      ({ square, still }, i) => new PasteBack(portrait, square, { still, share: (x, y) => shares(x, y, i) }),
    );
  }

  /** The portrait with the faces' animated squares in it, in the order of the faces, as a new picture. */
  paste(animated: readonly Picture[]): Picture {
    const result: Picture = { ...this.#portrait, data: this.#portrait.data.slice() };
    for (const [i, part] of this.#parts.entries()) part.addTo(result, animated[i]!);
    return result;
  }
}

/**
 * How a picture is divided among faces: the share of face `i` in a pixel, 0 to 1. A pixel belongs to the face that is nearest,
 * measured in that face's own size, with a soft border half way. Shares of all faces add up to 1 at most; inside one face's
 * ellipse the others have none, unless faces touch.
 *
 * @param boxes around the faces, in pixels
 */
export function dividedAmong(boxes: readonly Box[]): (x: number, y: number, i: number) => number {
  const borders = boxes.map((a) => boxes.map((b) => (a === b ? 0 : borderBetween(a, b))));
  return (x, y, i) => {
    const own = distanceTo(boxes[i]!, x + 0.5, y + 0.5);
    let share = 1;
    for (const [j, box] of boxes.entries()) {
      if (j === i || share === 0) continue;
      const other = distanceTo(box, x + 0.5, y + 0.5);
      const towards = other / (own + other); // 1 at the face's own middle, 0 at the other's
      share *= smoothStep((towards - 0.5) / (2 * borders[i]![j]!) + 0.5);
    }
    return share;
  };
}

/** Distance from the middle of a box, 1 on the ellipse in it. */
function distanceTo({ left, top, width, height }: Box, x: number, y: number): number {
  return Math.hypot((x - left - width / 2) / (width / 2), (y - top - height / 2) / (height / 2));
}

/** Half the width of the border between two faces: it leaves both ellipses out, where there is room. */
function borderBetween(a: Box, b: Box): number {
  const room = [roomBefore(a, b), roomBefore(b, a)];
  return Math.max(BORDER.least, Math.min(BORDER.most, ...room));
}

/** How far the edge of one face's ellipse is from half way to another, on the line between their middles. */
function roomBefore(a: Box, b: Box): number {
  const [ax, ay] = [a.left + a.width / 2, a.top + a.height / 2];
  const [bx, by] = [b.left + b.width / 2, b.top + b.height / 2];
  const along = 1 / Math.max(1, distanceTo(a, bx, by));
  const other = distanceTo(b, ax + along * (bx - ax), ay + along * (by - ay));
  return other / (1 + other) - 0.5;
}
