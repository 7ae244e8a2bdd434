// Which parts of a frame are the warped portrait, and which the network has to paint.
import { heatPicture, motionPicture } from 'dagan/visualization';
import { show } from '../canvas.js';
import { figure, namedCanvas, type Seen, type View, wipe } from './view.js';

export class OcclusionView implements View {
  readonly element: HTMLElement;
  readonly #occlusion = namedCanvas('Occlusion map of the last frame');
  readonly #motion = namedCanvas('Motion field of the last frame');

  constructor() {
    const words =
      'Left: bright is taken from the portrait, dark is painted anew. Right: the motion, its direction as hue.';
    this.element = figure('Occlusion and motion', words, this.#occlusion, this.#motion);
  }

  update({ frame }: Seen): void {
    if (!frame?.insight) return;
    const { occlusion, deformation } = frame.insight;
    if (occlusion) show(this.#occlusion, heatPicture(occlusion, [0, 1]));
    if (!deformation) return;
    const side = Math.round(Math.sqrt(deformation.length / 2));
    show(this.#motion, motionPicture(side, side, deformation, 0.3));
  }

  clear(): void {
    wipe(this.#occlusion, this.#motion);
  }
}
