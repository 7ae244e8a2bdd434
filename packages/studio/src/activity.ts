// The one thing that is going on in the studio. Everything that the page offers at a moment follows from it.
import type { Live } from './live.js';
import type { LiveRecording } from './live-recording.js';

export type Activity =
  | { readonly kind: 'idle' }
  /** A clip drives the portrait, frame by frame into a file: until it was cancelled, or is enough. */
  | { readonly kind: 'animating'; readonly job: AbortController; readonly enough: AbortController }
  /** A few frames of the clip are made, to see how it will be. */
  | { readonly kind: 'previewing'; readonly job: AbortController }
  /** The browser asks the user for the camera, which may take long. */
  | { readonly kind: 'askingCamera'; readonly asking: AbortController }
  /** The camera drives the portrait. */
  | { readonly kind: 'live'; readonly live: Live }
  | { readonly kind: 'recording'; readonly live: Live; readonly recording: LiveRecording }
  /** The camera is off, and what was recorded becomes a file. */
  | { readonly kind: 'saving' };

export const IDLE: Activity = { kind: 'idle' };

/** Whether the camera drives the portrait, or will as soon as the user lets it. */
export const usesCamera = ({ kind }: Activity): boolean =>
  kind === 'askingCamera' || kind === 'live' || kind === 'recording';

/** Whether a clip drives the portrait. */
export const usesClip = ({ kind }: Activity): boolean => kind === 'animating' || kind === 'previewing';

/** Whether frames are being made that leaving the page would lose. */
export const makesFile = ({ kind }: Activity): boolean =>
  kind === 'animating' || kind === 'recording' || kind === 'saving';

/** Holds what is going on. */
export class Current {
  #activity: Activity = IDLE;
  readonly #onChange: () => void;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  get activity(): Activity {
    return this.#activity;
  }

  /** Goes over to another activity. */
  begin(activity: Activity): void {
    this.#activity = activity;
    this.#onChange();
  }

  /** Ends an activity, unless another one has taken its place. */
  end(activity: Activity): void {
    if (this.#activity === activity) this.begin(IDLE);
  }
}
