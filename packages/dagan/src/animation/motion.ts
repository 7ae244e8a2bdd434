// From the keypoints of driving frames to those of the portrait, frame by frame: reference, rest where no face drives,
// smoothing, transfer. Everything that animates goes through here: clips, the camera, the evaluation.
import type { KeypointSet } from '../tensors/keypoint-set.js';
import { type MotionSpace, PLANE } from '../tensors/motion-space.js';
import { checkAngles, checkControls, retargeted } from './controls.js';
import { type HeadAngles, withAngles } from './free-view.js';
import { KeypointSmoother, type SmoothingOptions } from './smoothing.js';
import { type TransferOptions, transferKeypoints } from './transfer.js';

/** How motion is taken over. */
export type MotionSettings = Partial<Omit<TransferOptions, 'space'>> & {
  /** Smooths the driving keypoints over time; `true` for the default strength. Default: as they are. */
  smoothing?: SmoothingOptions | boolean;
};

export type MotionOptions = MotionSettings & {
  /** What moves: `Engine.motion`. Default: keypoints in the plane. */
  space?: MotionSpace;
  /**
   * Keypoints of the driving frame that counts as the portrait's own pose; by default the first frame's.
   * Relative motion is measured from it.
   */
  reference?: KeypointSet;
};

/** Seconds between frames that carry no time stamps. */
const FRAME_TIME = 1 / 25;

/** Frames over which motion comes back after a rest. */
const EASE = 3;

/** What one portrait has in common while it is driven. */
export class MotionTransfer {
  #portrait: KeypointSet;
  #transfer: TransferOptions = { motion: 'relative', adaptScale: false };
  #retargeted: KeypointSet;
  #reference: KeypointSet | undefined;
  #smoothing: { strength: number | undefined; filter: KeypointSmoother } | undefined;
  /** When the frame before was shown, in seconds. */
  #shown: number | undefined;
  readonly #space: MotionSpace;
  /** What drove the frame before. */
  #driven: KeypointSet | undefined;
  /** Part of the way back from a rest, 0 to 1. */
  #back = 1;

  /** @param portrait what the engine found in the portrait */
  constructor(portrait: KeypointSet, { reference, space = PLANE, ...settings }: MotionOptions = {}) {
    this.#portrait = portrait;
    this.#space = space;
    this.#retargeted = portrait;
    this.#reference = reference;
    this.set(settings);
  }

  /**
   * Takes over motion so from the next frame on. The reference stays; smoothing begins anew where its strength is another.
   *
   * @throws RangeError if the smoothing's strength is not from 0 to 1; TypeError for a control that needs names, or for
   *   `adaptScale` where what moves has no size
   */
  set({
    motion = 'relative',
    adaptScale = false,
    smoothing = false,
    controls = {},
    names = {},
    ...rest
  }: MotionSettings): void {
    checkControls(controls, names);
    const space = this.#space;
    checkAngles(controls, space);
    if (adaptScale && space.dimensions === 1) {
      throw new TypeError('what moves in this model is a code, which has no size that movement could be scaled by');
    }
    this.#transfer = { motion, adaptScale, controls, names, space, ...rest };
    this.portrait = this.#portrait;
    if (smoothing === false) {
      this.#smoothing = undefined;
      return;
    }
    const options = smoothing === true ? {} : smoothing;
    if (this.#smoothing && this.#smoothing.strength === options.strength) return;
    this.#smoothing = { strength: options.strength, filter: new KeypointSmoother(options, space) };
  }

  /** Forgets the frames before, as for another clip. @param reference as of the options */
  reset(reference?: KeypointSet): void {
    this.#reference = reference;
    this.#smoothing?.filter.reset();
    this.#shown = undefined;
    this.#driven = undefined;
    this.#back = 1;
  }

  /** The portrait's keypoints from the next frame on: those of its own frame, where the portrait is a clip. */
  set portrait(keypoints: KeypointSet) {
    const { controls, names = {} } = this.#transfer;
    this.#portrait = keypoints;
    this.#retargeted = controls?.retarget
      ? { ...keypoints, ...retargeted(keypoints, controls.retarget, names) }
      : keypoints;
  }

  get portrait(): KeypointSet {
    return this.#portrait;
  }

  /** Whether the driver moves the mouth, which then may show the inside of his. */
  get movesMouth(): boolean {
    const { strength = 1, parts = {} } = this.#transfer.controls ?? {};
    return strength * (parts.mouth ?? 1) !== 0;
  }

  /** Keypoints that count as the portrait's own pose; undefined until the first frame with a face. */
  get reference(): KeypointSet | undefined {
    return this.#reference;
  }

  /** The portrait's keypoints as they are without a driver, with the constant changes of the controls. */
  get still(): KeypointSet {
    return this.turned(this.#transfer.controls?.angles ?? {});
  }

  /** The same with the head at angles of choice in place of those of the controls. Keypoints without a head stay as they are. */
  turned(angles: HeadAngles): KeypointSet {
    const { head } = this.#portrait;
    return head ? withAngles(this.#retargeted, [[head, 1]], angles) : this.#retargeted;
  }

  /**
   * The keypoints that the portrait should have in the next frame. Where no face drives it rests as it was, at the start in its
   * own pose, and when the face is back motion comes back over some frames.
   *
   * @param driving found in the driving frame
   * @param timestamp seconds at which it is shown, for the smoothing; without it frames are 1/25 s apart
   * @param hasFace whether it shows the face that drives
   */
  next(driving: KeypointSet, timestamp?: number, hasFace = true): KeypointSet {
    const elapsed = timestamp !== undefined && this.#shown !== undefined ? timestamp - this.#shown : FRAME_TIME;
    this.#shown = timestamp;
    this.#driven = hasFace ? this.#returning(driving) : this.#rest();
    if (!this.#driven || !this.#reference) return this.still; // no face so far
    const moved = this.#smoothing ? this.#smoothing.filter.next(this.#driven, elapsed) : this.#driven;
    return transferKeypoints(this.#retargeted, moved, this.#reference, this.#transfer);
  }

  /** What drives while no face does: what drove before; at the start what means the portrait's own pose, if that is known. */
  #rest(): KeypointSet | undefined {
    this.#back = 0;
    return this.#driven ?? (this.#transfer.motion === 'absolute' ? this.#portrait : this.#reference);
  }

  /** What drives when there is a face: its keypoints, or on the way back from a rest those in between. */
  #returning(driving: KeypointSet): KeypointSet {
    const rest = this.#driven;
    this.#reference ??= driving;
    this.#back = rest ? Math.min(1, this.#back + 1 / EASE) : 1;
    return rest && this.#back < 1 ? between(rest, driving, this.#back) : driving;
  }
}

/** The keypoints on the way from some to others. @param part of the way, 0 to 1 */
export function between(from: KeypointSet, to: KeypointSet, part: number): KeypointSet {
  const mix = (a: Float32Array, b: Float32Array): Float32Array => a.map((value, i) => value + part * (b[i]! - value));
  const jacobian = from.jacobian && to.jacobian ? mix(from.jacobian, to.jacobian) : to.jacobian;
  const depth = from.depth && to.depth ? mix(from.depth, to.depth) : to.depth;
  return { ...to, value: mix(from.value, to.value), jacobian, ...(depth && { depth }) };
}
