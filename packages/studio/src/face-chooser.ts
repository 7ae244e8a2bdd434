// Which of several faces is meant: "Face 1 of 3", with a button on either side. Not there where there is only one.
import { button, element } from './dom.js';

export class FaceChooser {
  readonly element: HTMLElement;
  readonly #words = element('span', { attributes: { 'aria-live': 'polite' } });
  #face = 1;
  #faces = 1;

  readonly #onChoose: (face: number) => void;

  /**
   * @param where the faces are, for screen readers
   * @param onChoose is called with the number that the user chooses, counted from the left from 1
   */
  constructor(where: string, onChoose: (face: number) => void) {
    this.#onChoose = onChoose;
    const step = (sign: string, name: string, by: number): HTMLButtonElement => {
      const made = button(sign, () => this.#step(by), 'quiet');
      made.setAttribute('aria-label', `${name} face of the ${where}`);
      return made;
    };
    this.element = element(
      'div',
      { class: 'faces', hidden: true, attributes: { role: 'group', 'aria-label': `Face of the ${where}` } },
      step('‹', 'Previous', -1),
      this.#words,
      step('›', 'Next', 1),
    );
  }

  /** Shows a face as the chosen one. */
  show(face: number, faces: number): void {
    [this.#face, this.#faces] = [face, faces];
    this.#words.textContent = `Face ${face} of ${faces}`;
    this.element.hidden = faces < 2;
  }

  hide(): void {
    this.element.hidden = true;
  }

  /** Goes on to the next one; after the last comes the first. */
  #step(by: number): void {
    this.show(((this.#face - 1 + by + this.#faces) % this.#faces) + 1, this.#faces);
    this.#onChoose(this.#face);
  }
}
