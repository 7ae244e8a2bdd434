// The face of a driving clip, which the engine follows through frames that need not be neighbours, such as one of every ten.
import type { ClipFraming, PictureInput } from './engine/api.js';
import type { StudioEngine } from './engine/studio-engine.js';
import type { CallSettings } from './rpc.js';

export class FollowedFace {
  static #clips = 0;
  readonly #clip = FollowedFace.#clips++;

  readonly #engine: StudioEngine;
  readonly #face: number | undefined;

  /** @param face which one, counted from the left from 1; by default the largest */
  constructor(engine: StudioEngine, face?: number) {
    this.#engine = engine;
    this.#face = face;
  }

  /** Looks at a frame. All frames of a clip have one size. */
  see(frame: PictureInput, settings?: CallSettings): Promise<void> {
    return this.#engine.seeFrame({ clip: this.#clip, frame, face: this.#face }, settings);
  }

  /** As `Studio.clipFraming`. */
  framing(settings?: CallSettings): Promise<ClipFraming> {
    return this.#engine.clipFraming({ clip: this.#clip }, settings);
  }

  /** As `Studio.nearestFrame`. */
  nearest(settings?: CallSettings): Promise<number | null> {
    return this.#engine.nearestFrame({ clip: this.#clip }, settings);
  }

  /** Forgets the clip. */
  close(): void {
    this.#engine.forgetClip({ clip: this.#clip }).catch(() => {}); // an engine that has ended holds nothing
  }
}
