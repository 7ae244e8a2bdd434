// Squares of pictures and clips, each with a word on what was done.
import type { ClipFraming } from '../animation/clip-face.js';
import { centeredSquare, type Framing, outsideOf } from '../animation/crop.js';
import { DaganError, type InputRole } from '../errors.js';
import type { Square } from '../faces/framing.js';
import { type Box, unionOf } from '../faces/geometry.js';
import type { Teller } from './events.js';

/** Which square of a picture is used. */
export type CropChoice =
  /** The one around a face: the largest, or the one of this number, counted from the left. */
  | { kind: 'auto'; face?: number }
  /** The largest one around the centre. */
  | { kind: 'none' }
  /** This one. */
  | { kind: 'square'; square: Square };

/** A picture or clip, of this size. */
type Input = { path: string; role: InputRole; width: number; height: number };

/** Squares of fewer pixels give a blurred result. */
const SMALL_SQUARE = 128;

/** A square's side is at most so many times the picture's longer one: more would be nothing but repeated edges. */
const MOST_SIDES = 4;

export class ToldSquares {
  readonly #tell: Teller;

  constructor(tell: Teller) {
    this.#tell = tell;
  }

  /** The square for a face, with a word on what was done. */
  around(input: Input, { square, kind }: Framing, boxes: readonly Box[]): Square {
    const { path, width, height } = input;
    const { left, top, side } = square;
    if (kind === 'face') {
      const outside = outsideOf(square, width, height);
      const made = outside > 0 ? `; ${Math.ceil(100 * outside)} % of it lies outside, where edges are repeated` : '';
      const message = `${path} is ${width} x ${height}: the face's square, ${side} x ${side} at ${left},${top}, is used${made}`;
      this.#tell.notice('face-square', message, { ...input, square, outside });
    } else {
      this.#tellOfCentre(input, square);
    }
    if (side < SMALL_SQUARE) {
      const face = Math.round(unionOf(boxes).height);
      const message = `${path}: the face is only ${face} pixels high; the result will be blurred`;
      this.#tell.warn('small-face', message, { path, height: face });
    }
    return square;
  }

  /** The square that was asked for. @throws DaganError if it lies outside, or is far larger than the picture */
  given(input: Input, crop: Exclude<CropChoice, { kind: 'auto' }>): Square {
    const { path, width, height } = input;
    if (crop.kind === 'none') {
      const square = centeredSquare(width, height);
      this.#tellOfCentre(input, square);
      return square;
    }
    const { square } = crop;
    const outside = outsideOf(square, width, height);
    const name = `the square ${square.left},${square.top},${square.side}`;
    if (outside === 1) {
      const message = `${path}: ${name} lies outside the picture, which is ${width} x ${height}`;
      throw new DaganError('square-outside', message, { ...input, square });
    }
    const most = MOST_SIDES * Math.max(width, height);
    if (square.side > most) {
      const message = `${path}: ${name} is far larger than the picture, which is ${width} x ${height}; its side is at most ${most}`;
      throw new DaganError('square-outside', message, { ...input, square });
    }
    if (outside > 0) {
      const message = `${path}: ${Math.ceil(100 * outside)} % of ${name} lies outside the ${width} x ${height} picture, where edges are repeated`;
      this.#tell.notice('square-reaches-out', message, { ...input, square, outside });
    }
    return square;
  }

  #tellOfCentre(input: Input, square: Square): void {
    const { path, width, height } = input;
    if (width === height) return;
    const { side } = square;
    const message = `${path} is ${width} x ${height}: its centre, ${side} x ${side}, is used (the networks take squares)`;
    this.#tell.notice('centre-square', message, { ...input, square });
  }

  /** Says that there are other faces, unless one was asked for by its number. */
  tellOfOthers(
    { path, role, face, faces }: Pick<Input, 'path' | 'role'> & Pick<ClipFraming, 'face' | 'faces'>,
    number: number | undefined,
  ): void {
    if (faces < 2 || number !== undefined) return;
    const message = `${path} shows ${faces} faces: the largest, number ${face} from the left, is used`;
    this.#tell.notice('other-faces', message, { path, role, face, faces });
  }
}
