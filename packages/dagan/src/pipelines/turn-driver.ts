// No file drives, but angles of the head alone: a portrait at other angles, or a clip in which it turns.
import { batches, type DrivenFrame } from '../animation/animate.js';
import type { Engine } from '../animation/engine.js';
import { playbackLength, playbackRate, played } from '../animation/motion-template.js';
import { createPicture } from '../media/pictures/picture.js';
import { NETWORK_SIZE } from './choose-model.js';
import type { Driver, DriverFrame, DriverOptions } from './driver.js';
import { anglesAt, type HeadTurn, isSweep, SWEEP } from './head-turn.js';

export class TurnDriver implements Driver {
  readonly path = undefined;
  readonly absences = [];
  readonly sound = undefined;
  readonly searches = false;
  readonly motion = 'absolute';
  readonly isStill: boolean;
  readonly frameRate: number;
  readonly frameCount: number;
  readonly #turn: HeadTurn;
  readonly #options: DriverOptions;

  constructor(turn: HeadTurn, options: DriverOptions) {
    this.#turn = turn;
    this.#options = options;
    this.isStill = !isSweep(turn);
    this.frameRate = playbackRate(SWEEP, options);
    this.frameCount = this.isStill ? 1 : playbackLength(SWEEP, options);
  }

  async search(): Promise<void> {}

  async look(): Promise<undefined> {}

  async anchor(): Promise<undefined> {}

  async *frames({ batchSize }: Engine): AsyncGenerator<DrivenFrame<DriverFrame>[]> {
    const duration = 1 / this.frameRate;
    const picture = createPicture(NETWORK_SIZE, NETWORK_SIZE); // there is no driver to be seen
    const nothing = { value: new Float32Array(0), jacobian: null };
    const [turn, options] = [this.#turn, this.#options];
    const shares = this.isStill ? [{ share: 0, timestamp: 0 }] : sweep(options);
    async function* driven(): AsyncGenerator<DrivenFrame<DriverFrame>> {
      for (const { share, timestamp } of shares) {
        const input = { picture, timestamp, duration, times: 1 };
        const driving = { keypoints: nothing, disparity: null };
        yield { input, driving, hasFace: false, angles: anglesAt(turn, share) };
      }
    }
    yield* batches(driven(), batchSize);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** How far the turn has come in every frame. */
function* sweep(options: DriverOptions): Generator<{ share: number; timestamp: number }> {
  for (const { keypoints, timestamp } of played(SWEEP, options)) yield { share: keypoints.value[0]!, timestamp };
}
