// The studio: panels, the one thing that is going on (`Activity`), and who is told of what.
import { ActionBar } from './action-bar.js';
import { type Activity, IDLE, makesFile, usesCamera, usesClip } from './activity.js';
import { type AnimationOrder, makeAnimation, makePreview, metadataFor } from './animation.js';
import { ClipPanel } from './clip-panel.js';
import { element } from './dom.js';
import type { GeneratedFrame, LoadedModel, LoadProgress, Portrait, Square } from './engine/api.js';
import { FACE_ASSETS_URL } from './engine/runtime-files.js';
import type { StudioEngine } from './engine/studio-engine.js';
import { EngineStatus } from './engine-status.js';
import { ExpressionPanel } from './expression-panel.js';
import { InsightPanel } from './insight-panel.js';
import { KeptModels } from './kept-models.js';
import { Live } from './live.js';
import { LiveRecording } from './live-recording.js';
import { cameras } from './media/camera.js';
import { NO_ENCODER, writableFormats } from './media/recording.js';
import { newestOnly } from './newest.js';
import { keepForLater } from './offline.js';
import { type ChosenPortrait, PortraitPanel } from './portrait-panel.js';
import { isStopped } from './problems.js';
import { ResultPanel } from './result-panel.js';
import { type Settings, SettingsPanel } from './settings.js';
import { count, pace, roughTime } from './words.js';

/** Folder of the model, beside the page. */
const MODEL = './model/';

/** Milliseconds for which a square must rest before the portrait is prepared with it. */
const SETTLED = 500;

export class Studio {
  readonly element: HTMLElement;
  readonly #status: EngineStatus;
  readonly #portraits: PortraitPanel;
  readonly #clips: ClipPanel;
  readonly #result = new ResultPanel();
  readonly #settings: SettingsPanel;
  readonly #expression = new ExpressionPanel(() => this.#showStill());
  readonly #newestStill = newestOnly((error) => this.#actions.messages.tellProblem(error));
  readonly #insight: InsightPanel;
  readonly #actions: ActionBar;

  #activity: Activity = IDLE;
  #model: LoadedModel | null = null;
  #portrait: Portrait | null = null;
  /** The square with which the networks have the portrait. */
  #ready: Square | null = null;
  #settling: ReturnType<typeof setTimeout> | undefined;

  readonly #engine: StudioEngine;

  constructor(engine: StudioEngine) {
    this.#engine = engine;
    this.#status = new EngineStatus(() => void this.#loadModel());
    this.#actions = new ActionBar({
      onAnimate: () => void this.#makeAnimation(),
      onPreview: () => void this.#makePreview(),
      onCancel: () => this.#cancel(),
      onKeep: () => this.#stopAndKeep(),
      onRecord: () => this.#toggleRecording(),
      onReset: () => this.#resetPose(),
      onStop: () => this.#stopCamera(),
    });
    const kept = new KeptModels(engine, (error) => this.#actions.messages.tellProblem(error));
    this.#settings = new SettingsPanel(kept, (option) => this.#optionChanged(option));
    this.#portraits = new PortraitPanel(engine, { onChange: (portrait) => this.#portraitChanged(portrait) });
    this.#clips = new ClipPanel(engine, {
      onChange: () => this.#refresh(),
      onCamera: (wanted) => (wanted ? void this.#startCamera() : this.#stopCamera()),
    });
    this.#insight = new InsightPanel(
      (x, y) => engine.attention({ x, y }),
      () => this.#preparePortrait(),
    );
    this.element = element(
      'div',
      { class: 'studio' },
      element(
        'header',
        { class: 'masthead' },
        element('h1', {}, 'DaGAN studio'),
        element('p', { class: 'tagline' }, 'A portrait, moved by a clip or by you. Nothing leaves this tab.'),
        this.#status.element,
      ),
      element(
        'main',
        {},
        element('div', { class: 'panels' }, this.#portraits.element, this.#clips.element, this.#result.element),
        this.#actions.element,
        this.#settings.element,
        this.#expression.element,
        this.#insight.element,
      ),
      element(
        'footer',
        { class: 'closing' },
        element(
          'p',
          {},
          'Animate people who have agreed to it, or pictures that are yours to use, and say that it is synthetic where you show it. ',
          'Saved files say in their metadata that they are synthetic.',
        ),
      ),
    );
    // A file that misses its place would otherwise be opened by the browser, in place of the page.
    document.addEventListener('dragover', (event) => {
      if (event.defaultPrevented) return;
      event.preventDefault();
      if (event.dataTransfer) event.dataTransfer.dropEffect = 'none';
    });
    addEventListener('beforeunload', (event) => {
      if (makesFile(this.#activity) || this.#result.unsaved) event.preventDefault(); // the browser asks
    });
    this.#refresh();
  }

  /** Loads the model and asks what can be saved. */
  async start(): Promise<void> {
    await Promise.all([this.#loadModel(), this.#offerFormats()]);
  }

  async #loadModel(): Promise<void> {
    this.#status.loading(0, 0);
    try {
      const onProgress = ({ done, total }: LoadProgress): void => this.#status.loading(done, total);
      this.#model = await this.#engine.load({ url: new URL(MODEL, document.baseURI).href }, { onProgress });
      this.#status.ready(this.#model);
      keepForLater(FACE_ASSETS_URL);
      this.#insight.fit(this.#model);
      this.#expression.fit(this.#model);
      this.#preparePortrait();
      this.#refresh();
    } catch (error) {
      this.#status.failed(error);
    }
  }

  async #offerFormats(): Promise<void> {
    const formats = await writableFormats(256, 256).catch(() => []);
    this.#settings.offer(formats);
    const { messages } = this.#actions;
    if (formats.length === 0) {
      messages.tell('This browser can encode no video: animations can be watched with the camera, but not saved.');
    } else if (!formats.some(({ container }) => container === 'mp4')) {
      messages.tell('This browser cannot encode H.264, so animations are saved as WebM.');
    }
    this.#refresh();
  }

  /** Goes over to another activity. */
  #begin(activity: Activity): void {
    this.#activity = activity;
    this.#refresh();
  }

  /** Ends an activity, unless another one has taken its place. */
  #end(activity: Activity): void {
    if (this.#activity === activity) this.#begin(IDLE);
  }

  /** Shows what makes sense now. */
  #refresh(): void {
    const activity = this.#activity;
    this.#clips.setLive(usesCamera(activity), this.#settings.value.mirror);
    this.#result.making = activity.kind !== 'idle';
    const ready = this.#portraits.portrait !== null && this.#clips.chosen !== null && this.#model !== null;
    this.#actions.show(activity, ready);
  }

  #optionChanged(option: keyof Settings): void {
    this.#refresh();
    if (option !== 'camera' || this.#activity.kind !== 'live') return;
    this.#stopCamera();
    void this.#startCamera();
  }

  #portraitChanged(portrait: ChosenPortrait | null): void {
    clearTimeout(this.#settling);
    if (portrait === null) {
      this.#portrait = null;
      this.#ready = null;
      this.#insight.clear();
      const free = !usesClip(this.#activity) && !usesCamera(this.#activity);
      if (free) void this.#engine.clearPortrait().catch(() => {});
    } else {
      this.#settling = setTimeout(() => {
        if (!usesCamera(this.#activity)) this.#preparePortrait();
        else this.#setPortrait().catch((error) => this.#actions.messages.tellProblem(error));
      }, SETTLED);
    }
    this.#refresh();
  }

  /** Shows what the networks see of the portrait alone, as long as nothing else is going on. */
  #preparePortrait(): void {
    const busy = usesClip(this.#activity) || usesCamera(this.#activity);
    if (!this.#model || busy || !this.#insight.open) return;
    this.#setPortrait().catch((error) => this.#portraits.messages.tellProblem(error));
  }

  /** Gives the networks the portrait with its square as they are now. */
  async #setPortrait(): Promise<void> {
    const { portrait } = this.#portraits;
    if (!portrait) return;
    const { picture, square } = portrait;
    const ready = await this.#engine.setPortrait({ picture, square });
    this.#ready = square;
    if (this.#portraits.portrait?.square !== square || usesClip(this.#activity)) return;
    this.#showPortrait(ready);
  }

  #showPortrait(portrait: Portrait): void {
    this.#portrait = portrait;
    this.#insight.update({ portrait, frame: null });
  }

  #showFrame(frame: GeneratedFrame): void {
    this.#result.frame(frame.picture);
    if (this.#portrait) this.#insight.update({ portrait: this.#portrait, frame });
  }

  /** How the portrait is to move, as it is chosen now. */
  get #chosen(): Settings {
    return { ...this.#settings.value, controls: this.#expression.value };
  }

  /** Shows what the expression's sliders make of the portrait alone, as long as nothing else is going on. */
  #showStill(): void {
    const { portrait } = this.#portraits;
    if (!portrait || !this.#model || this.#activity.kind !== 'idle') return;
    void this.#newestStill(async (signal) => {
      if (this.#ready !== portrait.square) await this.#setPortrait();
      const picture = await this.#engine.still({ controls: this.#expression.value }, { signal });
      if (!signal.aborted && this.#activity.kind === 'idle') this.#result.frame(picture);
    });
  }

  async #makeAnimation(): Promise<void> {
    const { portrait } = this.#portraits;
    const driving = this.#clips.chosen;
    if (!portrait || !driving || !this.#model || this.#activity.kind !== 'idle') return;
    const { messages } = this.#actions;
    const [job, enough] = [new AbortController(), new AbortController()];
    const animating: Activity = { kind: 'animating', job, enough };
    this.#begin(animating);
    this.#result.clear();
    messages.clear();
    const started = performance.now();
    const first = { at: started, done: 0 }; // what comes before it tells nothing of how long frames take
    const order: AnimationOrder = {
      engine: this.#engine,
      model: this.#model,
      portrait,
      driving,
      settings: this.#chosen,
      insight: () => this.#insight.due,
      signal: job.signal,
      enough: enough.signal,
      onPortrait: (ready) => this.#showPortrait(ready),
      onStep: (text) => messages.tell(text),
      onFrame: (frame, done, total) => {
        messages.clear();
        this.#showFrame(frame);
        if (total !== undefined) this.#actions.progress = done / total;
        const perSecond = (1000 * (done - first.done)) / (performance.now() - first.at);
        if (done === 1) Object.assign(first, { at: performance.now(), done });
        const words = [`Frame ${done}${total === undefined ? '' : ` of ${total}`}`];
        if (done > 1) words.push(pace(perSecond));
        if (done > 2 && total !== undefined) words.push(`${roughTime((total - done) / perSecond)} left`);
        this.#actions.tellRate(words.join(', '));
      },
    };
    const release = driving.clip.hold(); // the user may choose another one meanwhile
    try {
      const saved = await makeAnimation(order);
      const seconds = (performance.now() - started) / 1000;
      this.#result.finished(saved, nameOf(portrait.name, driving.clip.file.name));
      messages.tell(`Done: ${count(saved.frames, 'frame')} in ${seconds.toFixed(1)} s.`);
    } catch (error) {
      this.#result.clear();
      if (isStopped(error)) messages.tell('Stopped.');
      else messages.tellProblem(error);
    } finally {
      release();
      this.#end(animating);
      if (this.#portraits.portrait?.square !== portrait.square) this.#preparePortrait(); // changed meanwhile
    }
  }

  /** Makes a few frames, and an estimate for all of them. */
  async #makePreview(): Promise<void> {
    const { portrait } = this.#portraits;
    const driving = this.#clips.chosen;
    if (!portrait || !driving || !this.#model || this.#activity.kind !== 'idle') return;
    const { messages } = this.#actions;
    const job = new AbortController();
    const previewing: Activity = { kind: 'previewing', job };
    this.#begin(previewing);
    this.#result.clear();
    messages.clear();
    const release = driving.clip.hold();
    try {
      const { picture, frames, seconds } = await makePreview({
        engine: this.#engine,
        model: this.#model,
        ...{ portrait, driving, settings: this.#chosen, signal: job.signal },
        onPortrait: (ready) => this.#showPortrait(ready),
        onStep: (text) => messages.tell(text),
      });
      this.#result.frame(picture);
      const rest = seconds === undefined ? '' : ` The whole animation takes about ${roughTime(seconds)}.`;
      messages.tell(`The portrait and ${count(frames, 'frame')} of the animation.${rest}`);
    } catch (error) {
      if (isStopped(error)) messages.tell('Stopped.');
      else messages.tellProblem(error);
    } finally {
      release();
      this.#end(previewing);
      if (this.#portraits.portrait?.square !== portrait.square) this.#preparePortrait(); // changed meanwhile
    }
  }

  #cancel(): void {
    const activity = this.#activity;
    if (activity.kind === 'animating' || activity.kind === 'previewing') activity.job.abort();
  }

  #stopAndKeep(): void {
    if (this.#activity.kind === 'animating') this.#activity.enough.abort();
  }

  async #startCamera(): Promise<void> {
    const { messages } = this.#clips;
    messages.clear();
    const obstacle = this.#obstacleToCamera();
    if (obstacle !== null) {
      messages.tellProblem(new Error(obstacle));
      return;
    }
    const asking = new AbortController();
    const activity: Activity = { kind: 'askingCamera', asking };
    this.#begin(activity);
    this.#actions.messages.clear();
    try {
      await this.#setPortrait();
      asking.signal.throwIfAborted();
      const order = {
        engine: this.#engine,
        video: this.#clips.video,
        settings: () => this.#chosen,
        insight: () => this.#insight.due,
        events: {
          onFrame: (frame: GeneratedFrame, seconds: number, rate: number) => this.#liveFrame(frame, seconds, rate),
          onFace: (seen: boolean) => {
            if (seen) messages.clear();
            else
              messages.tell('No face is seen, so the portrait rests: look into the camera, with light on your face.');
          },
          onProblem: (error: unknown) => {
            this.#stopCamera();
            messages.tellProblem(error);
          },
        },
      };
      const live = await Live.start(order, asking.signal);
      this.#result.clear();
      this.#begin({ kind: 'live', live });
      this.#settings.offerCameras(await cameras());
    } catch (error) {
      if (asking.signal.aborted) return;
      this.#end(activity);
      messages.tellProblem(error);
    }
  }

  /** Why the camera cannot be started now; null if it can. */
  #obstacleToCamera(): string | null {
    if (usesClip(this.#activity)) {
      return 'the clip is still being animated: wait for the end, or cancel it, then start the camera';
    }
    if (this.#activity.kind !== 'idle') return 'the recording is still being saved: start the camera in a moment';
    if (!this.#model) return 'the model is still loading';
    return this.#portraits.portrait ? null : 'choose a portrait first, then start the camera';
  }

  /** Switches the camera off; what was recorded is kept. */
  #stopCamera(): void {
    const activity = this.#activity;
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
    this.#begin(IDLE);
    this.#actions.messages.tell('The camera is off.');
  }

  #resetPose(): void {
    if (this.#activity.kind !== 'live' && this.#activity.kind !== 'recording') return;
    this.#activity.live.reset();
    this.#actions.messages.tell('The reference pose was reset.');
  }

  #liveFrame(frame: GeneratedFrame, seconds: number, rate: number): void {
    this.#showFrame(frame);
    const activity = this.#activity;
    if (activity.kind !== 'recording') this.#actions.tellRate(pace(rate));
    else if (activity.recording.fits(frame.picture)) {
      activity.recording.add(frame.picture, seconds);
      this.#actions.tellRate(`${pace(rate)}, ${activity.recording.count} recorded`);
    } else void this.#finishRecording(); // a video has one size; another portrait or option has brought another
  }

  #toggleRecording(): void {
    if (this.#activity.kind === 'recording') void this.#finishRecording();
    else if (this.#activity.kind === 'live') this.#startRecording(this.#activity.live);
  }

  #startRecording(live: Live): void {
    const { messages } = this.#actions;
    messages.clear();
    const { format, pasteBack } = this.#settings.value;
    if (!format) messages.tellProblem(new Error(NO_ENCODER));
    if (!format || !this.#portrait || !this.#model) return;
    const { width, height } = pasteBack ? this.#portrait.whole : this.#portrait.picture;
    const order = { width, height, format, metadata: metadataFor(this.#model, { pasteBack }) };
    const recording = new LiveRecording(order, (error) => {
      if (this.#activity.kind !== 'recording' || this.#activity.recording !== recording) return;
      recording.cancel();
      this.#begin({ kind: 'live', live });
      messages.tellProblem(error);
    });
    this.#begin({ kind: 'recording', live, recording });
  }

  /** Completes what is recorded, and ends the camera; where nothing is, the camera goes on. */
  async #finishRecording(): Promise<void> {
    if (this.#activity.kind !== 'recording') return;
    const { live, recording } = this.#activity;
    const { messages } = this.#actions;
    if (recording.count === 0) {
      recording.cancel();
      this.#begin({ kind: 'live', live });
      messages.tellProblem(new Error('nothing was recorded: no frame was made in that time'));
      return;
    }
    live.stop();
    const saving: Activity = { kind: 'saving' };
    this.#begin(saving);
    try {
      const saved = await recording.finish();
      this.#result.finished(saved, nameOf(this.#portraits.portrait?.name ?? 'portrait', 'camera'));
      messages.tell(`Recorded ${count(saved.frames, 'frame')}.`);
    } catch (error) {
      recording.cancel();
      messages.tellProblem(error);
    } finally {
      this.#end(saving);
    }
  }
}

/** A file's name for a portrait moved by a clip. */
function nameOf(portrait: string, clip: string): string {
  const stem = (name: string): string => name.replace(/\.[^.]*$/, '') || name;
  return `${stem(portrait)}-${stem(clip)}`;
}
