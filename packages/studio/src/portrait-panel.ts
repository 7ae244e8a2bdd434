// The portrait: chosen, dropped or the example, with the square that the networks see of it.
import { centeredSquare } from 'dagan/animation';
import type { Picture } from 'dagan/media/portable';
import examplePortrait from '../../../examples/portrait.png?url';
import { show } from './canvas.js';
import { button, element } from './dom.js';
import { type FoundFaces, type Square, StudioEngineError } from './engine/api.js';
import type { StudioEngine } from './engine/studio-engine.js';
import { exampleFile } from './example.js';
import { FaceChooser } from './face-chooser.js';
import { readPictureFile } from './media/picture-file.js';
import { Messages } from './messages.js';
import { newestOnly } from './newest.js';
import { panel } from './panel.js';
import { Stage } from './stage.js';

/** A portrait that can be animated. */
export type ChosenPortrait = {
  name: string;
  picture: Picture;
  /** Size of the file's picture, which may have been larger. */
  original: { width: number; height: number };
  square: Square;
};

export type PortraitEvents = {
  /** Another portrait, or another square of it; null as long as there is none. */
  onChange(portrait: ChosenPortrait | null): void;
};

export class PortraitPanel {
  readonly element: HTMLElement;
  readonly messages = new Messages();
  readonly #stage: Stage;
  readonly #faces: FaceChooser;
  readonly #facts = element('p', { class: 'facts' });
  readonly #choosing = newestOnly((error) => {
    this.#tellFacts();
    this.messages.tellProblem(error);
  });
  #portrait: ChosenPortrait | null = null;
  /** For each face. */
  #squares: readonly Square[] = [];

  readonly #engine: StudioEngine;
  readonly #events: PortraitEvents;

  constructor(engine: StudioEngine, events: PortraitEvents) {
    this.#engine = engine;
    this.#events = events;
    this.#stage = new Stage({
      name: 'Portrait',
      invitation: 'Choose a portrait, or drop one here',
      accept: 'image/*',
      onFile: (file) => void this.#choosing((signal) => this.#take(file, signal)),
      onCrop: (square) => this.#reframe(square),
    });
    this.#faces = new FaceChooser('portrait', (face) => {
      const { width, height } = this.#portrait!.picture;
      this.#stage.crop.place(this.#squares[face - 1]!, width, height);
      this.#reframe(this.#squares[face - 1]!);
      this.messages.clear(); // that it was the largest is over
    });
    const example = (): void =>
      void this.#choosing(async (signal) => this.#take(await exampleFile(examplePortrait, 'portrait.png'), signal));
    this.element = panel(
      'Portrait',
      this.#stage.change,
      this.#stage,
      this.#faces.element,
      button('Use the example portrait', example, 'link'),
      this.#facts,
      this.messages.element,
    );
  }

  get portrait(): ChosenPortrait | null {
    return this.#portrait;
  }

  /** Takes a picture file: reads it and finds its faces. */
  async #take(file: File, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted(); // the example may have come too late
    this.messages.clear();
    this.#facts.textContent = 'Reading …';
    const { picture, original } = await readPictureFile(file);
    signal.throwIfAborted();
    this.#portrait = null;
    this.#events.onChange(null);
    const { width, height } = picture;
    show(this.#stage.canvas, picture);
    this.#stage.filled(width, height);
    this.#stage.crop.clear();
    this.#faces.hide();
    this.#facts.textContent = 'Looking for the face …';
    const { squares, largest } = await this.#facesOf(picture, signal);
    signal.throwIfAborted();
    this.#squares = squares;
    this.#faces.show(largest, squares.length);
    const square = squares[largest - 1]!;
    this.#stage.crop.place(square, width, height);
    this.#portrait = { name: file.name, picture, original, square };
    this.#tellFacts();
    this.#events.onChange(this.#portrait);
  }

  #reframe(square: Square): void {
    if (!this.#portrait) return;
    this.#portrait = { ...this.#portrait, square };
    this.#tellFacts();
    this.#events.onChange(this.#portrait);
  }

  /** The squares around the faces; where there is none, the centre, and a word that it can be moved. */
  async #facesOf(picture: Picture, signal: AbortSignal): Promise<FoundFaces> {
    try {
      const found = await this.#engine.findFaces({ picture }, { signal });
      const { length } = found.squares;
      if (length > 1) this.messages.tell(`${length} faces in the portrait: the largest was taken.`);
      return found;
    } catch (error) {
      if (!(error instanceof StudioEngineError)) throw error;
      if (error.code !== 'no-face' && error.code !== 'offline') throw error;
      this.messages.tellProblem(
        new Error(
          error.code === 'no-face'
            ? 'No face was found in the portrait. Move the square over the face by hand, or choose another picture'
            : 'Faces cannot be looked for without the network. Move the square over the face by hand',
        ),
      );
      return { squares: [centeredSquare(picture.width, picture.height)], largest: 1 };
    }
  }

  #tellFacts(): void {
    if (!this.#portrait) {
      this.#facts.textContent = '';
      return;
    }
    const { picture, original, square } = this.#portrait;
    const used = picture.width < original.width ? `, used at ${picture.width} × ${picture.height}` : '';
    const size = `${original.width} × ${original.height}${used}, square of ${square.side}.`;
    const small = square.side < 128 ? 'Small: the result will be blurred.' : '';
    this.#facts.textContent = [size, small, this.#stage.crop.warning].filter((part) => part).join(' ');
  }
}
