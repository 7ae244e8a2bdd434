// From the keypoints of driving frames to those of the portrait, frame by frame: reference, smoothing, transfer. Everything
// that animates goes through here: clips, the camera, the evaluation.
import type { KeypointSet } from '../tensors/keypoint-set.js';
import { KeypointSmoother, type SmoothingOptions } from './smoothing.js';
import { type TransferOptions, transferKeypoints } from './transfer.js';

/** How motion is taken over. */
export type MotionSettings = Partial<TransferOptions> & {
  /** Smooths the driving keypoints over time; `true` for the default strength. Default: as they are. */
  smoothing?: SmoothingOptions | boolean;
};

export type MotionOptions = MotionSettings & {
  /**
   * Keypoints of the driving frame that counts as the portrait's own pose; by default the first frame's.
   * Relative motion is measured from it.
   */
  reference?: KeypointSet;
};

/** Seconds between frames that carry no time stamps. */
const FRAME_TIME = 1 / 25;

/** What one portrait has in common while it is driven. */
export class MotionTransfer {
  readonly #portrait: KeypointSet;
  #transfer: TransferOptions = { motion: 'relative', adaptScale: false };
  #reference: KeypointSet | undefined;
  #smoothing: { strength: number | undefined; filter: KeypointSmoother } | undefined;
  /** When the frame before was shown, in seconds. */
  #shown: number | undefined;

  /** @param portrait what the engine found in the portrait */
  constructor(portrait: KeypointSet, { reference, ...settings }: MotionOptions = {}) {
    this.#portrait = portrait;
    this.#reference = reference;
    this.set(settings);
  }

  /**
   * Takes over motion so from the next frame on. The reference stays; smoothing begins anew where its strength is another.
   *
   * @throws RangeError if the strength is not from 0 to 1
   */
  set({ motion = 'relative', adaptScale = false, smoothing = false }: MotionSettings): void {
    this.#transfer = { motion, adaptScale };
    if (smoothing === false) {
      this.#smoothing = undefined;
      return;
    }
    const options = smoothing === true ? {} : smoothing;
    if (this.#smoothing && this.#smoothing.strength === options.strength) return;
    this.#smoothing = { strength: options.strength, filter: new KeypointSmoother(options) };
  }

  /** Forgets the frames before, as for another clip. @param reference as of the options */
  reset(reference?: KeypointSet): void {
    this.#reference = reference;
    this.#smoothing?.filter.reset();
    this.#shown = undefined;
  }

  /**
   * The keypoints that the portrait should have in the next frame.
   *
   * @param driving found in the driving frame
   * @param timestamp seconds at which it is shown, for the smoothing; without it frames are 1/25 s apart
   */
  next(driving: KeypointSet, timestamp?: number): KeypointSet {
    this.#reference ??= driving;
    const elapsed = timestamp !== undefined && this.#shown !== undefined ? timestamp - this.#shown : FRAME_TIME;
    this.#shown = timestamp;
    const moved = this.#smoothing ? this.#smoothing.filter.next(driving, elapsed) : driving;
    return transferKeypoints(this.#portrait, moved, this.#reference, this.#transfer);
  }
}
