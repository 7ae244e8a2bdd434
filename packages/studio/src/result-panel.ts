// The animation: as it is made, and the finished video to play and save.
import type { Picture } from 'dagan/media/portable';
import { show } from './canvas.js';
import { element } from './dom.js';
import type { SavedVideo } from './media/recording.js';
import { panel } from './panel.js';
import { Stage } from './stage.js';

const sizeOf = ({ size }: Blob): string =>
  size < 1e6 ? `${Math.ceil(size / 1000)} kB` : `${(size / 1e6).toFixed(1)} MB`;

export class ResultPanel {
  readonly element: HTMLElement;
  readonly #stage = new Stage({ name: 'Result', invitation: 'The animation appears here' });
  readonly #video = element('video', { controls: true, loop: true, playsInline: true, hidden: true });
  readonly #save = element('a', { class: 'button primary', hidden: true }, 'Save');
  readonly #facts = element('p', { class: 'facts' });
  #address: string | null = null;

  constructor() {
    this.#video.setAttribute('aria-label', 'Finished animation');
    this.#stage.element.append(this.#video);
    this.element = panel('Result', this.#save, this.#stage, this.#facts);
  }

  /** A frame as it was made. */
  frame(picture: Picture): void {
    this.#hideVideo();
    show(this.#stage.canvas, picture);
    this.#stage.filled(picture.width, picture.height);
  }

  /** A finished video, under the name that it is to be saved by. */
  finished({ file, format, frames, warnings }: SavedVideo, name: string): void {
    this.#free();
    this.#address = URL.createObjectURL(file);
    this.#video.src = this.#address;
    this.#video.hidden = false;
    this.#stage.element.classList.add('played');
    this.#save.hidden = false;
    this.#save.href = this.#address;
    this.#save.download = `${name}.${format.container}`;
    const facts = [`${frames} frames`, format.label, sizeOf(file), 'marked as synthetic'];
    this.#facts.textContent = [`${facts.join(', ')}.`, ...warnings.map((text) => `Note: ${text}.`)].join(' ');
    if (!matchMedia('(prefers-reduced-motion: reduce)').matches) {
      this.#video.muted = false;
      this.#video.play().catch(() => {}); // browsers may want a press first; the controls are there
    }
  }

  /** Frees the finished video. */
  clear(): void {
    this.#hideVideo();
    this.#free();
    this.#stage.empty();
    this.#facts.textContent = '';
  }

  #hideVideo(): void {
    if (this.#video.hidden) return;
    this.#video.pause();
    this.#video.hidden = true;
    this.#stage.element.classList.remove('played');
  }

  #free(): void {
    this.#save.hidden = true;
    if (this.#address === null) return;
    this.#video.removeAttribute('src');
    this.#video.load();
    URL.revokeObjectURL(this.#address);
    this.#address = null;
  }
}
