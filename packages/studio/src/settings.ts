// How the portrait is to move and what is to be saved, as chosen by the user, and what the browser keeps.
import { choices, element, labelled } from './dom.js';
import type { KeptModels } from './kept-models.js';
import type { SavedFormat } from './media/formats.js';

export type Settings = {
  motion: 'relative' | 'absolute';
  adaptScale: boolean;
  /** The clip's frame from which motion is measured. */
  reference: 'auto' | 'first';
  /** Strength of the smoothing, 0 to 1; null for none. */
  smoothing: number | null;
  /** The whole portrait with the animated square in it. */
  pasteBack: boolean;
  sound: boolean;
  /** Null where this browser can write no video. */
  format: SavedFormat | null;
};

const checkbox = (checked: boolean): HTMLInputElement => element('input', { type: 'checkbox', checked });

export class SettingsPanel {
  readonly element: HTMLDetailsElement;
  readonly #motion = choices({ relative: 'its change (relative)', absolute: 'as it is (absolute)' }, 'relative');
  readonly #reference = choices({ auto: 'the most alike frame', first: 'the first frame' }, 'auto');
  readonly #smoothing = choices({ off: 'off', '0.25': 'a little', '0.5': 'medium', '0.75': 'a lot' }, 'off');
  readonly #adaptScale = checkbox(false);
  readonly #pasteBack = checkbox(false);
  readonly #sound = checkbox(true);
  readonly #format = element('select', { disabled: true });
  #formats: readonly SavedFormat[] = [];

  constructor(kept: KeptModels) {
    this.element = element(
      'details',
      { class: 'settings' },
      element('summary', {}, 'Options'),
      element(
        'div',
        { class: 'fields' },
        labelled('Take over motion', this.#motion),
        labelled('Measured from', this.#reference),
        labelled('Smoothing', this.#smoothing),
        labelled('File', this.#format),
        labelled('Whole picture', this.#pasteBack, 'puts the animated square back into the portrait'),
        labelled('Adapt scale', this.#adaptScale, 'scales movement by the sizes of the two faces'),
        labelled('Sound', this.#sound, 'takes the clip’s sound along'),
      ),
      kept.element,
    );
    this.element.addEventListener('toggle', () => {
      if (this.element.open) void kept.refresh();
    });
  }

  get value(): Settings {
    const smoothing = this.#smoothing.choice();
    return {
      motion: this.#motion.choice(),
      reference: this.#reference.choice(),
      smoothing: smoothing === 'off' ? null : Number(smoothing),
      adaptScale: this.#adaptScale.checked,
      pasteBack: this.#pasteBack.checked,
      sound: this.#sound.checked,
      format: this.#formats[this.#format.selectedIndex] ?? null,
    };
  }

  /** Offers the kinds of file that this browser can write. */
  offer(formats: readonly SavedFormat[]): void {
    this.#formats = formats;
    this.#format.replaceChildren(...formats.map(({ label }) => new Option(label)));
    this.#format.disabled = formats.length === 0;
    if (formats.length === 0) this.#format.append(new Option('none: this browser encodes no video'));
  }
}
