// The square that the networks see, drawn over a picture: moved and resized by pointer or keys.
import { outsideOf } from 'dagan/animation';
import { element } from './dom.js';
import type { Square } from './engine/api.js';

/** The smallest square, in pixels of the picture. */
const LEAST = 32;

/** Parts of the picture's shorter side that a key moves the square by, without and with Shift. */
const STEP = { fine: 0.01, coarse: 0.05 } as const;

type Drag = { pointer: number; startX: number; startY: number; from: Square; corner: number | null };

/** Corners in reading order: whether each is on the right, and whether at the bottom. */
const CORNERS = [
  { right: false, bottom: false },
  { right: true, bottom: false },
  { right: false, bottom: true },
  { right: true, bottom: true },
] as const;

export class CropBox {
  /** To be laid over the picture, filling it. */
  readonly element: HTMLElement;
  readonly #frame: HTMLElement;
  readonly #corners: readonly HTMLElement[];
  readonly #words: HTMLElement;
  #size = { width: 1, height: 1 };
  #square: Square | null = null;
  #drag: Drag | null = null;

  readonly #onChange: (square: Square) => void;

  /**
   * @param name of what is cropped, for screen readers
   * @param onChange is called with each square that the user makes
   */
  constructor(name: string, onChange: (square: Square) => void) {
    this.#onChange = onChange;
    this.#words = element('span', { class: 'hidden-text', attributes: { 'aria-live': 'polite' } });
    this.#corners = CORNERS.map(({ right, bottom }) =>
      element('span', { class: `crop-corner ${right ? 'right' : 'left'} ${bottom ? 'bottom' : 'top'}` }),
    );
    this.#frame = element(
      'div',
      {
        class: 'crop-frame',
        tabIndex: 0,
        attributes: {
          role: 'group',
          'aria-label': `Square of the ${name}: arrow keys move it, plus and minus resize it, Shift takes larger steps`,
        },
      },
      ...this.#corners,
      this.#words,
    );
    this.element = element('div', { class: 'crop', hidden: true }, this.#frame);
    this.#frame.addEventListener('keydown', (event) => this.#key(event));
    this.#frame.addEventListener('pointerdown', (event) => this.#grab(event));
    this.#frame.addEventListener('pointermove', (event) => this.#move(event));
    for (const end of ['pointerup', 'pointercancel'] as const) {
      this.#frame.addEventListener(end, () => {
        this.#drag = null;
      });
    }
  }

  get square(): Square | null {
    return this.#square;
  }

  /** What is to be said if the square reaches outside of the picture; nothing if it does not. */
  get warning(): string {
    const { width, height } = this.#size;
    const outside = this.#square ? outsideOf(this.#square, width, height) : 0;
    return outside > 0 ? `${Math.ceil(100 * outside)} % of the square lies outside, where edges are repeated.` : '';
  }

  /** Shows a square over a picture of that size. */
  place(square: Square, width: number, height: number): void {
    this.#size = { width, height };
    this.element.hidden = false;
    this.#draw(square);
  }

  clear(): void {
    this.#square = null;
    this.element.hidden = true;
  }

  #grab(event: PointerEvent): void {
    if (!this.#square) return;
    const corner = this.#corners.indexOf(event.target as HTMLElement);
    const { pointerId: pointer, clientX: startX, clientY: startY } = event;
    this.#drag = { pointer, startX, startY, from: this.#square, corner: corner < 0 ? null : corner };
    this.#frame.setPointerCapture(pointer);
    this.#frame.focus({ preventScroll: true });
    event.preventDefault();
  }

  #move(event: PointerEvent): void {
    const drag = this.#drag;
    if (drag?.pointer !== event.pointerId) return;
    const scale = this.#size.width / this.element.getBoundingClientRect().width;
    const [x, y] = [(event.clientX - drag.startX) * scale, (event.clientY - drag.startY) * scale];
    const { left, top, side } = drag.from;
    if (drag.corner === null) {
      this.#set({ left: left + x, top: top + y, side });
      return;
    }
    const { right, bottom } = CORNERS[drag.corner]!;
    const grown = Math.max(LEAST, side + ((right ? x : -x) + (bottom ? y : -y)) / 2);
    this.#set({ left: right ? left : left + side - grown, top: bottom ? top : top + side - grown, side: grown });
  }

  #key(event: KeyboardEvent): void {
    if (!this.#square || event.ctrlKey || event.metaKey || event.altKey) return;
    const { left, top, side } = this.#square;
    const step = Math.max(1, Math.min(this.#size.width, this.#size.height) * STEP[event.shiftKey ? 'coarse' : 'fine']);
    const resized = (by: number): Square => ({ left: left - by / 2, top: top - by / 2, side: side + by });
    const moves: Readonly<Record<string, Square>> = {
      ArrowLeft: { left: left - step, top, side },
      ArrowRight: { left: left + step, top, side },
      ArrowUp: { left, top: top - step, side },
      ArrowDown: { left, top: top + step, side },
      '+': resized(2 * step),
      '=': resized(2 * step),
      '-': resized(-2 * step),
      _: resized(-2 * step),
    };
    const wanted = moves[event.key];
    if (!wanted) return;
    event.preventDefault();
    this.#set(wanted);
  }

  /** Takes a square that the user asks for: whole pixels, not too small or large, most of it over the picture. */
  #set({ left, top, side }: Square): void {
    const { width, height } = this.#size;
    const whole = Math.round(Math.min(Math.max(side, LEAST), 1.5 * Math.max(width, height)));
    const along = (at: number, length: number): number =>
      Math.round(Math.min(Math.max(at, -whole / 2), length - whole / 2));
    this.#draw({ left: along(left, width), top: along(top, height), side: whole });
    this.#onChange(this.#square!);
  }

  #draw(square: Square): void {
    this.#square = square;
    const { width, height } = this.#size;
    const percent = (part: number, of: number): string => `${(100 * part) / of}%`;
    Object.assign(this.#frame.style, {
      left: percent(square.left, width),
      top: percent(square.top, height),
      width: percent(square.side, width),
      height: percent(square.side, height),
    });
    // Corners outside of the picture could not be seen or held: they stay at its border.
    const inset = {
      x: [-square.left, square.left + square.side - width],
      y: [-square.top, square.top + square.side - height],
    };
    for (const [i, { right, bottom }] of CORNERS.entries()) {
      const from = (outside: number | undefined): string => percent(Math.max(0, outside ?? 0), square.side);
      this.#corners[i]!.style[right ? 'right' : 'left'] = from(inset.x[Number(right)]);
      this.#corners[i]!.style[bottom ? 'bottom' : 'top'] = from(inset.y[Number(bottom)]);
    }
    this.#words.textContent = `${square.side} pixels wide, ${square.left} from the left, ${square.top} from the top`;
  }
}
