// A clip, an animated picture or a single one as a driver: one square of its frames, followed and watched for the face.
import { framesAround, padCut, planCut, type SquareCut } from 'dagan/animation';
import type { Picture } from 'dagan/media/portable';
import type { FrameRange } from './clip-part.js';
import type { Anchor, AnchorOrder, Driver, DriverFacts, DriverFrame } from './driver.js';
import type { Square } from './engine/api.js';
import type { StudioEngine } from './engine/studio-engine.js';
import { FollowedFace } from './followed-face.js';
import type { Clip } from './media/clip.js';
import type { DrivenBy } from './result-player.js';

/** A clip that can drive. */
export type ChosenClip = {
  kind: 'clip';
  clip: Clip;
  square: Square;
  /** The face as it was followed; null if there is none. */
  face: FollowedFace | null;
  /** One of so many frames was looked at. */
  every: number;
  /** What is used of it. */
  part: FrameRange;
};

export class ClipDriver implements Driver {
  readonly hasPictures = true;
  readonly #chosen: ChosenClip;
  readonly #engine: StudioEngine;
  /** How the square comes to the networks' size: the transform of decoded frames, and the edges put around. */
  readonly #cut: SquareCut;

  /** @param size of the networks' pictures */
  constructor(chosen: ChosenClip, engine: StudioEngine, size: number) {
    this.#chosen = chosen;
    this.#engine = engine;
    const { square, clip } = chosen;
    this.#cut = planCut(square, clip.facts.width, clip.facts.height, size);
  }

  get name(): string {
    return this.#chosen.clip.file.name;
  }

  get shown(): DrivenBy | null {
    const { clip, square, part } = this.#chosen;
    const { width, height, frameRate } = clip.facts;
    const from = part.start / frameRate;
    return clip.file.type.startsWith('video/') ? { file: clip.file, width, height, square, from } : null;
  }

  get warnings(): readonly string[] {
    return this.#chosen.clip.warnings;
  }

  async facts(): Promise<DriverFacts> {
    const { clip, part } = this.#chosen;
    const { frameCount, frameRate, constantFrameRate, sound } = await clip.factsOf(part);
    return {
      frameCount: frameCount && Math.ceil(frameCount / part.every),
      frameRate: constantFrameRate ? frameRate / part.every : undefined,
      sound: sound && { file: clip.file, range: sound },
      isStill: this.#isStill,
    };
  }

  /** The frame that is most like the portrait, as `dagan animate` finds it. */
  async anchor({ settings, signal, onStep }: AnchorOrder): Promise<Anchor> {
    const { clip, face, every } = this.#chosen;
    if (this.#isStill || settings.motion === 'absolute' || settings.reference === 'first' || !face) return undefined;
    const best = await face.nearest({ signal });
    if (best === null) return undefined;
    onStep('Looking for the frame that is most like the portrait …');
    const around = framesAround(best * every, every);
    const follower = new FollowedFace(this.#engine);
    const pictures: Picture[] = [];
    try {
      for await (const { picture } of clip.frames({ ...around, transform: this.#cut.transform })) {
        signal.throwIfAborted();
        const square = padCut(picture, this.#cut);
        pictures.push(square);
        if (every > 1) await follower.see(square, { signal });
      }
      const nearest = every > 1 ? await follower.nearest({ signal }) : 0;
      const frame = pictures[nearest ?? best * every - around.start];
      return frame && { frame, square: null };
    } finally {
      follower.close();
    }
  }

  async *frames(every = 1): AsyncGenerator<DriverFrame> {
    const { clip, part, face } = this.#chosen;
    const step = part.every * every;
    const order = { ...part, every: step, transform: this.#cut.transform };
    let number = part.start;
    for await (const { picture: cut, timestamp, duration } of clip.frames(order)) {
      const picture = padCut(cut, this.#cut);
      const frame = { frame: picture, square: null, watch: face !== null, number };
      yield { order: frame, picture, timestamp, duration: duration * step };
      number += step;
    }
  }

  hold(): () => void {
    return this.#chosen.clip.hold();
  }

  get #isStill(): boolean {
    return this.#chosen.clip.facts.frameCount === 1;
  }
}
