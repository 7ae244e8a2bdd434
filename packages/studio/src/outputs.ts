// The result elsewhere, and nothing beside it: in a window of its own, which programs that mix video can take in, above other
// windows (picture in picture), and on the whole screen.
import { onNextPicture } from './canvas.js';
import { button, element } from './dom.js';
import { Messages } from './messages.js';
import { OutputView, type Shown } from './output-view.js';

/** The title of windows that hold nothing but the result. */
const TITLE = 'DaGAN studio: output';

/** The first size of a window, in pixels. */
const SIZE = { width: 512, height: 512 } as const;

/** Document Picture-in-Picture, of the browsers that have it. */
type PictureInPicture = { requestWindow(size: { width: number; height: number }): Promise<Window> };

/** A place beside the page where the result is shown. */
type Place = { view: OutputView; close(): void };

export class Outputs {
  readonly element: HTMLElement;
  readonly #messages = new Messages();
  readonly #window = button('Pop out', () => this.#toggle(this.#window, () => this.#popOut()), 'quiet');
  readonly #above = button('Picture in picture', () => this.#toggle(this.#above, () => this.#stayAbove()), 'quiet');
  readonly #screen = button('Full screen', () => this.#toggle(this.#screen, () => this.#fillScreen()), 'quiet');
  /** By the buttons that open them. */
  readonly #places = new Map<HTMLButtonElement, Place>();
  #shown: Shown | null = null;
  #background = '';
  /** A video whose next picture is waited for. */
  #followed: HTMLVideoElement | null = null;

  constructor() {
    for (const opener of [this.#window, this.#above]) opener.setAttribute('aria-pressed', 'false');
    this.#above.hidden = !('documentPictureInPicture' in globalThis) && !document.pictureInPictureEnabled;
    this.#screen.hidden = !document.fullscreenEnabled;
    this.element = element(
      'div',
      { class: 'outputs', attributes: { role: 'group', 'aria-label': 'The result alone' } },
      this.#window,
      this.#above,
      this.#screen,
      this.#messages.element,
    );
    addEventListener('pagehide', () => {
      for (const { close } of this.#places.values()) close();
    });
  }

  /** Shows what the page shows; to be called for each frame. Null for nothing. */
  show(shown: Shown | null): void {
    this.#shown = shown;
    this.#draw();
  }

  /** The colour around it. */
  set background(colour: string) {
    this.#background = colour;
    for (const { view } of this.#places.values()) view.background = colour;
  }

  #draw(): void {
    for (const { view } of this.#places.values()) view.draw(this.#shown);
    this.#follow();
  }

  /** Draws the pictures of a video as the page's player shows them: that says whether it plays, and where. */
  #follow(): void {
    const video = this.#shown;
    if (!(video instanceof HTMLVideoElement) || video === this.#followed || this.#places.size === 0) return;
    this.#followed = video;
    onNextPicture(video, () => {
      this.#followed = null;
      this.#draw();
    });
  }

  /** Opens a place, or closes it. */
  #toggle(opener: HTMLButtonElement, open: () => Promise<void>): void {
    this.#messages.clear();
    const place = this.#places.get(opener);
    if (place) place.close();
    else open().catch((error) => this.#messages.tellProblem(error));
  }

  /** A window of its own. */
  async #popOut(): Promise<void> {
    const { width, height } = SIZE;
    const opened = open('', 'dagan-output', `popup,width=${width},height=${height}`);
    if (!opened)
      throw new Error('the browser has kept the window closed: allow this page to open windows, then try again');
    this.#furnish(this.#window, opened);
  }

  /** A small window above all others. */
  async #stayAbove(): Promise<void> {
    const { documentPictureInPicture } = globalThis as { documentPictureInPicture?: PictureInPicture };
    if (documentPictureInPicture) this.#furnish(this.#above, await documentPictureInPicture.requestWindow(SIZE));
    else await this.#playAbove();
  }

  /** The same in browsers that put nothing above others but videos. */
  async #playAbove(): Promise<void> {
    if (!this.#shown) throw new Error('there is nothing to show yet: animate first, or start the camera');
    const view = new OutputView(document, TITLE);
    const stream = view.canvas.captureStream();
    const video = element('video', { muted: true, playsInline: true, srcObject: stream });
    view.draw(this.#shown);
    await video.play();
    await video.requestPictureInPicture();
    video.addEventListener('leavepictureinpicture', () => {
      for (const track of stream.getTracks()) track.stop();
      this.#closed(this.#above);
    });
    this.#opened(this.#above, { view, close: () => void document.exitPictureInPicture() });
  }

  /** The whole screen, until Escape or a press on it. A finished video takes its player's controls along. */
  async #fillScreen(): Promise<void> {
    if (this.#shown instanceof HTMLVideoElement) {
      await this.#shown.requestFullscreen();
      return;
    }
    const view = new OutputView(document, 'Result on the whole screen');
    const whole = view.element;
    const close = (): void => void document.exitFullscreen();
    Object.assign(whole, { tabIndex: -1, onclick: close });
    whole.setAttribute('role', 'group');
    whole.setAttribute('aria-label', 'The whole screen: Escape goes back');
    this.element.append(whole);
    try {
      await whole.requestFullscreen();
    } catch (error) {
      whole.remove();
      throw error;
    }
    whole.addEventListener('fullscreenchange', () => {
      if (document.fullscreenElement === whole) return;
      whole.remove();
      this.#closed(this.#screen);
      this.#screen.focus();
    });
    whole.focus();
    this.#opened(this.#screen, { view, close });
  }

  /** Puts the result, alone, into an empty window. */
  #furnish(opener: HTMLButtonElement, opened: Window): void {
    const { document: page } = opened;
    const view = new OutputView(page, 'Result');
    const heading = page.createElement('h1');
    heading.textContent = TITLE;
    Object.assign(heading.style, {
      position: 'absolute',
      width: '1px',
      height: '1px',
      margin: '0',
      overflow: 'hidden',
      clipPath: 'inset(50%)',
    });
    const main = page.createElement('main');
    main.append(heading, view.element);
    page.title = TITLE;
    page.documentElement.lang = 'en';
    page.body.replaceChildren(main);
    opened.addEventListener('pagehide', () => this.#closed(opener));
    this.#opened(opener, { view, close: () => opened.close() });
  }

  #opened(opener: HTMLButtonElement, place: Place): void {
    place.view.background = this.#background;
    this.#places.set(opener, place);
    if (opener !== this.#screen) opener.setAttribute('aria-pressed', 'true');
    this.#draw();
  }

  #closed(opener: HTMLButtonElement): void {
    this.#places.delete(opener);
    if (opener !== this.#screen) opener.setAttribute('aria-pressed', 'false');
  }
}
