// A motion template as a driver: its keypoints move the portrait, and no network looks at anything.
import {
  type MotionTemplate,
  OTHER_MODEL,
  type Playback,
  playbackLength,
  playbackRate,
  played,
  templateFor,
} from 'dagan/animation';
import type { Anchor, AnchorOrder, Driver, DriverFacts, DriverFrame } from './driver.js';
import type { LoadedModel } from './engine/api.js';

/** A template that can drive, and how it is played. */
export type ChosenTemplate = { kind: 'template'; name: string; template: MotionTemplate; playback: Playback };

export class TemplateDriver implements Driver {
  readonly hasPictures = false;
  readonly name: string;
  readonly shown = null;
  readonly warnings = [];
  /** With the model's keypoints. */
  readonly #template: MotionTemplate;
  readonly #playback: Playback;

  /** @throws Error if the template was made with another model, and has not all names of this one's keypoints */
  constructor({ name, template, playback }: ChosenTemplate, { templates }: Pick<LoadedModel, 'templates'>) {
    const fitting = templates && templateFor(template, templates);
    if (!fitting) throw new Error(`${name}: ${OTHER_MODEL}; choose another template, or a clip`);
    this.name = name;
    this.#template = fitting;
    this.#playback = playback;
  }

  async facts(): Promise<DriverFacts> {
    return {
      frameCount: playbackLength(this.#template, this.#playback),
      frameRate: playbackRate(this.#template, this.#playback),
      sound: undefined,
      isStill: false,
    };
  }

  async anchor({ settings }: { settings: Pick<AnchorOrder['settings'], 'reference'> }): Promise<NonNullable<Anchor>> {
    const { reference, frames } = this.#template;
    return { keypoints: settings.reference === 'first' ? frames[0]!.keypoints : reference };
  }

  async *frames(every = 1): AsyncGenerator<DriverFrame> {
    const duration = every / playbackRate(this.#template, this.#playback);
    let at = 0;
    for (const { keypoints, hasFace, timestamp } of played(this.#template, this.#playback)) {
      if (at++ % every === 0) yield { order: { keypoints, hasFace }, picture: null, timestamp, duration };
    }
  }

  hold(): () => void {
    return () => {};
  }
}
