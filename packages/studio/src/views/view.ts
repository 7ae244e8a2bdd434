// What all views of the networks' insides are shown from, and their common frame.

import { element } from '../dom.js';
import type { GeneratedFrame, Portrait } from '../engine/api.js';

/** What can be shown: the portrait alone, or with a frame made of it. */
export type Seen = { portrait: Portrait; frame: GeneratedFrame | null };

/** One view. */
export type View = {
  readonly element: HTMLElement;
  update(seen: Seen): void;
  clear(): void;
};

/** A view's frame: what it shows, its canvases, and what it means. */
export function figure(title: string, words: string, ...content: HTMLElement[]): HTMLElement {
  return element(
    'figure',
    { class: 'view' },
    element('div', { class: 'view-content' }, ...content),
    element('figcaption', {}, element('strong', {}, title), ` ${words}`),
  );
}

/** A canvas with a name for screen readers. */
export function namedCanvas(name: string): HTMLCanvasElement {
  return element('canvas', { width: 256, height: 256, attributes: { role: 'img', 'aria-label': name } });
}

/** Paints a canvas over, so that nothing of the last portrait stays. */
export function wipe(...canvases: HTMLCanvasElement[]): void {
  for (const canvas of canvases) canvas.getContext('2d')!.clearRect(0, 0, canvas.width, canvas.height);
}
