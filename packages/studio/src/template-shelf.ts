// The motion templates that come with the page, as pictures to choose from.
import { MOTION_ENDING, motionInBytes } from 'dagan/pipelines/portable';
import { element } from './dom.js';
import { exampleFile } from './example.js';
import { TemplateView } from './template-view.js';

/** Addresses of the files by their paths. */
const FILES = import.meta.glob<string>('../../dagan/motions/*.motion.safetensors', {
  query: '?url',
  import: 'default',
  eager: true,
});

/** Their names and addresses. */
const TEMPLATES = Object.entries(FILES).map(([path, url]) => ({
  name: path.slice(path.lastIndexOf('/') + 1, -MOTION_ENDING.length),
  url,
}));

const SIDE = 96;

/** The file of one of them, as if it had been chosen. */
export function templateFile(name: string): Promise<File> {
  const { url } = TEMPLATES.find((template) => template.name === name)!;
  return exampleFile(url, `${name}${MOTION_ENDING}`);
}

export class TemplateShelf {
  readonly element = element('ul', { class: 'templates', attributes: { 'aria-label': 'Motion templates' } });
  readonly #buttons: ReadonlyMap<string, HTMLButtonElement>;

  /** @param onChoose is called with the name of one */
  constructor(onChoose: (name: string) => void) {
    this.#buttons = new Map(TEMPLATES.map(({ name }) => [name, templateButton(name, () => onChoose(name))]));
    this.element.append(...[...this.#buttons.values()].map((button) => element('li', {}, button)));
  }

  /** Marks the one that drives; null if none does. */
  mark(chosen: string | null): void {
    for (const [name, button] of this.#buttons) button.setAttribute('aria-pressed', String(name === chosen));
  }
}

/** A button with a picture, which moves under the pointer and with the focus. */
function templateButton(name: string, onPress: () => void): HTMLButtonElement {
  const canvas = element('canvas', { width: SIDE, height: SIDE, attributes: { 'aria-hidden': 'true' } });
  const button = element(
    'button',
    { type: 'button', class: 'template', attributes: { 'aria-pressed': 'false' } },
    canvas,
    element('span', {}, name.replace('-', ' ')),
  );
  button.addEventListener('click', onPress);
  void draw(name, canvas, button).catch(() => {}); // whoever chooses it is told
  return button;
}

async function draw(name: string, canvas: HTMLCanvasElement, button: HTMLButtonElement): Promise<void> {
  const file = await templateFile(name);
  const template = motionInBytes(file.name, new Uint8Array(await file.arrayBuffer()));
  const view = new TemplateView(canvas);
  view.still(template);
  for (const begin of ['pointerenter', 'focus']) button.addEventListener(begin, () => view.play(template));
  for (const end of ['pointerleave', 'blur']) button.addEventListener(end, () => view.still(template));
}
