// The inside of a mouth: the portrait's own teeth where it shows them, and the dark where it does not.
import type { Picture } from '../../media/pictures/picture.js';
import { colorAt } from './canvas.js';
import type { Opening } from './face-surface.js';
import { rising } from './frontal-face.js';
import { OpenPart, type OpenPlace } from './open-part.js';

/** Points of the lips whose mean colour that of the inside is made of. */
const LIPS = [0, 17, 37, 267, 84, 314, 39, 269, 181, 405];
/** The upper teeth stay with the head, the lower ones go with the lip; here, from above, the ones end. */
const UPPER_TEETH = [0.45, 0.7] as const;
/** A portrait's mouth shows its inside if it is open so far, in widths of the mouth. */
const SHOWN = [0.04, 0.1] as const;
/** How bright the inside is, as parts of the lips: behind the upper lip, at the lower one, and where it is shallow. */
const BRIGHTNESS = { above: 0.16, below: 0.34, shallow: 0.3 } as const;
/** From here on, in widths of the mouth, it is not shallow. */
const DEEP = 0.2;

/** The mouth. */
export class MouthInterior extends OpenPart {
  readonly #lips = new Float64Array(3);
  readonly #lower = new Float64Array(3);

  constructor(portrait: Picture, mesh: Float64Array, opening: Opening, down: readonly [number, number]) {
    super(portrait, mesh, opening, down);
    const color = new Float64Array(3);
    for (const index of LIPS) {
      colorAt(portrait, mesh[index * 3]!, mesh[index * 3 + 1]!, color);
      for (let channel = 0; channel < 3; channel++) this.#lips[channel]! += color[channel]! / LIPS.length;
    }
  }

  protected override show({ x, y, lowerX, lowerY, part, height }: OpenPlace, color: Float64Array): void {
    const [below, shownHeight] = this.below(x, y);
    const wider = rising((height - shownHeight) / (SHOWN[1] * this.width));
    const trusted = Math.max(rising((shownHeight / this.width - SHOWN[0]) / (SHOWN[1] - SHOWN[0])), 1 - wider);
    const [belowWithLip, heightWithLip] = this.below(x - lowerX, y - lowerY);
    let upper = trusted * (1 - lowerShare(below, shownHeight));
    let lower = trusted * lowerShare(belowWithLip, heightWithLip);
    const sum = Math.max(1, upper + lower);
    upper /= sum;
    lower /= sum;
    this.colorInside(x - lowerX, y - lowerY, this.#lower);
    this.colorInside(x, y, color);
    const dark = 1 - upper - lower;
    const shallow = BRIGHTNESS.shallow * (1 - rising(height / (DEEP * this.width)));
    const bright = BRIGHTNESS.above + (BRIGHTNESS.below - BRIGHTNESS.above) * rising(part) + shallow;
    const most = Math.max(...this.#lips, 1);
    for (let channel = 0; channel < 3; channel++) {
      const inside = this.#lips[channel]! * bright * Math.sqrt(this.#lips[channel]! / most);
      color[channel] = upper * color[channel]! + lower * this.#lower[channel]! + dark * inside;
    }
  }
}

/** 0 where the upper teeth are, 1 where the lower ones are. */
function lowerShare(below: number, height: number): number {
  return rising((below / Math.max(height, 1e-3) - UPPER_TEETH[0]) / (UPPER_TEETH[1] - UPPER_TEETH[0]));
}
