// Face depth of portrait and driving frame, bright is near.
import { heatPicture, type ValueRange, valueRange } from 'dagan/visualization';
import { show } from '../canvas.js';
import { figure, namedCanvas, type Seen, type View, wipe } from './view.js';

export class DepthView implements View {
  readonly element: HTMLElement;
  readonly #portrait = namedCanvas('Depth of the portrait');
  readonly #driving = namedCanvas('Depth of the driving frame');
  /** One for all frames of a portrait, or the colours flicker. */
  #range: ValueRange | undefined;

  constructor() {
    this.element = figure('Depth', 'Portrait and driving frame; bright is near.', this.#portrait, this.#driving);
  }

  update({ portrait, frame }: Seen): void {
    if (portrait.disparity) show(this.#portrait, heatPicture(portrait.disparity));
    const driving = frame?.insight?.disparity;
    if (!driving) return;
    this.#range ??= valueRange(driving);
    show(this.#driving, heatPicture(driving, this.#range));
  }

  clear(): void {
    this.#range = undefined;
    wipe(this.#portrait, this.#driving);
  }
}
