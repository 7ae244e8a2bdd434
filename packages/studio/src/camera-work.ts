// The portrait driven by the camera: from asking for it to switching it off, and recordings of it.
import { type Activity, IDLE, usesClip } from './activity.js';
import { metadataFor } from './animation.js';
import { type Desk, resultName, showFrame } from './desk.js';
import type { GeneratedFrame } from './engine/api.js';
import { Live } from './live.js';
import type { LiveFigures } from './live-pace.js';
import { LiveRecording } from './live-recording.js';
import { type CameraName, cameras } from './media/camera.js';
import { NO_ENCODER } from './media/recording.js';
import { count, pace } from './words.js';

export class CameraWork {
  readonly #desk: Desk;
  /** Told which cameras there are: browsers say so once one of them was allowed. */
  readonly #onCameras: (found: readonly CameraName[]) => void;

  constructor(desk: Desk, onCameras: (found: readonly CameraName[]) => void) {
    this.#desk = desk;
    this.#onCameras = onCameras;
  }

  async start(): Promise<void> {
    const { engine, clips, current, prepared, insight, result, actions, settings } = this.#desk;
    const { messages } = clips;
    messages.clear();
    const obstacle = this.#obstacle();
    if (obstacle !== null) {
      messages.tellProblem(new Error(obstacle));
      return;
    }
    const asking = new AbortController();
    const activity: Activity = { kind: 'askingCamera', asking };
    current.begin(activity);
    actions.messages.clear();
    try {
      await prepared.handOver();
      asking.signal.throwIfAborted();
      const events = {
        onFrame: (frame: GeneratedFrame, seconds: number) => this.#frame(frame, seconds),
        onPace: (figures: LiveFigures) => this.#tellPace(figures),
        onFace: (seen: boolean) => {
          if (seen) messages.clear();
          else messages.tell('No face is seen, so the portrait rests: look into the camera, with light on your face.');
        },
        onProblem: (error: unknown) => {
          this.stop();
          messages.tellProblem(error);
        },
      };
      const order = { engine, video: clips.video, settings, insight: () => insight.due, events };
      const live = await Live.start(order, asking.signal);
      result.clear();
      current.begin({ kind: 'live', live });
      this.#onCameras(await cameras());
    } catch (error) {
      if (asking.signal.aborted) return;
      current.end(activity);
      messages.tellProblem(error);
    }
  }

  /** Why the camera cannot be started now; null if it can. */
  #obstacle(): string | null {
    const { current, model, portraits } = this.#desk;
    if (usesClip(current.activity)) {
      return 'the clip is still being animated: wait for the end, or cancel it, then start the camera';
    }
    if (current.activity.kind !== 'idle') return 'the recording is still being saved: start the camera in a moment';
    if (!model) return 'the model is still loading';
    return portraits.portrait ? null : 'choose a portrait first, then start the camera';
  }

  /** Switches the camera off; what was recorded is kept. */
  stop(): void {
    const { current, actions } = this.#desk;
    const { activity } = current;
    switch (activity.kind) {
      case 'recording':
        void this.#finishRecording();
        return;
      case 'askingCamera':
        activity.asking.abort();
        break;
      case 'live':
        activity.live.stop();
        break;
      default:
        return;
    }
    current.begin(IDLE);
    actions.messages.tell('The camera is off.');
  }

  /** Takes the face of this moment for the portrait's own pose. */
  resetPose(): void {
    const { activity } = this.#desk.current;
    if (activity.kind !== 'live' && activity.kind !== 'recording') return;
    activity.live.reset();
    this.#desk.actions.messages.tell('The reference pose was reset.');
  }

  toggleRecording(): void {
    const { activity } = this.#desk.current;
    if (activity.kind === 'recording') void this.#finishRecording();
    else if (activity.kind === 'live') this.#startRecording(activity.live);
  }

  #frame(frame: GeneratedFrame, seconds: number): void {
    showFrame(this.#desk, frame);
    const { activity } = this.#desk.current;
    if (activity.kind !== 'recording') return;
    if (activity.recording.fits(frame.picture)) activity.recording.add(frame.picture, seconds);
    else void this.#finishRecording(); // a video has one size; another portrait or option has brought another
  }

  #tellPace({ rate, latency }: LiveFigures): void {
    const { current, actions } = this.#desk;
    const words = [pace(rate), `latency ${Math.round(latency)} ms`];
    if (current.activity.kind === 'recording') words.push(`${current.activity.recording.count} recorded`);
    actions.tellRate(words.join(', '));
  }

  #startRecording(live: Live): void {
    const { current, model, prepared, actions, settings } = this.#desk;
    const { messages } = actions;
    messages.clear();
    const { format, pasteBack, innerMouth } = settings();
    if (!format) messages.tellProblem(new Error(NO_ENCODER));
    if (!format || !prepared.seen || !model) return;
    const { width, height } = pasteBack ? prepared.seen.whole : prepared.seen.picture;
    const order = { width, height, format, metadata: metadataFor(model, { pasteBack, innerMouth }) };
    const recording = new LiveRecording(order, (error) => {
      if (current.activity.kind !== 'recording' || current.activity.recording !== recording) return;
      recording.cancel();
      current.begin({ kind: 'live', live });
      messages.tellProblem(error);
    });
    current.begin({ kind: 'recording', live, recording });
  }

  /** Completes what is recorded, and ends the camera; where nothing is, the camera goes on. */
  async #finishRecording(): Promise<void> {
    const { current, portraits, result, actions } = this.#desk;
    if (current.activity.kind !== 'recording') return;
    const { live, recording } = current.activity;
    const { messages } = actions;
    if (recording.count === 0) {
      recording.cancel();
      current.begin({ kind: 'live', live });
      messages.tellProblem(new Error('nothing was recorded: no frame was made in that time'));
      return;
    }
    live.stop();
    const saving: Activity = { kind: 'saving' };
    current.begin(saving);
    try {
      const saved = await recording.finish();
      result.finished(saved, resultName(portraits.portrait?.name ?? 'portrait', 'camera'));
      messages.tell(`Recorded ${count(saved.frames, 'frame')}.`);
    } catch (error) {
      recording.cancel();
      messages.tellProblem(error);
    } finally {
      current.end(saving);
    }
  }
}
