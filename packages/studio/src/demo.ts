// What is there to see before anything is chosen: the example portrait nods. Its frames are made once, and shown again and again.
import type { Picture } from 'dagan/media/portable';
import { motionInBytes } from 'dagan/pipelines/portable';
import examplePortrait from '../../../examples/portrait.png?url';
import { button, element } from './dom.js';
import type { LoadedModel } from './engine/api.js';
import type { StudioEngine } from './engine/studio-engine.js';
import { exampleFile } from './example.js';
import { readPictureFile } from './media/picture-file.js';
import { newestOnly } from './newest.js';
import { TemplateDriver } from './template-driver.js';
import { templateFile } from './template-shelf.js';

const MOTION = 'nod';

/** One of so many frames is made. */
const EVERY = 2;

/** Where the browser keeps that the user has ended it (Web Storage). */
const KEPT = 'dagan-studio-demo';
const ENDED = 'ended';

export type DemoEvents = {
  onFrame(picture: Picture): void;
  /** It is over, and its frames are to be taken away. */
  onEnd(): void;
};

export class Demo {
  /** What is said of it, and the way to stop it. */
  readonly element: HTMLElement;
  readonly #engine: StudioEngine;
  readonly #events: DemoEvents;
  readonly #running = newestOnly(() => this.#end()); // whoever chooses something is told what is wrong
  #looping: ReturnType<typeof setInterval> | undefined;

  constructor(engine: StudioEngine, events: DemoEvents) {
    this.#engine = engine;
    this.#events = events;
    const words = 'An example: the portrait of the examples, moved by the template “nod”.';
    const stop = button('Stop the example', () => this.#stopForGood(), 'link');
    this.element = element('div', { class: 'demo', hidden: true }, element('p', { class: 'facts' }, words), stop);
  }

  /** Begins, unless the user has ended it before or wants no motion. Models that the template cannot move have none. */
  start(model: LoadedModel): void {
    if (matchMedia('(prefers-reduced-motion: reduce)').matches || wasEnded()) return;
    void this.#running(async (signal) => {
      const frames = await this.#make(model, signal);
      const pause = (1000 * EVERY) / 25;
      let at = 0;
      this.#looping = setInterval(() => this.#events.onFrame(frames[at++ % frames.length]!), pause);
    });
  }

  /** Ends it for now. */
  stop(): void {
    void this.#running(async () => {});
    this.#end();
  }

  async #make(model: LoadedModel, signal: AbortSignal): Promise<Picture[]> {
    const [file, portrait] = await Promise.all([templateFile(MOTION), exampleFile(examplePortrait, 'portrait.png')]);
    const template = motionInBytes(file.name, new Uint8Array(await file.arrayBuffer()));
    const driver = new TemplateDriver({ kind: 'template', name: MOTION, template, playback: {} }, model);
    const { picture } = await readPictureFile(portrait);
    await this.#engine.setPortrait({ picture, square: null }, { signal });
    const anchor = await driver.anchor({ settings: { reference: 'auto' } });
    await this.#engine.setReference(anchor, { signal });
    const frames: Picture[] = [];
    for await (const { order } of driver.frames(EVERY)) {
      const made = await this.#engine.animate(order, { signal });
      frames.push(made.picture);
      this.#events.onFrame(made.picture);
      this.element.hidden = false;
    }
    return frames;
  }

  #end(): void {
    clearInterval(this.#looping);
    if (this.element.hidden) return;
    this.element.hidden = true;
    this.#events.onEnd();
  }

  #stopForGood(): void {
    this.stop();
    try {
      localStorage.setItem(KEPT, ENDED);
    } catch {
      // no room, or none for this page: it is over for this visit
    }
  }
}

function wasEnded(): boolean {
  try {
    return localStorage.getItem(KEPT) === ENDED;
  } catch {
    return false;
  }
}
