// The camera drives the portrait: frames as fast as the networks make them, the newest picture each time.

import { type GeneratedFrame, type Square, StudioEngineError } from './engine/api.js';
import type { StudioEngine } from './engine/studio-engine.js';
import { FrameCap, type LiveFigures, LivePace } from './live-pace.js';
import { type Camera, startCamera } from './media/camera.js';
import type { Settings } from './settings.js';

export type LiveEvents = {
  /** A frame is there, to be shown. @param seconds since the camera was started */
  onFrame(frame: GeneratedFrame, seconds: number): void;
  /** How fast it goes, after each frame. */
  onPace(figures: LiveFigures): void;
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

/** Milliseconds after which a face that has left its square is looked for in the whole picture. */
const LOST = 2000;

export class Live {
  #ended = false;
  #square: Square | null = null;
  /** Whether the square was found in a mirror's picture. */
  #mirrored = false;
  /** When the face was last seen, and what was told of it. */
  #seen = 0;
  #told = true;

  readonly #order: LiveOrder;
  readonly #camera: Camera;

  private constructor(order: LiveOrder, camera: Camera) {
    this.#order = order;
    this.#camera = camera;
  }

  /**
   * Asks for the camera and starts.
   *
   * @param signal ends it before it has begun: browsers may take long to ask the user
   * @throws DOMException as `getUserMedia` does; Error where browsers give no camera to pages of this kind; the signal's
   *   reason
   */
  static async start(order: LiveOrder, signal: AbortSignal): Promise<Live> {
    const { video, events, settings } = order;
    const camera = await startCamera(video, settings().camera, signal);
    const live = new Live(order, camera);
    camera.onLost(() => {
      live.stop();
      events.onProblem(new Error('the camera was taken away: connect it again and start it anew'));
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
    this.#camera.stop();
  }

  async #run(): Promise<void> {
    const { events } = this.#order;
    const started = performance.now();
    const [pace, cap] = [new LivePace(), new FrameCap()];
    while (await this.#camera.next()) {
      try {
        const settings = this.#order.settings();
        if (!cap.lets(performance.now(), settings.mostFrames)) continue;
        if (!this.#square || this.#mirrored !== settings.mirror) {
          await this.#findFace(settings.mirror);
          pace.begin(performance.now());
        }
        const timestamp = (performance.now() - started) / 1000;
        const { captured } = this.#camera;
        const frame = await this.#animate(settings, timestamp);
        if (this.#ended) return;
        this.#see(frame.sight === 'face');
        if (performance.now() - this.#seen > LOST) this.#square = null;
        events.onFrame(frame, timestamp);
        events.onPace(pace.shown(captured, performance.now()));
      } catch (error) {
        if (this.#ended) return;
        if (error instanceof StudioEngineError && error.code === 'no-face') {
          this.#see(false);
          await new Promise((resolve) => setTimeout(resolve, RETRY));
        } else {
          this.stop();
          events.onProblem(error);
        }
      }
    }
  }

  /** Finds the face in the whole picture. Its pose of this moment is the portrait's own. */
  async #findFace(mirror: boolean): Promise<void> {
    const { engine } = this.#order;
    const { squares, largest } = await engine.findFaces({ picture: await this.#camera.picture(mirror) });
    await engine.resetReference();
    this.#square = squares[largest - 1]!;
    this.#mirrored = mirror;
    this.#see(true);
  }

  async #animate(settings: Settings, timestamp: number): Promise<GeneratedFrame> {
    const { motion, adaptScale, controls, innerMouth, smoothing, pasteBack, mirror } = settings;
    return this.#order.engine.animate({
      frame: await this.#camera.picture(mirror),
      square: this.#square,
      watch: true,
      insight: this.#order.insight(),
      ...{ motion, adaptScale, controls, innerMouth, smoothing, timestamp, pasteBack },
    });
  }

  /** Remembers whether the face is seen, and tells it when that changes. */
  #see(face: boolean): void {
    if (face) this.#seen = performance.now();
    if (face !== this.#told) this.#order.events.onFace(face);
    this.#told = face;
  }
}
