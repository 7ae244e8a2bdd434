// How a motion template is played: its direction, how many times, and how fast.
import type { Playback } from 'dagan/animation';
import { choices, element, labelled } from './dom.js';

/** The most times that one is shown. */
const MOST = 20;

export class PlaybackFields {
  readonly element: HTMLElement;
  readonly #direction = choices({ forward: 'forward', reverse: 'backward', both: 'forward and back' }, 'forward');
  readonly #loops = element('input', { type: 'number', min: '1', max: String(MOST), step: '1', value: '1' });
  readonly #speed = choices(
    { '0.5': 'half', '0.75': 'three quarters', '1': 'as it is', '1.5': 'one and a half', '2': 'double' },
    '1',
  );

  /** @param onChange is called when the user has changed one */
  constructor(onChange: () => void) {
    this.element = element(
      'div',
      { class: 'part-fields playback', hidden: true },
      labelled('Direction', this.#direction),
      labelled('Times', this.#loops),
      labelled('Speed', this.#speed),
    );
    this.#loops.addEventListener('change', () => {
      this.#loops.value = String(this.#times);
    });
    this.element.addEventListener('change', onChange);
  }

  get value(): Playback {
    return { direction: this.#direction.choice(), loops: this.#times, speed: Number(this.#speed.choice()) };
  }

  get #times(): number {
    return Math.min(MOST, Math.max(1, Math.round(this.#loops.valueAsNumber || 1)));
  }
}
