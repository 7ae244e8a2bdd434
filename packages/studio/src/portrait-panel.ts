// The portrait: chosen, dropped, an example or one from before, with the square that the networks see of it.
import { centeredSquare } from 'dagan/animation';
import type { Picture } from 'dagan/media/portable';
import { show } from './canvas.js';
import { element } from './dom.js';
import { type FoundFaces, type Square, StudioEngineError } from './engine/api.js';
import type { StudioEngine } from './engine/studio-engine.js';
import { EXAMPLE_PORTRAITS, type ExamplePortrait, exampleFile } from './example.js';
import { FaceChooser } from './face-chooser.js';
import { readPictureFile } from './media/picture-file.js';
import { Messages } from './messages.js';
import { newestOnly } from './newest.js';
import { panel } from './panel.js';
import { PortraitStrip, type StripItem, thumbnailOf } from './portrait-strip.js';
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
  /**
   * Another portrait, or another square of it; null as long as there is none.
   *
   * @param wait whether the user may be about to change it again, as on the way to a square
   */
  onChange(portrait: ChosenPortrait | null, wait: boolean): void;
  /** A portrait, with its square, is of no more use. */
  onForget(portrait: ChosenPortrait): void;
};

/** Portraits of the user's that are kept, at most: large pictures take 50 MB each. */
const MOST = 8;

/** A portrait at hand: an example, which is loaded at first use, or one of the user's. */
type Kept = StripItem & {
  example: ExamplePortrait | null;
  /** Tells files from each other; empty for examples. */
  file: string;
  chosen: ChosenPortrait | null;
  /** For each face, and which one is meant, counted from 1. */
  squares: readonly Square[];
  face: number;
};

export class PortraitPanel {
  readonly element: HTMLElement;
  readonly messages = new Messages();
  readonly #stage: Stage;
  readonly #faces: FaceChooser;
  readonly #facts = element('p', { class: 'facts' });
  readonly #choosing = newestOnly((error) => {
    this.#strip.chosen = this.#current;
    this.#tellFacts();
    this.messages.tellProblem(error);
  });
  readonly #strip = new PortraitStrip<Kept>(
    (kept) => void this.#choosing((signal) => this.#choose(kept, signal)),
    (kept) => void this.#choosing(async () => this.#remove(kept)),
  );
  /** The user's, the newest first, then the examples. */
  #kept: Kept[];
  /** The one that is shown; null while there is none. */
  #current: Kept | null = null;

  readonly #engine: StudioEngine;
  readonly #events: PortraitEvents;

  constructor(engine: StudioEngine, events: PortraitEvents) {
    this.#engine = engine;
    this.#events = events;
    this.#kept = EXAMPLE_PORTRAITS.map((example) => ({
      ...{
        title: `Example: ${example.title}`,
        removable: false,
        example,
        file: '',
        chosen: null,
        squares: [],
        face: 1,
      },
      thumbnail: element('img', { src: example.url, alt: '', width: 48, height: 48 }),
    }));
    this.#strip.items = this.#kept;
    this.#stage = new Stage({
      name: 'Portrait',
      invitation: 'Choose a portrait, or drop one here',
      accept: 'image/*',
      onFile: (file) => void this.#choosing((signal) => this.#take(file, signal)),
      onCrop: (square) => this.#reframe(square),
    });
    this.#faces = new FaceChooser('portrait', (face) => {
      const kept = this.#current!;
      const { width, height } = kept.chosen!.picture;
      kept.face = face;
      this.#stage.crop.place(kept.squares[face - 1]!, width, height);
      this.#reframe(kept.squares[face - 1]!);
      this.messages.clear(); // that it was the largest is over
    });
    this.element = panel(
      'Portrait',
      this.#stage.change,
      this.#stage,
      this.#faces.element,
      this.#strip.element,
      this.#facts,
      this.messages.element,
    );
  }

  get portrait(): ChosenPortrait | null {
    return this.#current?.chosen ?? null;
  }

  /** Takes one of those at hand. */
  async #choose(kept: Kept, signal: AbortSignal): Promise<void> {
    if (kept.example && !kept.chosen) {
      const { url, fileName } = kept.example;
      await this.#take(await exampleFile(url, fileName), signal, kept);
      return;
    }
    this.messages.clear();
    show(this.#stage.canvas, kept.chosen!.picture);
    this.#show(kept);
  }

  /** Takes a picture file: reads it and finds its faces. @param example whose file it is */
  async #take(file: File, signal: AbortSignal, example?: Kept): Promise<void> {
    signal.throwIfAborted(); // the example may have come too late
    this.messages.clear();
    this.#facts.textContent = 'Reading …';
    const { picture, original } = await readPictureFile(file);
    signal.throwIfAborted();
    this.#current = null;
    if (!example) this.#strip.chosen = null;
    this.#events.onChange(null, false);
    const { width, height } = picture;
    show(this.#stage.canvas, picture);
    this.#stage.filled(width, height);
    this.#stage.crop.clear();
    this.#faces.hide();
    this.#facts.textContent = 'Looking for the face …';
    const { squares, largest } = await this.#facesOf(picture, signal);
    signal.throwIfAborted();
    const square = squares[largest - 1]!;
    const found = { chosen: { name: file.name, picture, original, square }, squares, face: largest };
    this.#show(example ? Object.assign(example, found) : this.#keep(file, found));
  }

  /** Puts a portrait of the user's before the others; the oldest may go, and the same file from before does. */
  #keep(file: File, found: Pick<Kept, 'squares' | 'face'> & { chosen: ChosenPortrait }): Kept {
    const thumbnail = thumbnailOf(this.#stage.canvas, found.chosen.square);
    const identity = `${file.name} ${file.size} ${file.lastModified}`;
    const kept = { ...found, title: file.name, thumbnail, removable: true, example: null, file: identity };
    const before = this.#kept.filter((other) => other.removable && other.file !== identity);
    const examples = this.#kept.filter(({ example }) => example);
    const gone = this.#kept.filter((other) => other.file === identity).concat(before.slice(MOST - 1));
    this.#kept = [kept, ...before.slice(0, MOST - 1), ...examples];
    this.#strip.items = this.#kept;
    for (const { chosen } of gone) if (chosen) this.#events.onForget(chosen);
    return kept;
  }

  /** Shows a portrait, whose picture is on the stage, as the one in use. */
  #show(kept: Kept): void {
    const { picture, square } = kept.chosen!;
    this.#current = kept;
    this.#strip.chosen = kept;
    this.#stage.filled(picture.width, picture.height);
    this.#stage.crop.place(square, picture.width, picture.height);
    this.#faces.show(kept.face, kept.squares.length);
    this.#tellFacts();
    this.#events.onChange(kept.chosen, false);
  }

  /** Takes the portrait in use out; the next one of the user's takes its place, or none. */
  async #remove(kept: Kept): Promise<void> {
    const at = this.#kept.indexOf(kept);
    this.#kept = this.#kept.filter((other) => other !== kept);
    this.#strip.items = this.#kept;
    const next = [this.#kept[at], this.#kept[at - 1]].find((other) => other?.chosen);
    this.messages.clear();
    if (next) {
      show(this.#stage.canvas, next.chosen!.picture);
      this.#show(next);
    } else {
      this.#current = null;
      this.#strip.chosen = null;
      this.#stage.empty();
      this.#faces.hide();
      this.#tellFacts();
      this.#events.onChange(null, false);
    }
    this.#events.onForget(kept.chosen!);
    this.#strip.focus(); // the button may be gone
  }

  #reframe(square: Square): void {
    const kept = this.#current;
    if (!kept?.chosen) return;
    const before = kept.chosen;
    kept.chosen = { ...before, square };
    if (!kept.example) {
      const thumbnail = thumbnailOf(this.#stage.canvas, square);
      kept.thumbnail.replaceWith(thumbnail);
      kept.thumbnail = thumbnail;
    }
    this.#tellFacts();
    this.#events.onChange(kept.chosen, true);
    this.#events.onForget(before);
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
    const { portrait } = this;
    if (!portrait) {
      this.#facts.textContent = '';
      return;
    }
    const { picture, original, square } = portrait;
    const used = picture.width < original.width ? `, used at ${picture.width} × ${picture.height}` : '';
    const size = `${original.width} × ${original.height}${used}, square of ${square.side}.`;
    const small = square.side < 128 ? 'Small: the result will be blurred.' : '';
    this.#facts.textContent = [size, small, this.#stage.crop.warning].filter((part) => part).join(' ');
  }
}
