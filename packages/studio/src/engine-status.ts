// What runs the networks, and how far the model's download has come.
import { button, element } from './dom.js';
import type { LoadedModel } from './engine/api.js';

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

export class EngineStatus {
  readonly element: HTMLElement;
  readonly #words = element('span');
  readonly #progress = element('progress', { max: 1, value: 0, attributes: { 'aria-label': 'Download of the model' } });
  readonly #retry: HTMLButtonElement;

  constructor(onRetry: () => void) {
    this.#retry = button('Try again', onRetry, 'quiet');
    this.#retry.hidden = true;
    this.element = element(
      'div',
      { class: 'engine', attributes: { role: 'status' } },
      this.#words,
      this.#progress,
      this.#retry,
    );
    this.loading(0, 0);
  }

  loading(done: number, total: number): void {
    this.#retry.hidden = true;
    this.#progress.hidden = false;
    this.#progress.value = total > 0 ? done / total : 0;
    const words = total > 0 ? `Model: ${megabytes(done)} of ${megabytes(total)}` : 'Loading the model';
    // Screen readers are told the beginning and the end; the bar has the rest.
    if (total === 0 || done >= total)
      this.#words.textContent = done >= total && total > 0 ? 'Preparing the model' : words;
    this.#progress.title = words;
  }

  ready({ provider, description, fallback, bytes, weights }: LoadedModel): void {
    this.#progress.hidden = true;
    this.#words.textContent = provider === 'webgpu' ? 'Runs on WebGPU' : 'Runs on wasm';
    this.element.title = [description, weights.name, `model of ${megabytes(bytes)}`, fallback]
      .filter((part) => part)
      .join('\n');
    this.element.dataset.provider = provider;
    this.element.append(element('small', {}, description));
  }

  failed(): void {
    this.#progress.hidden = true;
    this.#words.textContent = 'No model';
    this.#retry.hidden = false;
  }
}
