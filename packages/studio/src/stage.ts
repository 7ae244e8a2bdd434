// The place of one picture in a panel: a canvas with its square over it, or the words that ask for one, and files dropped on it.
import { CropBox } from './crop-box.js';
import { button, element } from './dom.js';
import type { Square } from './engine/api.js';

export type StageOptions = {
  /** What it shows, for screen readers. */
  name: string;
  /** What is said as long as it is empty. */
  invitation: string;
  /** What files may be chosen, as for file inputs; none if left out. */
  accept?: string;
  onFile?: (file: File) => void;
  onCrop?: (square: Square) => void;
};

export class Stage {
  readonly element: HTMLElement;
  readonly canvas = element('canvas', { width: 256, height: 256 });
  readonly crop: CropBox;
  /** Chooses another file; there as soon as something is shown. */
  readonly change = button('Change', () => this.#input?.click(), 'quiet');
  readonly #picture: HTMLElement;
  readonly #input: HTMLInputElement | undefined;

  constructor({ name, invitation, accept, onFile, onCrop = () => {} }: StageOptions) {
    this.canvas.setAttribute('role', 'img');
    this.canvas.setAttribute('aria-label', name);
    this.crop = new CropBox(name.toLowerCase(), onCrop);
    this.change.hidden = true;
    this.change.setAttribute('aria-label', `Change the ${name.toLowerCase()}`);
    this.#picture = element('div', { class: 'picture', hidden: true }, this.canvas, this.crop.element);
    this.element = element('div', { class: 'stage empty' }, this.#picture);
    if (!accept || !onFile) {
      this.element.append(element('p', { class: 'invitation' }, invitation));
      return;
    }
    const input = element('input', { type: 'file', accept, class: 'hidden-text' });
    input.addEventListener('change', () => {
      const [file] = input.files ?? [];
      if (file) onFile(file);
      input.value = ''; // the same file may be chosen again
    });
    this.#input = input;
    this.element.append(element('label', { class: 'invitation choose' }, input, element('span', {}, invitation)));
    this.element.addEventListener('dragover', (event) => {
      event.preventDefault();
      this.element.classList.add('target');
    });
    this.element.addEventListener('dragleave', () => this.element.classList.remove('target'));
    this.element.addEventListener('drop', (event) => {
      event.preventDefault();
      this.element.classList.remove('target');
      const [file] = event.dataTransfer?.files ?? [];
      if (file) onFile(file);
    });
  }

  /** Shows the canvas, at the proportions of what is on it. */
  filled(width: number, height: number): void {
    const choosing = document.activeElement === this.#input;
    this.element.classList.remove('empty');
    this.#picture.hidden = false;
    this.change.hidden = false;
    if (choosing) this.change.focus({ preventScroll: true }); // the place where files are chosen is gone
    this.#picture.style.aspectRatio = `${width} / ${height}`;
    // As large as the stage allows, whichever way round.
    this.#picture.classList.toggle('upright', height > width);
  }

  get isEmpty(): boolean {
    return this.element.classList.contains('empty');
  }

  empty(): void {
    this.element.classList.add('empty');
    this.#picture.hidden = true;
    this.change.hidden = true;
    this.crop.clear();
  }
}
