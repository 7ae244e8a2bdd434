// What the browser keeps of models, and a button that makes it forget them.
import { button, element } from './dom.js';
import type { StudioEngine } from './engine/studio-engine.js';
import { megabytes } from './words.js';

export class KeptModels {
  readonly element: HTMLElement;
  readonly #words = element('span', { tabIndex: -1, attributes: { role: 'status' } });
  readonly #forget = button('Forget downloaded models', () => void this.#forgetModels(), 'link');

  readonly #engine: StudioEngine;
  readonly #onProblem: (error: unknown) => void;

  constructor(engine: StudioEngine, onProblem: (error: unknown) => void) {
    this.#engine = engine;
    this.#onProblem = onProblem;
    this.#forget.hidden = true;
    this.element = element('p', { class: 'kept' }, this.#words, this.#forget);
  }

  /** Looks again at what is kept. */
  async refresh(): Promise<void> {
    try {
      const bytes = await this.#engine.keptModels();
      this.#words.textContent =
        bytes > 0
          ? `This browser keeps ${megabytes(bytes)} of models, so that each is downloaded once.`
          : 'This browser keeps no model; the next visit downloads one.';
      this.#forget.hidden = bytes === 0;
    } catch (error) {
      this.#onProblem(error);
    }
  }

  async #forgetModels(): Promise<void> {
    try {
      await this.#engine.forgetModels();
      await this.refresh();
      this.#words.focus(); // the button is gone
    } catch (error) {
      this.#onProblem(error);
    }
  }
}
