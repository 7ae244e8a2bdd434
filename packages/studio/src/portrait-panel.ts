// The portrait: chosen, dropped or the example, with the square that the networks see of it.
import { centeredSquare } from 'dagan/animation';
import type { Picture } from 'dagan/media/portable';
import examplePortrait from '../../../examples/portrait.png?url';
import { show } from './canvas.js';
import { button, element } from './dom.js';
import { type Square, type StudioEngine, StudioEngineError } from './engine/api.js';
import { exampleFile } from './example.js';
import { readPictureFile } from './media/picture-file.js';
import { panel } from './panel.js';
import { isStopped } from './problems.js';
import { Stage } from './stage.js';

/** A portrait that can be animated. */
export type ChosenPortrait = { name: string; picture: Picture; square: Square };

export type PortraitEvents = {
  /** Another portrait, or another square of it; null as long as there is none. */
  onChange(portrait: ChosenPortrait | null): void;
  onProblem(error: unknown): void;
  onNotice(text: string): void;
};

export class PortraitPanel {
  readonly element: HTMLElement;
  readonly #stage: Stage;
  readonly #again: HTMLButtonElement;
  readonly #facts = element('p', { class: 'facts' });
  #portrait: ChosenPortrait | null = null;
  #choosing = new AbortController();

  constructor(
    private readonly engine: StudioEngine,
    private readonly events: PortraitEvents,
  ) {
    this.#stage = new Stage({
      name: 'Portrait',
      invitation: 'Choose a portrait, or drop one here',
      accept: 'image/*',
      onFile: (file) => void this.choose(file),
      onCrop: (square) => {
        if (!this.#portrait) return;
        this.#portrait = { ...this.#portrait, square };
        this.#tellFacts();
        this.events.onChange(this.#portrait);
      },
    });
    this.#again = button('Change', () => this.#stage.choose(), 'quiet');
    this.#again.setAttribute('aria-label', 'Change the portrait');
    this.#again.hidden = true;
    this.element = panel(
      'Portrait',
      this.#again,
      this.#stage,
      button('Use the example portrait', () => void this.chooseExample(), 'link'),
      this.#facts,
    );
  }

  get portrait(): ChosenPortrait | null {
    return this.#portrait;
  }

  async chooseExample(): Promise<void> {
    try {
      await this.choose(await exampleFile(examplePortrait, 'portrait.png'));
    } catch (error) {
      this.events.onProblem(error);
    }
  }

  /** Takes a picture file: reads it and finds its face. */
  async choose(file: File): Promise<void> {
    this.#choosing.abort();
    this.#choosing = new AbortController();
    const { signal } = this.#choosing;
    try {
      this.#facts.textContent = 'Reading …';
      const picture = await readPictureFile(file);
      if (signal.aborted) return;
      this.#portrait = null;
      this.events.onChange(null);
      const { width, height } = picture;
      show(this.#stage.canvas, picture);
      this.#stage.filled(width, height);
      this.#stage.crop.clear();
      this.#again.hidden = false;
      this.#facts.textContent = 'Looking for the face …';
      const square = await this.#squareOf(picture, signal);
      if (signal.aborted) return;
      this.#stage.crop.place(square, width, height);
      this.#portrait = { name: file.name, picture, square };
      this.#tellFacts();
      this.events.onChange(this.#portrait);
    } catch (error) {
      if (signal.aborted || isStopped(error)) return;
      this.#tellFacts();
      this.events.onProblem(error);
    }
  }

  /** The square around the face; where there is none, the centre, and a word that it can be moved. */
  async #squareOf(picture: Picture, signal: AbortSignal): Promise<Square> {
    try {
      const found = await this.engine.findFace(picture, { signal });
      if (found.faces > 1) this.events.onNotice('Several faces: the largest was taken. Move the square for another.');
      return found.square;
    } catch (error) {
      if (!(error instanceof StudioEngineError && error.code === 'no-face')) throw error;
      this.events.onProblem(
        new Error(
          'No face was found in the portrait. Move the square over the face by hand, or choose another picture',
        ),
      );
      return centeredSquare(picture.width, picture.height);
    }
  }

  #tellFacts(): void {
    if (!this.#portrait) {
      this.#facts.textContent = '';
      return;
    }
    const { picture, square } = this.#portrait;
    const small = square.side < 128 ? ' Small: the result will be blurred.' : '';
    this.#facts.textContent = `${picture.width} × ${picture.height}, square of ${square.side}.${small}`;
  }
}
