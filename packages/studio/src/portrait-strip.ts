// The portraits at hand, as small pictures in a row of which one is in use: arrow keys go from one to the next. They are kept as
// long as the page is open, and nowhere else.
import { button, element } from './dom.js';

/** A portrait in the strip. */
export type StripItem = {
  title: string;
  /** Small and square. */
  thumbnail: HTMLCanvasElement | HTMLImageElement;
  /** Whether it can be taken out. */
  removable: boolean;
};

/** Pixels of a thumbnail's side: twice those of the style, for fine screens. */
const SIDE = 96;

/** A part of a picture as a thumbnail; what lies outside stays empty. */
export function thumbnailOf(source: HTMLCanvasElement, part: { left: number; top: number; side: number }) {
  const canvas = element('canvas', { width: SIDE, height: SIDE });
  const context = canvas.getContext('2d')!;
  context.imageSmoothingQuality = 'high';
  context.drawImage(source, part.left, part.top, part.side, part.side, 0, 0, SIDE, SIDE);
  return canvas;
}

export class PortraitStrip<Item extends StripItem> {
  readonly element: HTMLElement;
  readonly #row = element('div', {
    class: 'strip',
    attributes: { role: 'radiogroup', 'aria-label': 'Portraits at hand' },
  });
  readonly #remove: HTMLButtonElement;
  readonly #inputs = new Map<Item, HTMLInputElement>();
  #chosen: Item | null = null;

  readonly #onChoose: (item: Item) => void;

  /**
   * @param onChoose is told which one the user wants
   * @param onRemove is told which one, that in use, the user wants no longer
   */
  constructor(onChoose: (item: Item) => void, onRemove: (item: Item) => void) {
    this.#onChoose = onChoose;
    this.#remove = button('Remove this portrait', () => this.#chosen && onRemove(this.#chosen), 'link');
    this.#remove.hidden = true;
    this.element = element('div', { class: 'portraits' }, this.#row, this.#remove);
  }

  /** Shows these, in this order. */
  set items(items: readonly Item[]) {
    const focused = [...this.#inputs].find(([, input]) => input === document.activeElement)?.[0];
    this.#inputs.clear();
    this.#row.replaceChildren(
      ...items.map((item) => {
        const input = element('input', { type: 'radio', name: 'portrait' });
        input.addEventListener('change', () => this.#onChoose(item));
        this.#inputs.set(item, input);
        const title = element('span', { class: 'hidden-text' }, item.title);
        return element('label', { class: 'thumbnail', title: item.title }, input, item.thumbnail, title);
      }),
    );
    this.chosen = this.#chosen;
    if (focused) this.#inputs.get(focused)?.focus();
  }

  /** The one in use; null while there is none. */
  set chosen(item: Item | null) {
    this.#chosen = item;
    for (const [other, input] of this.#inputs) input.checked = other === item;
    this.#remove.hidden = !item?.removable;
  }

  /** Gives the focus to the one in use, or else to the first. */
  focus(): void {
    const [first] = this.#inputs.values();
    ((this.#chosen && this.#inputs.get(this.#chosen)) ?? first)?.focus();
  }
}
