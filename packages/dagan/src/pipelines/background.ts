// What stands behind the animated person: the moving picture, the portrait's still background, a colour, a picture, nothing.
import { PersonMask, type Shares } from '../faces/person-mask.js';
import { readPicture } from '../media/pictures/images.js';
import type { Picture } from '../media/pictures/picture.js';
import { resizePicture, transformPicture } from '../media/pictures/resize.js';
import { resizeMap } from '../tensors/values.js';

export type BackgroundChoice =
  /** What the networks make of it. */
  | { kind: 'moving' }
  /** The portrait's own pixels wherever no person is, in it or in the frame. */
  | { kind: 'still' }
  /** None: pictures get an alpha channel. */
  | { kind: 'transparent' }
  /** R, G, B from 0 to 255. */
  | { kind: 'colour'; colour: readonly [number, number, number] }
  /** A picture, cut to the result's proportions around its middle. */
  | { kind: 'picture'; path: string };

const COLOURS: Readonly<Record<string, string>> = { black: '000000', white: 'ffffff', grey: '808080', green: '00b140' };

/** What a text says: `moving`, `still`, `transparent`, a colour, or the name of a picture. */
export function backgroundOf(text: string): BackgroundChoice {
  if (text === 'moving' || text === 'still' || text === 'transparent') return { kind: text };
  const digits = COLOURS[text] ?? /^#([0-9a-f]{6})$/i.exec(text)?.[1];
  if (digits === undefined) return { kind: 'picture', path: text };
  const [red, green, blue] = [0, 2, 4].map((at) => Number.parseInt(digits.slice(at, at + 2), 16));
  return { kind: 'colour', colour: [red!, green!, blue!] };
}

/** Puts backgrounds behind people, frame by frame. */
export class Background implements AsyncDisposable {
  readonly #choice: BackgroundChoice;
  readonly #mask: PersonMask;
  /** The picture behind, at the frames' size, once it is known. */
  #behind: Picture | undefined;
  /** The portrait that was seen last, and where the person is in it. */
  #portrait: { canvas: Picture; fitted: Picture; shares: Float32Array } | undefined;

  private constructor(choice: BackgroundChoice, mask: PersonMask, behind: Picture | undefined) {
    this.#choice = choice;
    this.#mask = mask;
    this.#behind = behind;
  }

  /** @returns undefined where frames stay as they are @throws MediaError for a picture that cannot be read */
  static async open(choice: BackgroundChoice): Promise<Background | undefined> {
    if (choice.kind === 'moving') return undefined;
    const behind = choice.kind === 'picture' ? await readPicture(choice.path) : undefined;
    return new Background(choice, await PersonMask.load(), behind);
  }

  /**
   * A frame with another background.
   *
   * @param canvas the portrait as the frame shows it, still
   */
  async behind(frame: Picture, canvas: Picture): Promise<Picture> {
    const { width, height } = frame;
    const shares = resized(await this.#mask.find(frame), width, height);
    switch (this.#choice.kind) {
      case 'moving':
        return frame;
      case 'transparent':
        return { ...frame, alpha: Uint8Array.from(shares, (share) => Math.round(255 * share)) };
      case 'colour': {
        const { colour } = this.#choice;
        return mixed(frame, shares, (at) => colour[at % 3]!);
      }
      case 'picture': {
        this.#behind = fillingOf(this.#behind!, width, height);
        const { data } = this.#behind;
        return mixed(frame, shares, (at) => data[at]!);
      }
      case 'still': {
        if (this.#portrait?.canvas !== canvas) {
          const fitted = resizePicture(canvas, width, height);
          this.#portrait = { canvas, fitted, shares: resized(await this.#mask.find(canvas), width, height) };
        }
        // Where the person was, the portrait knows no background; there the frame's is what the networks have painted.
        const { fitted, shares: own } = this.#portrait;
        const kept = shares.map((share, i) => Math.max(share, own[i]!));
        return mixed(frame, kept, (at) => fitted.data[at]!);
      }
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#mask.close();
  }
}

const resized = (shares: Shares, width: number, height: number): Float32Array => resizeMap(shares, width, height).data;

/** A frame's pixels by their shares, and others for the rest. @param other of the byte at a place */
function mixed({ width, height, data }: Picture, shares: Float32Array, other: (at: number) => number): Picture {
  const result = new Uint8Array(data.length);
  for (let at = 0; at < data.length; at++) {
    const behind = other(at);
    result[at] = behind + shares[Math.floor(at / 3)]! * (data[at]! - behind) + 0.5;
  }
  return { width, height, data: result };
}

/** A picture that fills a size: scaled, and cut where it stands out. */
function fillingOf(picture: Picture, width: number, height: number): Picture {
  if (picture.width === width && picture.height === height) return picture;
  const part = Math.min(picture.width / width, picture.height / height);
  const [w, h] = [Math.max(1, Math.floor(part * width)), Math.max(1, Math.floor(part * height))];
  const crop = { left: (picture.width - w) >> 1, top: (picture.height - h) >> 1, width: w, height: h };
  return transformPicture(picture, { crop, size: [width, height] });
}
