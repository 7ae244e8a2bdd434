// What runs the networks, and how far the model's download has come.
import { button, element } from './dom.js';
import type { LoadedModel } from './engine/api.js';
import { Messages } from './messages.js';
import { megabytes } from './words.js';

export class EngineStatus {
  readonly element: HTMLElement;
  readonly #words = element('span');
  /** What changes many times a second is kept from screen readers; the bar has it for them. */
  readonly #size = element('small', { attributes: { 'aria-hidden': 'true' } });
  readonly #facts = element('small');
  readonly #progress = element('progress', { max: 1, value: 0, attributes: { 'aria-label': 'Download of the model' } });
  readonly #retry: HTMLButtonElement;
  readonly #messages = new Messages();

  constructor(onRetry: () => void) {
    this.#retry = button('Try again', onRetry, 'quiet');
    this.#retry.hidden = true;
    this.element = element(
      'div',
      { class: 'engine', attributes: { role: 'status' } },
      this.#words,
      this.#progress,
      this.#size,
      this.#facts,
      this.#retry,
      this.#messages.element,
    );
    this.loading(0, 0);
  }

  loading(done: number, total: number): void {
    this.#retry.hidden = true;
    this.#messages.clear();
    this.#progress.hidden = false;
    this.#progress.value = total > 0 ? done / total : 0;
    this.#size.textContent = total > 0 ? `${megabytes(done)} of ${megabytes(total)}` : '';
    const words = total > 0 && done >= total ? 'Preparing the model' : 'Loading the model';
    if (this.#words.textContent !== words) this.#words.textContent = words;
  }

  ready({ provider, description, fallback, bytes, weights }: LoadedModel): void {
    this.#progress.hidden = true;
    this.#size.textContent = '';
    this.#words.textContent = provider === 'webgpu' ? 'Runs on WebGPU' : 'Runs on wasm';
    const why = fallback === null ? '' : `no WebGPU: ${fallback}`;
    this.#facts.textContent = [description, `model of ${megabytes(bytes)}`, why].filter((part) => part).join('; ');
    this.element.title = weights.name ?? '';
    this.element.dataset.provider = provider;
  }

  failed(error: unknown): void {
    this.#progress.hidden = true;
    this.#size.textContent = '';
    this.#words.textContent = 'No model';
    this.#retry.hidden = false;
    this.#messages.tellProblem(error);
  }
}
