// The camera drives the portrait: frames as fast as the networks make them, the newest picture each time.

import { type GeneratedFrame, type Square, type StudioEngine, StudioEngineError } from './engine/api.js';
import { isStopped } from './problems.js';
import type { Settings } from './settings.js';

export type LiveEvents = {
  /** A frame is there. @param seconds since the camera was started @param rate frames a second of late */
  onFrame(frame: GeneratedFrame, seconds: number, rate: number): void;
  /** Whether a face is seen, each time that changes. */
  onFace(seen: boolean): void;
  onProblem(error: unknown): void;
};

export type LiveOrder = {
  engine: StudioEngine;
  /** Shows the camera's picture; its frames are taken. */
  video: HTMLVideoElement;
  settings: () => Settings;
  insight: () => boolean;
  events: LiveEvents;
};

/** Milliseconds until a face is looked for again. */
const RETRY = 400;

/** Share of the newest frame in the mean of how long frames take. */
const NEWEST = 0.15;

export class Live {
  #ended = false;
  #square: Square | null = null;

  private constructor(
    private readonly order: LiveOrder,
    private readonly stream: MediaStream,
  ) {}

  /**
   * Asks for the camera and starts.
   *
   * @param signal ends it before it has begun: browsers may take long to ask the user
   * @throws DOMException as `getUserMedia` does; Error where browsers give no camera to pages of this kind; the signal's
   *   reason
   */
  static async start(order: LiveOrder, signal: AbortSignal): Promise<Live> {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error('browsers give the camera only to pages on https or on this machine: open the studio there');
    }
    const stream = await askForCamera();
    const live = new Live(order, stream);
    try {
      signal.throwIfAborted();
      order.video.srcObject = stream;
      await order.video.play();
      signal.throwIfAborted();
    } catch (error) {
      live.stop();
      throw signal.aborted ? signal.reason : error;
    }
    const [track] = stream.getVideoTracks();
    track?.addEventListener('ended', () => {
      if (live.#ended) return;
      order.events.onProblem(new Error('the camera was taken away: connect it again and start it anew'));
      live.stop();
    });
    void live.#run();
    return live;
  }

  /** The camera's face at this moment counts as the portrait's own pose from now on; its place is looked for anew. */
  reset(): void {
    this.#square = null;
  }

  stop(): void {
    this.#ended = true;
    for (const track of this.stream.getTracks()) track.stop();
    if (this.order.video.srcObject === this.stream) this.order.video.srcObject = null;
  }

  async #run(): Promise<void> {
    const { engine, video, events } = this.order;
    const started = performance.now();
    let last = started;
    let mean: number | undefined;
    let seen: boolean | undefined;
    while (!this.#ended) {
      await nextPicture(video);
      if (this.#ended) return;
      try {
        if (!this.#square) {
          const { squares, largest } = await engine.findFaces(await createImageBitmap(video));
          await engine.resetReference();
          this.#square = squares[largest - 1]!;
          mean = undefined;
          last = performance.now();
          if (seen !== true) events.onFace(true);
          seen = true;
        }
        const { motion, adaptScale, smoothing, pasteBack } = this.order.settings();
        const timestamp = (performance.now() - started) / 1000;
        const frame = await engine.animate(await createImageBitmap(video), {
          square: this.#square,
          insight: this.order.insight(),
          ...{ motion, adaptScale, smoothing, timestamp, pasteBack },
        });
        if (this.#ended) return;
        const now = performance.now();
        mean = mean === undefined ? now - last : (1 - NEWEST) * mean + NEWEST * (now - last);
        last = now;
        events.onFrame(frame, timestamp, 1000 / mean);
      } catch (error) {
        if (this.#ended) return;
        if (error instanceof StudioEngineError && error.code === 'no-face') {
          if (seen !== false) events.onFace(false);
          seen = false;
          await new Promise((resolve) => setTimeout(resolve, RETRY));
        } else {
          this.stop();
          events.onProblem(error);
        }
      }
    }
  }
}

async function askForCamera(): Promise<MediaStream> {
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 }, facingMode: 'user' },
    });
  } catch (error) {
    // So Firefox says that a camera does not start; nobody has stopped anything.
    if (!isStopped(error)) throw error;
    throw new DOMException((error as DOMException).message, 'NotReadableError');
  }
}

/** Waits for a picture of the camera that has not been seen. */
function nextPicture(video: HTMLVideoElement): Promise<void> {
  return new Promise((resolve) => {
    if ('requestVideoFrameCallback' in video) video.requestVideoFrameCallback(() => resolve());
    else requestAnimationFrame(() => resolve());
  });
}
