// The animation: as it is made, and finished videos to play and save. What is finished stays until it is removed.
import type { Picture } from 'dagan/media/portable';
import { show } from './canvas.js';
import { button, element } from './dom.js';
import type { SavedVideo } from './media/recording.js';
import { panel } from './panel.js';
import { Stage } from './stage.js';
import { count } from './words.js';

/** A finished video. */
type Result = {
  /** The file's. */
  name: string;
  /** Of the file in this tab. */
  address: string;
  facts: string;
  /** Whether the user has saved it. */
  saved: boolean;
};

const sizeOf = ({ size }: Blob): string =>
  size < 1e6 ? `${Math.ceil(size / 1000)} kB` : `${(size / 1e6).toFixed(1)} MB`;

export class ResultPanel {
  readonly element: HTMLElement;
  /** Told on what the result is seen, for each frame; null for nothing. */
  onShow: (shown: HTMLCanvasElement | HTMLVideoElement | null) => void = () => {};
  readonly #stage = new Stage({ name: 'Result', invitation: 'The animation appears here' });
  readonly #video = element('video', { controls: true, muted: true, playsInline: true, hidden: true });
  readonly #save = element('a', { class: 'button primary', hidden: true }, 'Save');
  readonly #facts = element('p', { class: 'facts' });
  readonly #shelf = element('ul', { class: 'shelf', hidden: true, attributes: { 'aria-label': 'Other results' } });
  /** The newest first. */
  #results: Result[] = [];
  /** The one that is shown; null while frames are. */
  #shown: Result | null = null;
  #making = false;

  constructor() {
    this.#video.setAttribute('aria-label', 'Finished animation');
    this.#stage.element.append(this.#video);
    this.#save.addEventListener('click', () => {
      if (this.#shown) this.#shown.saved = true;
    });
    this.element = panel('Result', this.#save, this.#stage, this.#facts, this.#shelf);
  }

  /** Whether there are finished videos that were not saved. */
  get unsaved(): boolean {
    return this.#results.some(({ saved }) => !saved);
  }

  /** A frame as it was made. */
  frame(picture: Picture): void {
    if (this.#shown) this.#select(null);
    show(this.#stage.canvas, picture);
    this.#stage.filled(picture.width, picture.height);
    this.onShow(this.#stage.canvas);
  }

  /** A finished video, under the name that it is to be saved by. */
  finished({ file, format, frames, warnings }: SavedVideo, name: string): void {
    const facts = [count(frames, 'frame'), format.label, sizeOf(file), 'marked as synthetic'];
    const result: Result = {
      name: this.#unused(name, format.container),
      address: URL.createObjectURL(file),
      facts: [`${facts.join(', ')}.`, ...warnings.map((text) => `Note: ${text}.`)].join(' '),
      saved: false,
    };
    this.#results.unshift(result);
    this.#select(result);
    this.#play();
  }

  /** Whether frames are being made: finished videos wait for their turn, and come back where no frame has come of it. */
  set making(making: boolean) {
    this.#making = making;
    const [newest] = this.#results;
    if (!making && !this.#shown && this.#stage.isEmpty && newest) this.#select(newest);
    else this.#fillShelf();
  }

  /** Shows nothing, until there is a frame. */
  clear(): void {
    this.#select(null);
    this.#stage.empty();
    this.onShow(null);
  }

  /** Plays without sound until the user turns it on. */
  #play(): void {
    this.#video.muted = true;
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) return;
    this.#video.play().catch(() => {}); // browsers may want a press first; the controls are there
  }

  /** Shows a finished video; or frames. */
  #select(result: Result | null): void {
    this.#shown = result;
    this.#video.hidden = result === null;
    this.#save.hidden = result === null;
    this.#stage.element.classList.toggle('played', result !== null);
    this.#facts.textContent = result?.facts ?? '';
    if (result) {
      this.#save.href = result.address;
      this.#save.download = result.name;
      this.#video.src = result.address;
      this.onShow(this.#video);
    } else if (this.#video.src) {
      this.#video.removeAttribute('src');
      this.#video.load(); // frees what was decoded
    }
    this.#fillShelf();
  }

  /** Lists the videos that are not shown. */
  #fillShelf(): void {
    const others = this.#results.filter((result) => result !== this.#shown);
    this.#shelf.hidden = others.length === 0 || this.#making;
    this.#shelf.replaceChildren(
      ...others.map((result) => {
        const remove = button('Remove', () => this.#remove(result), 'link');
        remove.setAttribute('aria-label', `Remove ${result.name}`);
        return element(
          'li',
          {},
          button(result.name, () => this.#choose(result), 'link'),
          remove,
        );
      }),
    );
  }

  #choose(result: Result): void {
    this.#select(result);
    this.#play();
    this.#video.focus(); // its button is gone
  }

  #remove(result: Result): void {
    this.#results = this.#results.filter((other) => other !== result);
    URL.revokeObjectURL(result.address);
    this.#fillShelf();
    const next = this.#shelf.querySelector('button') ?? this.#save;
    next.focus();
  }

  /** A file's name that no other result has. */
  #unused(name: string, extension: string): string {
    const taken = new Set(this.#results.map((result) => result.name));
    for (let i = 1; ; i++) {
      const wanted = `${name}${i === 1 ? '' : `-${i}`}.${extension}`;
      if (!taken.has(wanted)) return wanted;
    }
  }
}
