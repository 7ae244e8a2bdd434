// Which part of a driving clip is used: from one second to another, and one of every so many frames.
import { choices, element, labelled } from './dom.js';
import type { ClipFacts } from './media/media-worker.js';

/** Frames `start` to before `end`, and of them one of `every`. */
export type FrameRange = { start: number; end: number | undefined; every: number };

/** All of a clip. */
export const WHOLE: FrameRange = { start: 0, end: undefined, every: 1 };

/** Seconds that a clip has at least for a part to be worth a choice, and the shortest part. */
const SHORTEST = 0.2;

export class ClipPart {
  readonly element: HTMLDetailsElement;
  readonly #from = seconds();
  readonly #to = seconds();
  readonly #every = choices({ '1': 'every frame', '2': 'every second frame', '3': 'every third frame' }, '1');
  #facts: ClipFacts | null = null;

  constructor() {
    this.element = element(
      'details',
      { class: 'part', hidden: true },
      element('summary', {}, 'Use a part'),
      element(
        'div',
        { class: 'part-fields' },
        labelled('From second', this.#from),
        labelled('To second', this.#to),
        labelled('Take', this.#every),
      ),
    );
    this.#from.addEventListener('change', () => this.#order());
    this.#to.addEventListener('change', () => this.#order());
  }

  /** Offers the parts of a clip, at first all of it; none where its length is not known, or too short. */
  offer(facts: ClipFacts | null): void {
    this.#facts = facts;
    const length = facts?.duration ?? 0;
    this.element.hidden = length < 2 * SHORTEST;
    this.#from.value = '0';
    this.#to.value = length.toFixed(1);
    this.#every.value = '1';
    for (const input of [this.#from, this.#to]) input.max = length.toFixed(1);
  }

  get value(): FrameRange {
    if (!this.#facts || this.element.hidden) return WHOLE;
    const { frameRate, duration = 0 } = this.#facts;
    const [from, to] = [Number(this.#from.value), Number(this.#to.value)];
    const start = Math.round(from * frameRate);
    const end = to > duration - 0.05 ? undefined : Math.max(start + 1, Math.round(to * frameRate));
    return { start, end, every: Number(this.#every.choice()) };
  }

  /** Keeps the end behind the start, and both in the clip. */
  #order(): void {
    const length = this.#facts?.duration ?? 0;
    const within = (input: HTMLInputElement, least: number, most: number): number => {
      const value = Math.round(10 * Math.min(Math.max(input.valueAsNumber || 0, least), most)) / 10;
      if (value !== input.valueAsNumber) input.value = String(value); // the user may be about to write there
      return value;
    };
    const from = within(this.#from, 0, length - SHORTEST);
    within(this.#to, from + SHORTEST, length);
  }
}

const seconds = (): HTMLInputElement => element('input', { type: 'number', min: '0', step: '0.1' });
