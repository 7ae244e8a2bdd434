// What the networks see, beside the result.
import { element } from './dom.js';
import type { LoadedModel } from './engine/api.js';
import { type AskAttention, AttentionView } from './views/attention-view.js';
import { CloudView } from './views/cloud-view.js';
import { DepthView } from './views/depth-view.js';
import { KeypointView } from './views/keypoint-view.js';
import { OcclusionView } from './views/occlusion-view.js';
import type { Seen, View } from './views/view.js';

/** Milliseconds between two updates: the views must not slow down the animation. */
const INTERVAL = 150;

export class InsightPanel {
  readonly element: HTMLDetailsElement;
  readonly #views: { view: View; needs: 'hasDepth' | 'hasAttention' | 'hasOcclusion' | null }[];
  readonly #shelf = element('div', { class: 'views', hidden: true });
  readonly #empty = element(
    'p',
    { class: 'facts' },
    'Depth, keypoints and more appear here as soon as there is a portrait.',
  );
  #seen: Seen | null = null;
  #shown = 0;
  #planned: ReturnType<typeof setTimeout> | undefined;

  /** @param onOpen is called when the user opens the panel */
  constructor(ask: AskAttention, onOpen: () => void) {
    this.#views = [
      { view: new CloudView(), needs: 'hasDepth' },
      { view: new AttentionView(ask), needs: 'hasAttention' },
      { view: new KeypointView(), needs: null },
      { view: new DepthView(), needs: 'hasDepth' },
      { view: new OcclusionView(), needs: 'hasOcclusion' },
    ];
    this.#shelf.append(...this.#views.map(({ view }) => view.element));
    this.element = element(
      'details',
      { class: 'insight', open: true },
      element('summary', {}, 'What the network sees'),
      this.#empty,
      this.#shelf,
    );
    this.element.addEventListener('toggle', () => {
      if (!this.element.open) return;
      this.#show();
      onOpen();
    });
  }

  get open(): boolean {
    return this.element.open;
  }

  /** Whether the next frame should come with what was seen. */
  get due(): boolean {
    return this.element.open && performance.now() - this.#shown > INTERVAL;
  }

  /** Leaves out what a model does not have. */
  fit(model: LoadedModel): void {
    for (const { view, needs } of this.#views) view.element.hidden = needs !== null && !model[needs];
  }

  /** Shows what was seen, now or soon: of many frames only some. */
  update(seen: Seen): void {
    // Frames in between come without; what was seen last stays.
    if (seen.frame && !seen.frame.insight) return;
    this.#seen = seen;
    if (this.#planned !== undefined) return;
    const wait = Math.max(0, this.#shown + INTERVAL - performance.now());
    this.#planned = setTimeout(() => {
      this.#planned = undefined;
      this.#show();
    }, wait);
  }

  clear(): void {
    this.#seen = null;
    this.#setEmpty(true);
    for (const { view } of this.#views) view.clear();
  }

  #setEmpty(empty: boolean): void {
    this.#shelf.hidden = empty;
    this.#empty.hidden = !empty;
  }

  #show(): void {
    this.#shown = performance.now();
    if (!this.#seen || !this.element.open) return;
    this.#setEmpty(false);
    for (const { view } of this.#views) if (!view.element.hidden) view.update(this.#seen);
  }
}
