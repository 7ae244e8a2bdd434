// One of the page's three panels: a title with one control beside it, the stage, and what is below.
import { element } from './dom.js';
import type { Stage } from './stage.js';

export function panel(title: string, control: HTMLElement, stage: Stage, ...below: HTMLElement[]): HTMLElement {
  const id = `${title.toLowerCase()}-title`;
  return element(
    'section',
    { class: 'panel', attributes: { 'aria-labelledby': id } },
    element('header', {}, element('h2', { id }, title), control),
    stage.element,
    element('footer', {}, ...below),
  );
}
