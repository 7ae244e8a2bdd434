// How fast the camera drives the portrait: measured, and held to a limit.

/** Share of the newest frame in the means; at the start all count alike. */
const NEWEST = 0.15;

export type LiveFigures = {
  /** Frames a second of late. */
  rate: number;
  /** Milliseconds of late from when the camera takes a picture until the portrait's frame of it is shown. */
  latency: number;
};

export class LivePace {
  /** When the frame before was shown, in milliseconds. */
  #last = 0;
  #interval = 0;
  #latency = 0;
  #frames = 0;

  /** Begins, or begins anew after a pause. */
  begin(now: number): void {
    this.#last = now;
    this.#frames = 0;
  }

  /**
   * A frame has been shown.
   *
   * @param captured when the camera took it @param now by the same clock, in milliseconds
   */
  shown(captured: number, now: number): LiveFigures {
    const share = Math.max(NEWEST, 1 / ++this.#frames);
    this.#interval += share * (now - this.#last - this.#interval);
    this.#latency += share * (now - captured - this.#latency);
    this.#last = now;
    return { rate: 1000 / this.#interval, latency: this.#latency };
  }
}

/** Leaves pictures out, so that there are no more than so many frames a second on average. */
export class FrameCap {
  /** When the next one may come, in milliseconds. */
  #due = 0;

  /** Whether a picture that has come is to be used. @param most frames a second; null for no limit */
  lets(now: number, most: number | null): boolean {
    if (most === null) return true;
    if (now < this.#due) return false;
    // Measured from when it was due: cameras have a beat of their own, and lateness would add up.
    this.#due = Math.max(this.#due + 1000 / most, now);
    return true;
  }
}
