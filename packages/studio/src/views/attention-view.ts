// From where in the portrait the place under the pointer takes its appearance (Eq. 9, Fig. 9 of the paper).
import { drawRing, overlayHeat } from 'dagan/visualization';
import { show } from '../canvas.js';
import { element } from '../dom.js';
import type { Attention } from '../engine/api.js';
import { figure, type Seen, type View, wipe } from './view.js';

/** Asks the networks about a place of the portrait, 0 to 1 from the left and from the top. */
export type AskAttention = (x: number, y: number) => Promise<Attention | null>;

const RING = { radius: 6, color: [255, 255, 255] } as const;

export class AttentionView implements View {
  readonly element: HTMLElement;
  readonly #canvas = element('canvas', {
    width: 256,
    height: 256,
    tabIndex: 0,
    class: 'pointable',
    attributes: {
      role: 'application',
      'aria-label': 'Attention over the portrait: arrow keys move the place that is asked about',
    },
  });
  #place = { x: 0.5, y: 0.45 };
  #seen: Seen | null = null;
  #asking = false;
  #again = false;

  readonly #ask: AskAttention;

  constructor(ask: AskAttention) {
    this.#ask = ask;
    const words = 'Where the place under the pointer (ring) takes its appearance from in the portrait.';
    this.element = figure('Attention', words, this.#canvas);
    // A finger that taps does not move.
    for (const kind of ['pointerdown', 'pointermove'] as const) {
      this.#canvas.addEventListener(kind, ({ clientX, clientY }) => {
        const { left, top, width, height } = this.#canvas.getBoundingClientRect();
        this.#go((clientX - left) / width, (clientY - top) / height);
      });
    }
    this.#canvas.addEventListener('keydown', (event) => {
      const step = event.shiftKey ? 0.1 : 0.025;
      const { x, y } = this.#place;
      const places: Readonly<Record<string, readonly [number, number]>> = {
        ArrowLeft: [x - step, y],
        ArrowRight: [x + step, y],
        ArrowUp: [x, y - step],
        ArrowDown: [x, y + step],
      };
      const to = places[event.key];
      if (!to) return;
      event.preventDefault();
      this.#go(...to);
    });
  }

  update(seen: Seen): void {
    this.#seen = seen;
    if (seen.frame) void this.#refresh();
    else show(this.#canvas, seen.portrait.picture);
  }

  clear(): void {
    this.#seen = null;
    wipe(this.#canvas);
  }

  #go(x: number, y: number): void {
    const inside = (value: number): number => Math.min(Math.max(value, 0), 0.999);
    this.#place = { x: inside(x), y: inside(y) };
    void this.#refresh();
  }

  /** Asks about the place; while an answer is under way, only the newest place is asked about next. */
  async #refresh(): Promise<void> {
    if (!this.#seen?.frame) return;
    if (this.#asking) {
      this.#again = true;
      return;
    }
    this.#asking = true;
    try {
      do {
        this.#again = false;
        const { x, y } = this.#place;
        const attention = await this.#ask(x, y).catch(() => null); // the portrait may be gone by now
        if (!attention || !this.#seen) break;
        const { picture } = this.#seen.portrait;
        const most = attention.portrait.data.reduce((a, b) => Math.max(a, b), 0);
        const shown = overlayHeat(picture, attention.portrait, [0, most]);
        drawRing(shown, [x * picture.width, y * picture.height], RING.radius, RING.color);
        show(this.#canvas, shown);
      } while (this.#again);
    } finally {
      this.#asking = false;
    }
  }
}
