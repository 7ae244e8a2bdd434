// A motion template as a driver: its frames were looked at before, so no network has to.
import { batches, type DrivenFrame } from '../animation/animate.js';
import type { Analysis, Engine } from '../animation/engine.js';
import {
  type MotionTemplate,
  OTHER_MODEL,
  partOf,
  playbackLength,
  playbackRate,
  played,
  type TemplateFrame,
  templateFor,
} from '../animation/motion-template.js';
import { DaganError } from '../errors.js';
import { createPicture } from '../media/pictures/picture.js';
import type { KeypointSet } from '../tensors/keypoint-set.js';
import { PLANE } from '../tensors/motion-space.js';
import { NETWORK_SIZE } from './choose-model.js';
import { noFrame } from './clip-squares.js';
import type { AnchorChoice, Driver, DriverFrame, DriverOptions } from './driver.js';

export class TemplateDriver implements Driver {
  readonly absences = [];
  readonly sound = undefined;
  readonly isStill = false;
  readonly searches = false;
  readonly frameRate: number;
  readonly frameCount: number;
  readonly motion: 'relative' | 'absolute';
  readonly #options: DriverOptions;
  /** With the model's keypoints, once the model is known. */
  #template: MotionTemplate;

  constructor(
    readonly path: string,
    template: MotionTemplate,
    options: DriverOptions,
  ) {
    this.#options = options;
    this.#template = chosenOf(path, template, options);
    this.motion = options.motion ?? 'relative';
    this.frameRate = playbackRate(template, options);
    this.frameCount = playbackLength(this.#template, options);
  }

  async search(): Promise<void> {}

  async look(): Promise<undefined> {}

  async anchor(
    { keypointNames: names = {}, motion = PLANE }: Engine,
    { keypoints }: Analysis,
    { model }: AnchorChoice,
  ): Promise<KeypointSet> {
    const user = { count: keypoints.value.length / 2, hasJacobians: keypoints.jacobian !== null, names, model };
    const fitting = motion.dimensions === 2 ? templateFor(this.#template, user) : undefined;
    if (!fitting) {
      throw new DaganError('other-model', `${this.path}: ${OTHER_MODEL}`, { path: this.path });
    }
    this.#template = fitting;
    return fitting.reference;
  }

  async *frames({ batchSize }: Engine): AsyncGenerator<DrivenFrame<DriverFrame>[]> {
    const duration = 1 / this.frameRate;
    const picture = createPicture(NETWORK_SIZE, NETWORK_SIZE); // a template has none
    async function* driven(frames: Iterable<TemplateFrame>): AsyncGenerator<DrivenFrame<DriverFrame>> {
      for (const { keypoints, hasFace, timestamp } of frames) {
        const input = { picture, timestamp, duration, times: 1 };
        yield { input, driving: { keypoints, disparity: null }, hasFace };
      }
    }
    yield* batches(driven(played(this.#template, this.#options)), batchSize);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** The frames of the range, and the reference that is asked for. @throws DaganError if they are not there */
function chosenOf(
  path: string,
  template: MotionTemplate,
  { start = 0, end, referenceFrame = 'auto' }: DriverOptions,
): MotionTemplate {
  const part = partOf(template, start, end);
  if (!part) {
    const message = `${path}: has ${template.frames.length} frames, and none from ${start} on`;
    throw new DaganError('no-frame', message, { path, frame: start });
  }
  if (referenceFrame === 'auto') return part;
  const index = referenceFrame === 'first' ? start : referenceFrame;
  const frame = template.frames[index];
  if (!frame) throw noFrame(path, index);
  return { ...part, reference: frame.keypoints };
}
