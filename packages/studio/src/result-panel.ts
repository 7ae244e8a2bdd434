// The animation: as it is made, and finished files to play, compare, save and share. What is finished stays until it is removed.
import type { Picture } from 'dagan/media/portable';
import { show } from './canvas.js';
import { button, element } from './dom.js';
import { isVideo } from './media/formats.js';
import type { SavedVideo } from './media/recording.js';
import { panel } from './panel.js';
import { isStopped } from './problems.js';
import { type Origins, ResultPlayer } from './result-player.js';
import { Stage } from './stage.js';
import { count } from './words.js';

/** A finished file. */
type Result = {
  /** Named as it is to be saved. */
  file: File;
  /** Of the file in this tab. */
  address: string;
  isVideo: boolean;
  facts: string;
  origins: Origins | null;
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
  readonly #player = new ResultPlayer((wide) => this.element.classList.toggle('wide', wide));
  readonly #save = element('a', { class: 'button primary', hidden: true }, 'Save');
  readonly #share = button('Share', () => void this.#shareFile(), 'quiet');
  readonly #facts = element('p', { class: 'facts' });
  readonly #shelf = element('ul', { class: 'shelf', hidden: true, attributes: { 'aria-label': 'Other results' } });
  /** The newest first. */
  #results: Result[] = [];
  /** The one that is shown; null while frames are. */
  #shown: Result | null = null;
  #making = false;

  /** @param demo what is shown below before there is anything else */
  constructor(demo: HTMLElement) {
    this.#stage.element.append(this.#player.element);
    this.#save.addEventListener('click', () => {
      if (this.#shown) this.#shown.saved = true;
    });
    this.#share.hidden = true;
    const controls = element('div', { class: 'controls' }, this.#share, this.#save);
    this.element = panel('Result', controls, this.#stage, this.#player.chooser, this.#facts, demo, this.#shelf);
  }

  /** Whether there are finished files that were not saved. */
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

  /** A finished file, under the name that it is to be saved by, and what it was made of where it can be compared with that. */
  finished({ file, format, frames, warnings }: SavedVideo, name: string, origins: Origins | null = null): void {
    const facts = [count(frames, 'frame'), format.label, sizeOf(file), 'marked as synthetic'];
    const result: Result = {
      file: new File([file], this.#unused(name, format.container), { type: file.type }),
      address: URL.createObjectURL(file),
      isVideo: isVideo(format),
      origins,
      facts: [`${facts.join(', ')}.`, ...warnings.map((text) => `Note: ${text}.`)].join(' '),
      saved: false,
    };
    this.#results.unshift(result);
    this.#select(result);
    this.#player.play();
  }

  /** Whether frames are being made: finished files wait for their turn, and come back where no frame has come of it. */
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

  /** Shows a finished file; or frames. */
  #select(result: Result | null): void {
    this.#shown = result;
    this.#player.show(result);
    this.#save.hidden = result === null;
    this.#share.hidden = !result || !navigator.canShare?.({ files: [result.file] });
    this.#stage.element.classList.toggle('played', result !== null);
    this.#facts.textContent = result?.facts ?? '';
    if (result) {
      this.#save.href = result.address;
      this.#save.download = result.file.name;
      this.onShow(result.isVideo ? this.#player.video : this.#stage.canvas);
    }
    this.#fillShelf();
  }

  /** Hands the file to another application of the device. */
  async #shareFile(): Promise<void> {
    const result = this.#shown;
    if (!result) return;
    try {
      await navigator.share({ files: [result.file] });
      result.saved = true;
    } catch (error) {
      if (!isStopped(error)) this.#facts.textContent = `It could not be shared: save it instead. ${result.facts}`;
    }
  }

  /** Lists the files that are not shown. */
  #fillShelf(): void {
    const others = this.#results.filter((result) => result !== this.#shown);
    this.#shelf.hidden = others.length === 0 || this.#making;
    this.#shelf.replaceChildren(
      ...others.map((result) => {
        const remove = button('Remove', () => this.#remove(result), 'link');
        remove.setAttribute('aria-label', `Remove ${result.file.name}`);
        return element(
          'li',
          {},
          button(result.file.name, () => this.#choose(result), 'link'),
          remove,
        );
      }),
    );
  }

  #choose(result: Result): void {
    this.#select(result);
    this.#player.play();
    this.#player.focus(); // its button is gone
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
    const taken = new Set(this.#results.map(({ file }) => file.name));
    for (let i = 1; ; i++) {
      const wanted = `${name}${i === 1 ? '' : `-${i}`}.${extension}`;
      if (!taken.has(wanted)) return wanted;
    }
  }
}
