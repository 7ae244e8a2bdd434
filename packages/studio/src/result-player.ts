// A finished result: played, or compared with what it was made of. A line between the two can be drawn across, and a driving clip
// plays in step with the result, under that line or beside it.
import type { Picture } from 'dagan/media/portable';
import { show } from './canvas.js';
import { choices, element, labelled } from './dom.js';
import type { Square } from './engine/api.js';
import { keepInStep } from './in-step.js';

/** A clip that has driven, as far as it can be shown again. */
export type DrivenBy = {
  file: Blob;
  /** Size of its frames, and the square of them that was used. */
  width: number;
  height: number;
  square: Square;
  /** Second at which the result begins. */
  from: number;
};

/** What a result was made of. */
export type Origins = {
  /** What of the portrait the result shows: of the same shape. */
  portrait: Picture;
  /** Null where no clip has driven. */
  driving: DrivenBy | null;
  /** Whether the result shows the clip's square, or something of another shape. */
  sameShape: boolean;
};

/** A result that can be played. */
export type Playable = {
  /** Address of its file. */
  address: string;
  isVideo: boolean;
  /** Null where nothing is known of it. */
  origins: Origins | null;
};

const VIEWS = {
  alone: 'the result',
  portrait: 'portrait | result',
  clip: 'driving clip | result',
  beside: 'driving clip beside it',
} as const;

type ResultView = keyof typeof VIEWS;

export class ResultPlayer {
  /** Lies in the stage. */
  readonly element: HTMLElement;
  /** What of the origins is shown; not there where nothing can be. */
  readonly chooser: HTMLElement;
  readonly #view = choices<ResultView>(VIEWS, 'alone');
  /** Plays finished videos. */
  readonly video = element('video', { controls: true, muted: true, playsInline: true, hidden: true });
  readonly #image = element('img', { alt: 'Finished animation', hidden: true });
  readonly #portrait = element('canvas', { attributes: { role: 'img', 'aria-label': 'Portrait' } });
  readonly #clip = element('video', { muted: true, playsInline: true, attributes: { 'aria-label': 'Driving clip' } });
  readonly #cut = element('div', { class: 'cut' }, this.#clip);
  readonly #other = element('div', { class: 'other', hidden: true }, this.#portrait, this.#cut);
  readonly #line = element('div', { class: 'dividing-line' });
  readonly #divider = element('input', { type: 'range', class: 'divider' });
  readonly #onLayout: (wide: boolean) => void;
  #shown: Playable | null = null;
  /** Ends that the clip follows the result, and frees it. */
  #release = (): void => {};

  /** @param onLayout is told whether there should be room for two beside each other */
  constructor(onLayout: (wide: boolean) => void) {
    this.#onLayout = onLayout;
    this.video.setAttribute('aria-label', 'Finished animation');
    Object.assign(this.#divider, { min: '0', max: '100', step: '1', value: '50' });
    this.#divider.addEventListener('input', () => this.#divide());
    this.#view.addEventListener('change', () => this.#layOut());
    this.#clip.addEventListener('error', () => this.#withoutClip());
    this.chooser = labelled('Show', this.#view);
    this.chooser.classList.add('chooser');
    this.chooser.hidden = true;
    this.element = element('div', { class: 'player', hidden: true });
    this.element.append(this.video, this.#image, this.#other, this.#line, this.#divider);
  }

  /** Shows a result alone; or nothing. */
  show(result: Playable | null): void {
    this.#shown = result;
    this.element.hidden = result === null;
    this.video.hidden = !result?.isVideo;
    this.#image.hidden = !result || result.isVideo;
    if (result?.isVideo) this.video.src = result.address;
    else if (this.video.src) {
      this.video.removeAttribute('src');
      this.video.load(); // frees what was decoded
    }
    if (result && !result.isVideo) this.#image.src = result.address;
    else this.#image.removeAttribute('src');
    const { origins } = result ?? {};
    const clip = result?.isVideo && origins?.driving && this.#clip.canPlayType(origins.driving.file.type) !== '';
    this.#offer({ alone: true, portrait: !!origins, clip: !!clip && origins!.sameShape, beside: !!clip });
    this.#view.value = 'alone';
    this.#layOut();
  }

  /** Plays without sound until the user turns it on; not for those who want no motion. */
  play(): void {
    this.video.muted = true;
    if (this.video.hidden || matchMedia('(prefers-reduced-motion: reduce)').matches) return;
    this.video.play().catch(() => {}); // browsers may want a press first; the controls are there
  }

  focus(): void {
    (this.video.hidden ? this.#view : this.video).focus();
  }

  #offer(possible: Readonly<Record<ResultView, boolean>>): void {
    const offered = Object.entries(VIEWS).filter(([view]) => possible[view as ResultView]);
    this.#view.replaceChildren(...offered.map(([view, words]) => new Option(words, view)));
    this.chooser.hidden = offered.length < 2;
  }

  /** Lays out what is chosen. */
  #layOut(): void {
    const view = this.#view.choice();
    const origins = this.#shown?.origins;
    this.#release();
    this.#release = () => {};
    this.element.dataset.view = view;
    const divided = view === 'portrait' || view === 'clip';
    this.#other.hidden = view === 'alone';
    this.#line.hidden = this.#divider.hidden = !divided;
    this.#portrait.hidden = view !== 'portrait';
    this.#cut.hidden = view === 'portrait';
    this.#onLayout(view === 'beside');
    if (view === 'portrait' && origins) show(this.#portrait, origins.portrait);
    if ((view === 'clip' || view === 'beside') && origins?.driving) this.#playClip(origins.driving);
    this.#divider.setAttribute('aria-label', `How far the ${view === 'clip' ? 'driving clip' : 'portrait'} is shown`);
    this.#divide();
  }

  #playClip({ file, width, height, square, from }: DrivenBy): void {
    const address = URL.createObjectURL(file);
    const { style } = this.#clip;
    const part = (length: number): string => `${(100 * length) / square.side}%`;
    Object.assign(style, {
      width: part(width),
      height: part(height),
      left: part(-square.left),
      top: part(-square.top),
    });
    this.#clip.src = address;
    const end = keepInStep(this.video, this.#clip, from);
    this.#release = () => {
      end();
      this.#clip.removeAttribute('src');
      URL.revokeObjectURL(address);
    };
  }

  /** The clip cannot be played here, though it could be decoded. */
  #withoutClip(): void {
    if (!this.#clip.getAttribute('src')) return;
    this.#offer({ alone: true, portrait: true, clip: false, beside: false });
    this.#layOut();
  }

  #divide(): void {
    const divided = !this.#divider.hidden;
    const { value } = this.#divider;
    this.#other.style.clipPath = divided ? `inset(0 ${100 - Number(value)}% 0 0)` : '';
    this.#line.style.left = `${value}%`;
    this.#divider.setAttribute('aria-valuetext', `${value} %`);
  }
}
