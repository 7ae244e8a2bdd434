// What is said at a place of the page, where the eyes are: a notice, or a problem with what to do about it.
import { element } from './dom.js';
import { isStopped, problemText } from './problems.js';

export class Messages {
  readonly #problem = element('p', { class: 'problem', hidden: true, attributes: { role: 'alert' } });
  readonly #notice = element('p', { class: 'notice', attributes: { role: 'status' } });
  readonly element = element('div', { class: 'messages' }, this.#problem, this.#notice);

  tell(text: string): void {
    this.#notice.textContent = text;
  }

  /** Tells of a problem, which takes the notice's place; that somebody stopped the work is none. */
  tellProblem(error: unknown): void {
    if (isStopped(error)) return;
    this.#notice.textContent = '';
    this.#problem.textContent = problemText(error);
    this.#problem.hidden = false;
    this.#problem.scrollIntoView({ block: 'nearest' });
  }

  clear(): void {
    this.#notice.textContent = '';
    this.#problem.hidden = true;
  }
}
