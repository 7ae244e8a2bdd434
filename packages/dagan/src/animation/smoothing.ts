// Takes the trembling out of keypoints: the 1-euro filter (Casiez, Roussel, Vogel, "1 € Filter", CHI 2012), a low-pass
// whose cutoff rises with speed, so that what rests is calmed and what moves hardly lags. Causal: it serves live too.
import type { KeypointSet } from '../tensors/keypoint-set.js';
import { type MotionSpace, PLANE } from '../tensors/motion-space.js';

/** How keypoints are smoothed. */
export type SmoothingOptions = {
  /** From 0, hardly anything, to 1, a lot. Default 0.5. */
  strength?: number;
};

/** Cutoff in Hz of what does not move, for strengths 0 and 1; geometric in between. */
const CUTOFF = [10, 1] as const;

/** Hz that the cutoff rises by, per unit of speed: of positions in half pictures per second, of jacobians per second. */
const RISE = { value: 12, jacobian: 3 } as const;

/** Cutoff in Hz for the speed itself. */
const SPEED_CUTOFF = 2;

/**
 * Smooths the keypoints of successive frames. The coordinates of a point have one cutoff, as have the numbers of a
 * jacobian, so that the direction of a movement is kept.
 */
export class KeypointSmoother {
  readonly #cutoff: number;
  #value: VectorFilter | undefined;
  #jacobian: VectorFilter | undefined;
  #depth: VectorFilter | undefined;

  readonly #dimensions: number;

  constructor({ strength = 0.5 }: SmoothingOptions = {}, { dimensions }: MotionSpace = PLANE) {
    this.#dimensions = dimensions;
    if (!(strength >= 0 && strength <= 1)) throw new RangeError(`the strength must be from 0 to 1, not ${strength}`);
    this.#cutoff = CUTOFF[0] * (CUTOFF[1] / CUTOFF[0]) ** strength;
  }

  /**
   * The next frame's keypoints, smoothed. The first ones come back as they are.
   *
   * @param seconds time since the frame before; ignored for the first
   */
  next({ value, jacobian, depth, ...rest }: KeypointSet, seconds: number): KeypointSet {
    this.#value ??= new VectorFilter(this.#dimensions, this.#cutoff, RISE.value);
    const smooth: KeypointSet = { ...rest, value: this.#value.next(value, seconds), jacobian: null };
    if (depth) {
      this.#depth ??= new VectorFilter(1, this.#cutoff, RISE.value);
      smooth.depth = this.#depth.next(depth, seconds);
    }
    if (jacobian) {
      this.#jacobian ??= new VectorFilter(this.#dimensions ** 2, this.#cutoff, RISE.jacobian);
      smooth.jacobian = this.#jacobian.next(jacobian, seconds);
    }
    return smooth;
  }

  /** Forgets the past, as for another clip. */
  reset(): void {
    this.#value = undefined;
    this.#jacobian = undefined;
    this.#depth = undefined;
  }
}

/** The filter for vectors of `size` numbers that lie one after the other. */
class VectorFilter {
  #state: Float64Array | undefined;
  #speed = new Float64Array(0);
  readonly #size: number;
  readonly #cutoff: number;
  readonly #rise: number;

  constructor(size: number, cutoff: number, rise: number) {
    this.#size = size;
    this.#cutoff = cutoff;
    this.#rise = rise;
  }

  next(input: Float32Array, seconds: number): Float32Array {
    const [state, speed, size] = [this.#state, this.#speed, this.#size];
    if (!state || !(seconds > 0)) {
      if (!state) {
        this.#state = Float64Array.from(input);
        this.#speed = new Float64Array(input.length);
      }
      return Float32Array.from(this.#state!);
    }
    const follow = weight(SPEED_CUTOFF, seconds);
    for (let at = 0; at < input.length; at += size) {
      let square = 0;
      for (let i = at; i < at + size; i++) {
        speed[i] = speed[i]! + follow * ((input[i]! - state[i]!) / seconds - speed[i]!);
        square += speed[i]! ** 2;
      }
      const share = weight(this.#cutoff + this.#rise * Math.sqrt(square), seconds);
      for (let i = at; i < at + size; i++) state[i] = state[i]! + share * (input[i]! - state[i]!);
    }
    return Float32Array.from(state);
  }
}

/** Share of the new value in a first-order low-pass of `cutoff` Hz that is fed every so many seconds. */
function weight(cutoff: number, seconds: number): number {
  const way = 2 * Math.PI * cutoff * seconds;
  return way / (way + 1);
}
