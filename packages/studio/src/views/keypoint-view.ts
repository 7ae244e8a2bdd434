// Keypoints on both faces: what they are in the portrait and in the driving frame, in the same colours.
import { drawKeypoints } from 'dagan/visualization';
import { show } from '../canvas.js';
import { figure, namedCanvas, type Seen, type View, wipe } from './view.js';

export class KeypointView implements View {
  readonly element: HTMLElement;
  readonly #portrait = namedCanvas('Keypoints of the portrait');
  readonly #driving = namedCanvas('Keypoints of the driving frame');

  constructor() {
    const words = 'Portrait and driving frame; the same colour is the same point. Their change moves the portrait.';
    this.element = figure('Keypoints', words, this.#portrait, this.#driving);
  }

  update({ portrait, frame }: Seen): void {
    const drawing = { axes: true, brightness: 0.55 };
    show(this.#portrait, drawKeypoints(portrait.picture, portrait.keypoints, drawing));
    if (frame?.insight) show(this.#driving, drawKeypoints(frame.insight.square, frame.driving, drawing));
  }

  clear(): void {
    wipe(this.#portrait, this.#driving);
  }
}
