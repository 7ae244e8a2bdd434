// A model at the size that it was trained for: pictures of animations have one side, the networks of some models another.
import type { Picture } from '../media/pictures/picture.js';
import { resizePicture } from '../media/pictures/resize.js';
import type { KeypointSet } from '../tensors/keypoint-set.js';
import type { MotionSpace } from '../tensors/motion-space.js';
import { resizeMap } from '../tensors/values.js';
import type { Analysis, DriveOptions, Engine, Inspection, InspectOptions, SourceOptions } from './engine.js';

/**
 * An engine that takes and gives pictures of another side than the engine behind it, which it disposes of. Keypoints are the same, as
 * they are parts of a side; fields, masks and tensors of `inspect` stay as the networks have them.
 */
export class ResizedEngine implements Engine {
  readonly description: string;
  readonly batchSize: number;
  readonly keypointNames?: Readonly<Record<string, number>>;
  readonly motion?: MotionSpace;
  readonly mergesPortraits?: boolean;

  /** @param size side of the pictures that come in and go out, in pixels */
  constructor(
    readonly engine: Engine,
    readonly size: number,
  ) {
    const { description, batchSize, keypointNames, motion, mergesPortraits } = engine;
    this.description = `${description}, networks for ${engine.size} x ${engine.size} pixels`;
    this.batchSize = batchSize;
    if (keypointNames) this.keypointNames = keypointNames;
    if (motion) this.motion = motion;
    if (mergesPortraits !== undefined) this.mergesPortraits = mergesPortraits;
  }

  async setSource(
    portrait: Picture,
    { others = [], keypoints, othersKeypoints }: SourceOptions = {},
  ): Promise<Analysis> {
    const smaller = others.map((other) => this.#inner(other));
    return this.#analysis(
      await this.engine.setSource(this.#inner(portrait), { others: smaller, keypoints, othersKeypoints }),
    );
  }

  async drive(frames: readonly Picture[], { withDisparity }: DriveOptions = {}): Promise<Analysis[]> {
    const found = await this.engine.drive(
      frames.map((frame) => this.#inner(frame)),
      { withDisparity },
    );
    return found.map((analysis) => this.#analysis(analysis));
  }

  async generate(keypoints: readonly KeypointSet[]): Promise<Picture[]> {
    return (await this.engine.generate(keypoints)).map((picture) => this.#outer(picture));
  }

  async inspect(keypoints: KeypointSet, { driving, ...options }: InspectOptions = {}): Promise<Inspection> {
    const seen = await this.engine.inspect(keypoints, {
      ...options,
      ...(driving && { driving: this.#inner(driving) }),
    });
    return { ...seen, picture: this.#outer(seen.picture) };
  }

  twin(): ResizedEngine {
    return new ResizedEngine(this.engine.twin(), this.size);
  }

  dispose(): void {
    this.engine.dispose();
  }

  /** @throws RangeError for a picture that is no square of `size` */
  #inner(picture: Picture): Picture {
    const { width, height } = picture;
    if (width !== this.size || height !== this.size) {
      throw new RangeError(
        `the engine works on ${this.size} x ${this.size} pictures, this one is ${width} x ${height}`,
      );
    }
    return resizePicture(picture, this.engine.size, this.engine.size);
  }

  #outer(picture: Picture): Picture {
    return resizePicture(picture, this.size, this.size, { enlarge: 'lanczos' });
  }

  #analysis({ keypoints, disparity }: Analysis): Analysis {
    return { keypoints, disparity: disparity && resizeMap(disparity, this.size, this.size) };
  }
}
